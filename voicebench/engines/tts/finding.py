"""Find and open a voice by the name that the user gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from voicebench.engines.models.fetch_progress import Say, reporting_damage, say_nothing
from voicebench.engines.models.hub import HUB_ID, hub_folder
from voicebench.errors import ModelError

if TYPE_CHECKING:
    from voicebench.engines.tts.voice import Voice

Family = Literal["auto", "piper", "mms"]

_HUB_FILES = ("config.json", "model.safetensors", "vocab.json", "tokenizer_config.json")


def open_voice(voice: str, family: Family = "auto", say: Say = say_nothing) -> Voice:
    """Load ``voice`` into the CPU's memory.

    ``voice`` is the path of a Piper ``.onnx`` file, a name of the catalogue, or the folder or hub
    id of a transformers ``VitsModel``; an existing path comes first. ``say`` gets a line if
    something in the cache is damaged. Raises `ModelError`.
    """
    from voicebench.engines.models import catalogue, store
    from voicebench.engines.tts.mms import open_vits_folder
    from voicebench.engines.tts.piper import open_piper

    path = Path(voice).expanduser()
    if not path.exists() and any(entry.name == voice for entry in catalogue.CATALOGUE):
        found = next(store.ensure(voice, reporting_damage(say)).glob("*.onnx"), None)
        if found is None:
            raise ModelError(f"{voice} is not a voice", "see `voicebench models list`")
        return open_piper(found, say)
    if family == "piper" or (family == "auto" and voice.endswith(".onnx")):
        return open_piper(path, say)
    if path.is_dir():
        return open_vits_folder(path, say=say)
    if not HUB_ID.fullmatch(voice):
        raise ModelError(
            f"voice {voice!r} does not exist",
            "name a Piper .onnx file, a folder or hub id of a VitsModel, or one of "
            "`voicebench models list`",
        )
    return open_vits_folder(hub_folder(voice, "voice", _HUB_FILES), voice, say)


def hibari_folder(voice: str, say: Say = say_nothing) -> Path | None:
    """Return the folder of a hibari voice of the catalogue, fetched if need be; None for others.

    Raises `ModelError`.
    """
    from voicebench.engines.models import catalogue, store

    if Path(voice).expanduser().exists():
        return None
    is_hibari = any(
        entry.name == voice and entry.wheel.distribution == "hibari-tts"
        for entry in catalogue.CATALOGUE
    )
    return store.ensure(voice, reporting_damage(say)) if is_hibari else None
