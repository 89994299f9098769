"""Voices for the tests: small random ones, and the embedded one."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn_voices import write_mms_voice, write_piper_voice

from voicebench.engines.tts.fitting import choose_arithmetic
from voicebench.engines.tts.synthesizer import load_synthesizer
from voicebench.engines.tts.vits.arithmetic import Arithmetic
from voicebench.engines.tts.vits.vits_synthesizer import VitsSynthesizer
from voicebench.engines.tts.voice import Voice

USERS_CACHE = os.environ.get("VOICEBENCH_CACHE")


@pytest.fixture(scope="session")
def small_voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the small voices are written to."""
    return tmp_path_factory.mktemp("voices")


@pytest.fixture(scope="session")
def voice_cache(tmp_path_factory: pytest.TempPathFactory, c_library_or_none: object) -> Path:
    """Return the cache of the small voices; the C library comes from the user's cache."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def own_cache(voice_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache free of what these tests convert."""
    monkeypatch.setenv("VOICEBENCH_CACHE", str(voice_cache))


@pytest.fixture
def users_cache(own_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the user's cache again: the embedded voices and the C library are there."""
    if USERS_CACHE is None:
        monkeypatch.delenv("VOICEBENCH_CACHE")
    else:
        monkeypatch.setenv("VOICEBENCH_CACHE", USERS_CACHE)


@pytest.fixture(scope="session")
def piper_file(small_voices: Path) -> Path:
    """Return a small Piper voice of one speaker."""
    return write_piper_voice(small_voices / "en_XX-small-low.onnx")


@pytest.fixture(scope="session")
def mms_folder(small_voices: Path) -> Path:
    """Return a small MMS voice of one speaker."""
    return write_mms_voice(small_voices / "mms-small")


@pytest.fixture(scope="session")
def loaded(mms_folder: Path, voice_cache: Path) -> Callable[..., VitsSynthesizer]:
    """Load the small MMS voice (on the CPU by default), once for each set of settings."""

    @functools.cache
    def load(**settings: object) -> VitsSynthesizer:
        given: dict[str, Any] = {"device": "cpu", **settings}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VOICEBENCH_CACHE", str(voice_cache))
            made = load_synthesizer(str(mms_folder), **given)
        assert isinstance(made, VitsSynthesizer)
        return made

    return load


WAYS = {
    "torch": ("cpu", "torch"),
    "native": ("cpu", "native"),
    "torch on a GPU": ("cuda", "torch"),
}
"""Each way to compute a voice: its device and its kernels."""


@pytest.fixture(
    params=["torch", "native", pytest.param("torch on a GPU", marks=pytest.mark.gpu)],
)
def way(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return device and kernels of each way to compute a voice, if this machine has it."""
    device, kernels = WAYS[request.param]
    if kernels == "native":
        request.getfixturevalue("c_library")
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    return {"device": device, "kernels": kernels}


@pytest.fixture
def exactly(way: dict[str, str]) -> Callable[[Voice], Arithmetic]:
    """Return a function that loads a voice in float32, for each way to compute it."""

    def computed(voice: Voice) -> Arithmetic:
        arithmetic = choose_arithmetic(
            voice, way["device"], dtype="float32", kernels=way["kernels"]
        )
        assert (arithmetic.kernels, arithmetic.dtype) == (way["kernels"], "float32")
        return arithmetic

    return computed


@pytest.fixture(scope="session")
def joe_file() -> Path:
    """Return the embedded voice, fetched on first use."""
    from voicebench.engines.models import store

    return store.ensure("en_US-joe-medium") / "en_US-joe-medium.onnx"
