from __future__ import annotations

from pathlib import Path

import pytest

from voicebench.engines.llm.model_folder import find_model_folder
from voicebench.errors import ModelError


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert find_model_folder(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/model.gguf", "a/b/c", "model.gguf", " "])
def test_a_path_that_does_not_exist_is_no_hub_id(name: str) -> None:
    with pytest.raises(ModelError, match="does not exist; name a folder"):
        find_model_folder(name)


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF but not really")
    with pytest.raises(ModelError) as raised:
        find_model_folder(str(file))
    assert "model.gguf" in str(raised.value)


def test_a_hub_model_that_cannot_be_had_is_told_with_the_remedy(hub_cache: Path) -> None:
    with pytest.raises(ModelError, match="cannot be reached; fetch it where there is a network"):
        find_model_folder("somebody/some-model")


def test_a_hub_model_in_the_cache_needs_no_network(hub_cache: Path) -> None:
    snapshot = hub_cache / "models--somebody--some-model" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    assert find_model_folder("somebody/some-model") == snapshot


def test_a_name_that_no_hub_takes_is_refused(hub_cache: Path) -> None:
    with pytest.raises(ModelError, match="neither a local language model nor a hub id"):
        find_model_folder("some--body/some..model")
