"""From what a user calls a model to the folder that holds it.

A language model is one of: a folder as transformers writes it (``config.json``, safetensors,
``tokenizer.json``), a GGUF file, a name of voicebench's own catalogue, or a hub id such as
``Qwen/Qwen2.5-0.5B-Instruct``. All become a folder: a GGUF file is converted once, a catalogue
model is fetched once, a hub model lies in the hub's own cache.
"""

from __future__ import annotations

from pathlib import Path

from voicebench.engines.models.catalogue import HUB_ID
from voicebench.engines.models.fetch_progress import Report, Say, say_nothing, told
from voicebench.errors import ModelError

_WANTED_FILES = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
"""Of a hub model: settings, weights, templates and vocabularies. Never a pickle (``*.bin``)."""


def find_model_folder(model: str, say: Say = say_nothing) -> Path:
    """Return the folder that holds ``model``, fetched or converted first where it has to be.

    ``say`` is told what the cache had damaged.

    Raises `ModelError` for a path that does not exist, a file that is no GGUF, an unknown name,
    and a hub model that is neither cached nor to be had.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        return _converted_gguf(path, told(say))
    from voicebench.engines.models import catalogue, store

    if any(entry.name == model for entry in catalogue.CATALOGUE):
        return store.ensure(model, told(say))
    if not HUB_ID.fullmatch(model) or model.endswith(".gguf"):
        raise ModelError(
            f"language model {model!r} does not exist",
            "name a folder, a .gguf file, a hub id, or one of `voicebench models list`",
        )
    return _hub_folder(model)


def _converted_gguf(path: Path, report: Report) -> Path:
    from voicebench.engines.models import gguf

    return gguf.converted(path, report)


def _hub_folder(model: str) -> Path:
    """Return the snapshot of a hub model in the hub's cache; HF_HUB_OFFLINE is honoured."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(model, allow_patterns=_WANTED_FILES, ignore_patterns=["*/*"])
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"hub model {model!r} is not in the hub's cache, and the hub cannot be reached",
            "fetch it where there is a network (`hf download`), or name a local folder",
        ) from error
    except HFValidationError as error:
        raise ModelError(
            f"{model!r} is neither a local model nor a hub id",
            "name a folder, a .gguf file, a hub id, or one of `voicebench models list`",
        ) from error
    except HfHubHTTPError as error:
        raise ModelError(
            f"the hub does not hand out the model {model!r} ({type(error).__name__})",
            "check the id, log in (`hf auth login`) if it is gated, or name a local folder",
        ) from error
    except Exception as error:  # the client's network library and its errors change by release
        raise ModelError(
            f"fetching hub model {model!r} broke off ({type(error).__name__}: {error})",
            "check the network and the disk, and try again",
        ) from error
    return Path(folder)
