"""The folder of an MMS voice: which sentence a broken one gets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from voicebench.engines.tts.mms import open_vits_folder
from voicebench.errors import ModelError

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def copied(mms_folder: Path, tmp_path: Path) -> Path:
    """Return a copy of the small voice that a test may break."""
    return Path(shutil.copytree(mms_folder, tmp_path / "voice"))


def change_config(folder: Path, **changes: Any) -> None:
    stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(stored | changes), encoding="utf-8")


def test_the_voice_says_what_it_is(mms_folder: Path) -> None:
    voice = open_vits_folder(mms_folder, name="me/my-voice")
    assert (voice.name, voice.family, voice.language) == ("me/my-voice", "mms", "eng")
    assert (voice.sample_rate, voice.manner.length_scale) == (8000, 1.25)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "vocab.json"])
def test_a_missing_file_is_named(missing: str, copied: Path) -> None:
    (copied / missing).unlink()
    with pytest.raises(ModelError, match=missing):
        open_vits_folder(copied)


def test_a_model_of_another_type_is_refused(copied: Path) -> None:
    change_config(copied, model_type="llama")
    with pytest.raises(ModelError, match="'llama', not a VITS voice"):
        open_vits_folder(copied)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": "many"},
        {"upsample_rates": []},
        {"speaking_rate": 0},
        {"num_hidden_layers": -1},
        {"hidden_act": "gelu"},
        {"resblock_dilation_sizes": 5},
    ],
)
def test_a_config_that_makes_no_sense_is_refused(changes: dict[str, Any], copied: Path) -> None:
    change_config(copied, **changes)
    with pytest.raises(ModelError, match=r"config\.json"):
        open_vits_folder(copied)


@pytest.mark.parametrize("changes", [{"hidden_size": 14}, {"num_hidden_layers": 3}])
def test_a_config_that_does_not_fit_the_weights_is_refused(
    changes: dict[str, Any], copied: Path
) -> None:
    change_config(copied, **changes)
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        open_vits_folder(copied)


def test_weights_that_are_a_pickle_are_refused_unread(copied: Path) -> None:
    (copied / "model.safetensors").write_bytes(b"\x80\x04\x95 boom")
    with pytest.raises(ModelError, match="pickle"):
        open_vits_folder(copied)


def test_cut_off_weights_are_refused(copied: Path) -> None:
    place = copied / "model.safetensors"
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        open_vits_folder(copied)


def test_a_vocabulary_of_another_voice_is_refused(copied: Path) -> None:
    (copied / "vocab.json").write_text('{"a": 500}', encoding="utf-8")
    with pytest.raises(ModelError, match="symbol 500"):
        open_vits_folder(copied)
