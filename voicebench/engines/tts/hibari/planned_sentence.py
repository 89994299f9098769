"""One sentence on its way to sound: planned once, then decoded window by window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.tts.hibari.sizes import DECODER_REACH, HOP
from voicebench.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.hibari.frame_network import FrameNetwork
    from voicebench.engines.tts.hibari.hibari_voice import SpokenPart
    from voicebench.engines.tts.speech_noise import Noise

MOST_FRAMES = 1 << 16
"""A sentence of more frames (14 minutes) comes from damaged weights."""
_PITCH_UNIT = np.float32(100)
"""Hz"""
_ENERGY_UNIT = np.float32(5)
_SILENT_ENERGY = -1.0
"""Frames with a lower energy are 50 dB or more below full scale (measured on ten chunks)."""
_LEAD = 1
"""Frames of near silence that are kept before the first sound: 12.5 ms."""
SETTLING = 6
"""Frames decoded, and left out, before the first one that is kept. With them the error of the first
0.3 s is 31 to 51 dB below the sound (15 sentences); after 27 frames there is none."""

_OVERLAPPING = 2
"""Frames behind a frame whose spectra reach into it."""

_FADE = 72
"""Samples, 3 ms, over which a part of a sentence fades in and out, so that no join clicks."""
_RAMP = np.linspace(0, 1, _FADE, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class PlannedSentence:
    """A sentence that was planned: what the decoder reads of each frame of 12.5 ms."""

    rows: NDArray[np.float32]
    """(frames, 130)"""
    pitch: NDArray[np.float32]
    """(frames,) in Hz; 0 or less where there is no voice."""
    first: int
    """The first frame that is spoken: the ones before it are silent, or of the chunk before."""
    last: int
    """The frame behind the last one that is spoken."""

    phoneme: int = 0
    """The frame in which its first phoneme begins."""
    fades_in: bool = False
    """Whether it begins within a sentence, where the voice may be sounding."""
    fades_out: bool = False

    @property
    def frames(self) -> int:
        """Return how many frames are spoken."""
        return self.last - self.first


def plan(
    network: FrameNetwork,
    sentence: SpokenPart,
    *,
    speed: float = 1.0,
    trim_start: bool = True,
    hurried: bool = False,
) -> PlannedSentence:
    """Compute durations, pitch and energy of ``sentence``.

    With ``trim_start`` the silent frames at its beginning are left out; ``hurried`` as in
    `voicebench.engines.tts.hibari.frame_network.FrameNetwork`. Raises `EngineError` if
    the durations cannot be right.
    """
    text, features, log_durations = network.read(
        np.array(sentence.symbols, np.int64), hurried=hurried
    )
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        lengths = np.maximum(np.round((np.exp(log_durations) - 1) / np.float32(speed)), 1)
    if not lengths.sum() <= MOST_FRAMES // 2:
        raise EngineError(
            f"the voice gives {lengths.size} phonemes a length of {lengths.sum():g} frames",
            "fetch the voice again: its weights are damaged",
        )
    counts = lengths.astype(np.int64)
    symbol_of_frame = np.repeat(np.arange(counts.size), counts)
    curves = network.prosody(features[symbol_of_frame], hurried=hurried)
    pitch = curves[:, :2].reshape(-1) * _PITCH_UNIT
    energy = curves[:, 2:].reshape(-1) * _ENERGY_UNIT
    rows = np.empty((pitch.size, text.shape[1] + 2), np.float32)
    rows[:, :-2] = np.repeat(text[symbol_of_frame], 2, axis=0)
    rows[:, -2] = np.log1p(np.maximum(pitch, 0)) / _ENERGY_UNIT
    rows[:, -1] = energy / _ENERGY_UNIT
    goes_on = sentence.stop < counts.size
    first = 2 * int(counts[: sentence.start].sum())
    if not sentence.start and trim_start:
        first = _first_sound(energy)
    last = 2 * int(counts[: sentence.stop].sum()) if goes_on else pitch.size
    return PlannedSentence(
        rows,
        pitch,
        first,
        last,
        phoneme=2 * int(counts[0]),
        fades_in=sentence.start > 0,
        fades_out=goes_on,
    )


def windows(
    network: FrameNetwork,
    utterance: PlannedSentence,
    noise: Noise,
    sizes: Iterator[int],
    *,
    hurried: bool = False,
) -> Iterator[NDArray[np.float32]]:
    """Yield the samples (count,) of ``utterance``, float32 at 24 kHz, window by window.

    ``sizes`` says how many samples the next window must have at least; the last one has what is
    left. A window is computed when it is asked for, and the first one ``hurried``.
    """
    begun = max(0, utterance.first - _OVERLAPPING)
    if begun < _OVERLAPPING:
        begun = 0
    start = max(0, utterance.first - SETTLING)
    stop = min(utterance.last + DECODER_REACH + _OVERLAPPING, utterance.rows.shape[0])
    stream = network.stream(hurried=hurried)
    waveform = network.waveform(utterance.pitch, noise, begun)
    taken, unsettled = start, begun - start
    leading, left = (utterance.first - begun) * HOP, utterance.frames * HOP
    is_first = True
    while left:
        wanted = utterance.last - max(0, left - next(sizes)) // HOP
        upto = min(max(wanted + DECODER_REACH + _OVERLAPPING, taken + 1), stop)
        parts = stream.window(utterance.rows[taken:upto], last=upto == stop)
        taken = upto
        skipped = min(unsettled, parts.shape[0])
        unsettled -= skipped
        samples = waveform.add(parts[skipped:])
        cut = min(leading, samples.size)
        leading -= cut
        samples = samples[cut : cut + left]
        left -= samples.size
        if samples.size:
            if is_first and utterance.fades_in:
                samples[:_FADE] *= _RAMP[: samples.size]
            if not left and utterance.fades_out:
                samples[-_FADE:] *= _RAMP[: samples.size][::-1]
            is_first = False
            yield samples


def _first_sound(energy: NDArray[np.float32]) -> int:
    """Return the first frame that is to be heard; 0 if all are silent."""
    loud = np.flatnonzero(energy > _SILENT_ENERGY)
    first = int(loud[0]) - _LEAD if loud.size else 0
    return max(0, first)
