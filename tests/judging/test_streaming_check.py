"""Streamed speech is compared with the same speech in one piece, when the run is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from handmade import make_turn
from numpy.typing import NDArray

from voicebench.errors import EngineError
from voicebench.judging.streaming_check import StreamingCheck, check_streaming, compare_speech
from voicebench.turn.recorder import Recording

RATE = 16_000
CHUNKS = ((116, "Hello you,"), (200, "how are you?"))


def speech(text: str) -> NDArray[np.float32]:
    generator = np.random.default_rng(len(text))
    return generator.uniform(-0.5, 0.5, 400 * len(text)).astype(np.float32)


class Voice:
    """A target whose voice speaks at once."""

    def speak_whole(self, chunks: Sequence[str]) -> NDArray[np.float32] | None:
        return np.concatenate([speech(text) for text in chunks])


class WithoutMemory(Voice):
    def speak_whole(self, chunks: Sequence[str]) -> NDArray[np.float32] | None:
        raise EngineError("no memory left")


class Elsewhere(Voice):
    def speak_whole(self, chunks: Sequence[str]) -> NDArray[np.float32] | None:
        return None


def recorded(spoil: float = 0.0, trimmed: int = 0, missing: int = 0) -> Recording:
    turn = make_turn(7, chunks=CHUNKS)
    pcm = np.concatenate([speech(text) for _, text in CHUNKS])[trimmed:]
    pcm = pcm[: pcm.size - missing].copy()
    pcm[1000] += spoil
    return Recording(replace(turn, silence_trimmed_ms=trimmed * 1000 / RATE or None), pcm)


def check(recording: Recording, voice: object = None, dtype: str = "float32") -> StreamingCheck:
    return check_streaming(voice or Voice(), [(3, recording)], {"tts": {"dtype": dtype}})


@pytest.mark.parametrize("trimmed", [0, 321])
def test_equal_speech_is_not_flagged_trimmed_or_not(trimmed: int) -> None:
    found = check(recorded(trimmed=trimmed))
    assert found == StreamingCheck(1, 0.0, 1e-3)


def test_a_sample_that_differs_flags_the_run_by_its_number() -> None:
    found = check(recorded(spoil=0.1))
    assert [str(flag) for flag in found.flags] == [
        "run 3: streamed audio differs from the speech in one piece: samples differ by up to "
        "0.1, and 0.001 is allowed"
    ]
    assert found.flags[0].turn == 7
    assert found.largest_difference == pytest.approx(0.1, rel=1e-5)


def test_samples_that_are_missing_flag_the_run() -> None:
    assert "20 samples streamed" not in str(check(recorded()).flags)
    [flag] = check(recorded(missing=5)).flags
    assert flag.finding.endswith("8795 samples streamed, 8800 at once")


def test_no_number_is_a_difference() -> None:
    assert (
        "differ" in compare_speech(np.array([np.nan], np.float32), np.zeros(1, np.float32), 1e-3)[1]
    )


def test_rounding_of_half_precision_is_allowed() -> None:
    assert check(recorded(spoil=0.005)).flags
    assert not check(recorded(spoil=0.005), dtype="float16").flags


@pytest.mark.parametrize("voice", [object(), Elsewhere(), WithoutMemory()])
def test_a_voice_that_cannot_be_asked_is_not_checked_and_not_flagged(voice: object) -> None:
    assert check(recorded(spoil=0.1), voice) == StreamingCheck()
