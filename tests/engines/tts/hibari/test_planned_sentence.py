"""A sentence is planned once and decoded in windows, without the silence around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebench.engines.tts.hibari.hibari_voice import SpokenPart
from voicebench.engines.tts.hibari.planned_sentence import plan, windows
from voicebench.engines.tts.hibari.sizes import (
    BINS,
    DECODER_REACH,
    HOP,
    PARTS,
    PROSODY_CHANNELS,
    TEXT_CHANNELS,
)
from voicebench.engines.tts.hibari.spectrum import Waveform
from voicebench.engines.tts.speech_noise import seeded_noise
from voicebench.errors import EngineError

if TYPE_CHECKING:
    from voicebench.engines.tts.speech_noise import Noise


@dataclass
class Scripted:
    """A network whose durations and energies are given; it notes which frames it decoded."""

    durations: list[float]
    energy: list[float]
    """Of each frame of 12.5 ms."""
    device: str = "cpu"
    kernels: str = "script"
    dtype: str = "float32"
    replayed: bool = False
    library_facts: dict[str, object] = field(default_factory=dict)
    decoded: list[int] = field(default_factory=list)

    def read(
        self, symbols: NDArray[np.int64], *, hurried: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        count = symbols.size
        text = np.tile(np.arange(count, dtype=np.float32)[:, None], (1, TEXT_CHANNELS))
        features = np.zeros((count, PROSODY_CHANNELS), np.float32)
        return text, features, np.log(np.array(self.durations, np.float32) + 1)

    def prosody(self, rows: NDArray[np.float32], *, hurried: bool = False) -> NDArray[np.float32]:
        energy = np.array(self.energy, np.float32).reshape(-1, 2) / 5
        return np.concatenate((np.full_like(energy, 2.0), energy), axis=1)

    def stream(self, *, hurried: bool = False) -> Scripted:
        self.decoded.append(0)
        self._waiting = 0
        return self

    def window(self, rows: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        self.decoded[-1] += rows.shape[0]
        self._waiting += rows.shape[0]
        ready = self._waiting if last else max(0, self._waiting - DECODER_REACH)
        self._waiting -= ready
        return np.full((ready, PARTS * BINS), -3, np.float32)

    def waveform(self, pitch: NDArray[np.float32], noise: Noise, first: int = 0) -> Waveform:
        return Waveform(pitch, noise, first)


SILENT, LOUD = -9.0, 5.0
WHOLE = SpokenPart([0, 5, 0], 0, 3)
SENTENCE = Scripted([10, 20, 10], [SILENT] * 20 + [LOUD] * 40 + [SILENT] * 20)


def sizes(*first: int) -> Iterator[int]:
    yield from first
    while True:
        yield 1 << 30


def test_frames_follow_the_durations_and_hold_text_pitch_and_energy() -> None:
    planned = plan(SENTENCE, WHOLE)
    assert planned.rows.shape == (80, TEXT_CHANNELS + 2)
    assert planned.rows[:, 0].tolist() == [0] * 20 + [1] * 40 + [2] * 20
    assert planned.pitch.tolist() == [200] * 80
    assert np.allclose(planned.rows[30, -2:], [np.log(201) / 5, LOUD / 5])


@pytest.mark.parametrize(("trim_start", "first"), [(True, 19), (False, 0)])
def test_silence_at_the_beginning_is_left_out(trim_start: bool, first: int) -> None:
    planned = plan(SENTENCE, WHOLE, trim_start=trim_start)
    assert (planned.first, planned.last, planned.frames) == (first, 80, 80 - first)


def test_silence_alone_is_left_as_it_is() -> None:
    planned = plan(Scripted([10], [SILENT] * 20), SpokenPart([0], 0, 1))
    assert (planned.first, planned.last) == (0, 20)


def test_the_words_around_a_part_of_a_sentence_are_planned_and_not_spoken() -> None:
    script = Scripted([10, 20, 10], SENTENCE.energy)
    planned = plan(script, SpokenPart([0, 5, 0], 1, 2))
    assert (planned.first, planned.last) == (20, 60)
    samples = np.concatenate([*windows(script, planned, seeded_noise(0, ""), sizes(300))])
    assert samples.size == 40 * HOP
    # It fades in and out within 3 ms, so that it joins its neighbours without a click.
    assert samples[0] == samples[-1] == 0
    assert np.abs(samples[:72]).max() < np.abs(samples[72:-72]).max()


def test_speed_shortens_every_symbol() -> None:
    script = Scripted([10, 20, 10], [LOUD] * 40)
    assert plan(script, WHOLE, speed=2).rows.shape[0] == 40


def test_leading_silence_is_never_decoded() -> None:
    script = Scripted([10, 20, 10], SENTENCE.energy)
    planned = plan(script, WHOLE)
    assert (
        sum(pcm.size for pcm in windows(script, planned, seeded_noise(0, ""), sizes())) == 61 * HOP
    )
    assert script.decoded == [80 - 19 + 6]


@pytest.mark.parametrize("first", [1, 300, 301, 4000])
def test_a_window_has_the_samples_asked_for_and_no_more_frames_than_it_needs(first: int) -> None:
    script = Scripted([10, 20, 10], SENTENCE.energy)
    planned = plan(script, WHOLE)
    spoken = windows(script, planned, seeded_noise(0, ""), sizes(first))
    pcm = next(spoken)
    frames = -(-first // HOP)
    assert pcm.size == frames * HOP
    assert script.decoded[-1] == 6 + frames + DECODER_REACH + 2
    assert pcm.size + sum(rest.size for rest in spoken) == planned.frames * HOP


def test_durations_beyond_all_measure_are_refused() -> None:
    with pytest.raises(EngineError, match="frames"):
        plan(Scripted([1e9], [LOUD] * 2), SpokenPart([0], 0, 1))
    with pytest.raises(EngineError, match="frames"):
        plan(Scripted([float("nan")], [LOUD] * 2), SpokenPart([0], 0, 1))
