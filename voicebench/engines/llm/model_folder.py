"""Find the folder that holds a language model, by the name that the user gave.

The name is one of: a folder as transformers writes it (``config.json``, safetensors,
``tokenizer.json``), a GGUF file, a name of voicebench's catalogue, or a hub id such as
``Qwen/Qwen2.5-0.5B-Instruct``. Each becomes a folder: a GGUF file is converted once, a catalogue
model is fetched once, a hub model stays in the hub's cache.
"""

from __future__ import annotations

from pathlib import Path

from voicebench.engines.models.fetch_progress import Say, reporting_damage, say_nothing
from voicebench.engines.models.hub import HUB_ID, hub_folder
from voicebench.errors import ModelError

_HUB_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
"""Settings, weights, templates and vocabularies; never a pickle (``*.bin``)."""


def find_model_folder(model: str, say: Say = say_nothing) -> Path:
    """Return the folder that holds ``model``, fetched or converted first if necessary.

    ``say`` gets a line if something in the cache is damaged.

    Raises `ModelError` for a path that does not exist, a file that is not GGUF, an unknown name,
    and a hub model that cannot be fetched.
    """
    from voicebench.engines.models import catalogue, gguf, store

    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        return gguf.converted(path, reporting_damage(say))
    if any(entry.name == model for entry in catalogue.CATALOGUE):
        return store.ensure(model, reporting_damage(say))
    if not HUB_ID.fullmatch(model) or model.endswith(".gguf"):
        raise ModelError(
            f"language model {model!r} does not exist",
            "name a folder, a .gguf file, a hub id, or one of `voicebench models list`",
        )
    return hub_folder(model, "language model", _HUB_FILES)
