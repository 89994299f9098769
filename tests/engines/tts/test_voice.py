"""Converted voices: kept once, and refused where they are not whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from voicebench.engines.models import manifest
from voicebench.engines.tts.vits.voice_shape import VitsShape
from voicebench.engines.tts.vits.voice_trial import drawn_weights, trial_shape
from voicebench.engines.tts.voice import converted
from voicebench.errors import ModelError

SHAPE = trial_shape(1)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a voice, with an empty cache."""
    monkeypatch.setenv("VOICEBENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "voice"
    path.write_bytes(b"a voice")
    return path


def convert() -> tuple[VitsShape, dict[str, torch.Tensor]]:
    drawn = drawn_weights(SHAPE, seed=0)
    return SHAPE, {name: torch.from_numpy(weight) for name, weight in drawn.items()}


def refuse() -> tuple[VitsShape, dict[str, torch.Tensor]]:
    pytest.fail("converted again")


def test_a_voice_is_converted_once_and_kept_as_it_was(source: Path) -> None:
    first, again = converted(source, convert), converted(source, refuse)
    assert first.shape == again.shape == SHAPE
    assert first.origin == again.origin
    right = drawn_weights(SHAPE, seed=0)
    assert again.weights.keys() == right.keys()
    for name, weight in again.weights.items():
        np.testing.assert_array_equal(weight, right[name])


def test_a_cut_off_voice_in_the_cache_is_converted_again(source: Path) -> None:
    folder = source.parent / "cache" / "voices" / converted(source, convert).origin
    (folder / "weights.safetensors").write_bytes(b"cut")
    assert converted(source, convert).weights.keys() == drawn_weights(SHAPE, seed=0).keys()


def test_changed_weights_in_the_cache_are_said_and_converted_again(source: Path) -> None:
    folder = source.parent / "cache" / "voices" / converted(source, convert).origin
    weights = folder / "weights.safetensors"
    whole, before = weights.read_bytes(), weights.stat()
    weights.write_bytes(whole[:-4096] + bytes(byte ^ 0xFF for byte in whole[-4096:]))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    manifest._summed.clear()  # as in another process
    said: list[str] = []
    converted(source, convert, say=said.append)
    assert weights.read_bytes() == whole
    assert said == [
        f"the voice of {source.name} is damaged in the cache (weights.safetensors is not what it "
        "was when it was made), and is made again"
    ]


def test_a_disk_that_is_full_when_a_voice_is_converted_is_one_sentence(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_named: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(ModelError, match=r"the disk is full: .* could not be written to"):
        converted(source, convert)
    assert not list((source.parent / "cache" / "voices").glob("[!.]*"))


def test_a_voice_in_the_cache_that_lacks_a_weight_is_refused(source: Path) -> None:
    def convert_in_part() -> tuple[VitsShape, dict[str, torch.Tensor]]:
        shape, weights = convert()
        del weights["decoder.pre.bias"]
        return shape, weights

    with pytest.raises(ModelError, match=r"lacks weights of the voice: decoder\.pre\.bias; delete"):
        converted(source, convert_in_part)
