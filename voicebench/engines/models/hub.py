"""Models from the Hugging Face hub, kept in the hub's own cache."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from voicebench.engines.models.catalogue import CATALOGUE
from voicebench.errors import ModelError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
"""The name of a model on the hub: ``owner/name``."""


def hub_folder(model: str, kind: str, files: Sequence[str]) -> Path:
    """Return the folder with ``files`` (patterns) of a hub model, fetched if they are not cached.

    Messages call it "the ``kind`` ``model``". HF_HUB_OFFLINE is respected. Raises `ModelError`.
    """
    meant = catalogued_like(model)
    if meant is not None:
        raise ModelError(
            f"there is no {kind} {model!r} here, and a hub id is OWNER/NAME",
            f"did you mean {meant}? `voicebench models list` has the names",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=[*files], ignore_patterns=["*/*"]))
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"the {kind} {model!r} is not in the hub's cache, and the hub cannot be reached",
            "fetch it where there is a network (`hf download`), or name a local folder",
        ) from error
    except HFValidationError as error:
        raise ModelError(
            f"{model!r} is neither a local {kind} nor a hub id",
            "name a local one, a hub id, or one of `voicebench models list`",
        ) from error
    except HfHubHTTPError as error:
        raise ModelError(
            f"the hub refuses to send the {kind} {model!r} ({type(error).__name__})",
            "check the id, log in (`hf auth login`) if it is gated, or name a local folder",
        ) from error
    except Exception as error:  # the client's network library and its errors change by release
        raise ModelError(
            f"fetching the {kind} {model!r} failed ({type(error).__name__}: {error})",
            "check the network and the disk, and try again",
        ) from error


def catalogued_like(name: str) -> str | None:
    """Return the model of the catalogue that a name resembles; None if it may be a hub id."""
    if "/" in name:
        return None
    names = {entry.name.lower(): entry.name for entry in CATALOGUE}
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.7)
    return names[close[0]] if close else None
