"""Voices for the tests: small random ones, and the embedded one."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn_voices import write_mms_voice, write_piper_voice


@pytest.fixture(scope="session")
def small_voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the small voices are written to."""
    return tmp_path_factory.mktemp("voices")


@pytest.fixture(scope="session")
def voice_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cache that converted small voices go to."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def own_cache(voice_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache free of what these tests convert."""
    monkeypatch.setenv("VOICEBENCH_CACHE", str(voice_cache))


@pytest.fixture(scope="session")
def piper_file(small_voices: Path) -> Path:
    """Return a small Piper voice of one speaker."""
    return write_piper_voice(small_voices / "en_XX-small-low.onnx")


@pytest.fixture(scope="session")
def mms_folder(small_voices: Path) -> Path:
    """Return a small MMS voice of one speaker."""
    return write_mms_voice(small_voices / "mms-small")


@pytest.fixture(scope="session")
def joe_file() -> Path:
    """Return the embedded voice, fetched on first use."""
    from voicebench.models import store

    return store.ensure("en_US-joe-medium") / "en_US-joe-medium.onnx"
