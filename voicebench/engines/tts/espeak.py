"""Phonemes of espeak-ng, as Piper's own code makes them.

Piper's package (``piper-tts``, GPL-3) contains espeak-ng (GPL-3) and the code that turns its output
into a voice's phonemes. ``import piper`` would also load onnxruntime, which takes a third of a
second and is not needed. So this module loads the package's modules under another name.

espeak-ng is not thread-safe (its state is global): a lock guards it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from voicebench.errors import ModelError
from voicebench.machine.extras import require

_ALIAS = "_voicebench_piper"
_lock = threading.Lock()


def phonemize(voice: str, text: str, clusters: Iterable[tuple[str, ...]] = ()) -> list[list[str]]:
    """Return the phonemes of ``text``, sentence by sentence, in espeak-ng's ``voice``.

    ``clusters`` are vowels to merge into one phoneme. Raises `ModelError` if espeak-ng does not
    have the voice.
    """
    with _lock:
        try:
            sentences: list[list[str]] = _phonemizer().phonemize(voice, text, set(clusters) or None)
        except RuntimeError as error:
            raise ModelError(
                f"espeak-ng does not have the voice {voice!r} ({error})",
                "check espeak.voice in the voice's .onnx.json",
            ) from None
    return sentences


def with_diacritics(text: str) -> str:
    """Return Arabic ``text`` with its vowels, which espeak-ng needs.

    Raises `ModelError` if onnxruntime is not installed.
    """
    with _lock:
        return str(_diacritizer()(text, taskeen_threshold=0.8))


def piper_module(name: str) -> ModuleType:
    """Return the module ``piper.name`` without running ``piper/__init__.py``."""
    if _ALIAS not in sys.modules:
        require("piper")
        found = importlib.util.find_spec("piper")
        if found is None or not found.submodule_search_locations:
            raise ModelError("the phonemizer is incomplete", "install piper-tts again")
        package = ModuleType(_ALIAS)
        package.__path__ = list(found.submodule_search_locations)
        sys.modules[_ALIAS] = package
    return importlib.import_module(f"{_ALIAS}.{name}")


@functools.cache
def _phonemizer() -> Any:
    return piper_module("phonemize_espeak").EspeakPhonemizer()


@functools.cache
def _diacritizer() -> Any:
    try:
        return piper_module("tashkeel").TashkeelDiacritizer()
    except ImportError:
        raise ModelError(
            "an Arabic Piper voice needs onnxruntime for its vowels", "pip install onnxruntime"
        ) from None
