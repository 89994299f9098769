"""From the decoder's numbers to samples, in numpy: a pulse train, noise and an inverse STFT.

`voicebench.engines.tts.hibari.native_waveform` does the same in C, and is checked against this.

A frame's spectrum is the sum of three parts (model card of hibari-tts 0.2.1): the harmonics of the
pitch, filtered; noise, shaped; and a part with a phase of its own. With E the spectrum of the pulse
train and Z complex normal noise::

    S = exp(min(h, 7)) e^(i pi tanh(t)) E + exp(min(n, 7)) Z + exp(min(r, 7)) e^(i p)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.tts.hibari.sizes import BINS, FFT, HOP, PARTS, SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.speech_noise import Noise

LEAST_PITCH = 40.0
"""Hz; a sample with a lower pitch is unvoiced."""
HIGHEST_HARMONIC = 11_000.0
"""Hz"""
_LARGEST_LOG = np.float32(7)
_OVERLAP = FFT // HOP
_HALF = FFT // 2
_WINDOW = np.hanning(FFT + 1)[:-1].astype(np.float32)
_PULSE_WINDOW = _WINDOW / np.float32(FFT / 4)
"""A cosine of amplitude 1 has a peak of 1 in its spectrum."""
_SQUARES = (_WINDOW * _WINDOW).reshape(_OVERLAP, HOP)


class Pulses:
    """The pulse train of a pitch curve: the harmonics below 11 kHz, each of amplitude 1."""

    def __init__(self, pitch: NDArray[np.float32]) -> None:
        """Take the pitch in Hz of every frame (frames,)."""
        self._pitch = np.pad(pitch.astype(np.float32), 1, mode="edge")
        self._phase = 0.0  # in turns, at the end of the frames so far
        self.frame = 0

    def skip(self, count: int) -> None:
        """Go ``count`` frames further: their pulses are not needed."""
        self._turns(count)

    def next(self, count: int) -> NDArray[np.float32]:
        """Return the samples (count * 300,) of the next frames."""
        turns, pitch, is_voiced = self._turns(count)
        angle = (turns % 1.0 * (2 * np.pi)).astype(np.float32)
        harmonics = np.floor(np.float32(HIGHEST_HARMONIC) / pitch) + np.float32(0.5)
        below = 2 * np.sin(angle * np.float32(0.5))
        above = np.sin(harmonics * angle)
        # Near a whole turn both are near zero; the quotient tends to the number of harmonics.
        is_peak = np.abs(below) <= 2e-3
        below[is_peak] = 1
        pulses: NDArray[np.float32] = np.where(is_peak, harmonics, above / below)
        pulses -= np.float32(0.5)
        pulses[~is_voiced] = 0
        return pulses

    def _turns(
        self, count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.bool_]]:
        """Return phase in turns, pitch in Hz and whether it is voiced, of each sample."""
        around = self._pitch[self.frame : self.frame + count + 2]
        share = (((np.arange(HOP) + 0.5) / HOP - 0.5) % 1.0).astype(np.float32)
        half = HOP // 2
        pitch = np.empty((count, HOP), np.float32)
        pitch[:, :half] = _between(around[:-2], around[1:-1], share[:half])
        pitch[:, half:] = _between(around[1:-1], around[2:], share[half:])
        flat = pitch.reshape(-1)
        is_voiced = flat > LEAST_PITCH
        np.maximum(flat, np.float32(LEAST_PITCH), out=flat)
        turns = np.cumsum(flat, dtype=np.float64) / SAMPLE_RATE + self._phase
        if count:
            self._phase = float(turns[-1] % 1.0)
        self.frame += count
        return turns, flat, is_voiced


def _between(
    one: NDArray[np.float32], other: NDArray[np.float32], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    return one[:, None] * (1 - share) + other[:, None] * share


class Waveform:
    """A `voicebench.engines.tts.hibari.frame_network.FrameWaveform` in numpy."""

    def __init__(self, pitch: NDArray[np.float32], noise: Noise, first: int = 0) -> None:
        """Take the pitch in Hz (frames,) of all frames, and the noise (frames, 1202) to draw.

        The first ``first`` frames (0, or 2 or more) are left out.
        """
        self._pulses = Pulses(pitch)
        self._frames = pitch.size
        self._taken = first
        self._given = first
        self._noise = noise
        self._sums = np.zeros((_OVERLAP - 1, HOP), np.float32)
        self._weights = np.zeros((_OVERLAP - 1, HOP), np.float32)
        if first:
            self._pulses.skip(first - 2)
            self._source = self._pulses.next(2)
        else:
            self._source = self._pulses.next(min(3, self._frames))
            mirrored = np.resize(self._source[1:], _HALF)[::-1]
            self._source = np.concatenate((mirrored, self._source))

    def add(self, parts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the samples (count,) that the next frames' parts (frames, 5 * 601) complete."""
        count = parts.shape[0]
        if not count:
            return np.empty(0, np.float32)
        spectrum = _spectrum(parts, self._excitation(count), self._noise((count, 2 * BINS)))
        pieces = np.fft.irfft(spectrum, FFT, 1).astype(np.float32, copy=False) * _WINDOW
        pieces = pieces.reshape(count, _OVERLAP, HOP)
        sums = np.zeros((count + _OVERLAP - 1, HOP), np.float32)
        weights = np.zeros((count + _OVERLAP - 1, HOP), np.float32)
        sums[: _OVERLAP - 1], weights[: _OVERLAP - 1] = self._sums, self._weights
        for number in range(_OVERLAP):
            sums[number : number + count] += pieces[:, number]
            weights[number : number + count] += _SQUARES[number]
        begun = self._taken - 2  # the frame that the first of the sums is a part of
        self._taken += count
        is_last = self._taken == self._frames
        until = self._frames if is_last else max(self._given, self._taken - 2)
        mine = slice(self._given - begun, until - begun)
        self._given = until
        self._sums, self._weights = sums[count:], weights[count:]
        samples = sums[mine] / np.maximum(weights[mine], np.float32(1e-11))
        return samples.reshape(-1).astype(np.float32, copy=False)

    def _excitation(self, count: int) -> NDArray[np.complex64]:
        """Return the spectra (count, 601) of the pulse train around the next frames."""
        wanted = count * HOP + FFT - HOP
        missing = -(-(wanted - self._source.size) // HOP)
        there = self._frames - self._pulses.frame
        parts = [self._source]
        if missing > 0 and there > 0:
            parts.append(self._pulses.next(min(missing, there)))
        source = np.concatenate(parts)
        if source.size < wanted:  # the end of the utterance is mirrored
            source = np.concatenate((source, source[-2 : -2 - (wanted - source.size) : -1]))
        around = np.lib.stride_tricks.sliding_window_view(source, FFT)[::HOP][:count]
        self._source = source[count * HOP :]
        return np.fft.rfft(around * _PULSE_WINDOW, FFT, 1).astype(np.complex64, copy=False)


def _spectrum(
    parts: NDArray[np.float32], excitation: NDArray[np.complex64], drawn: NDArray[np.float32]
) -> NDArray[np.complex64]:
    """Return the spectra (frames, 601) of frames, from their parts, pulses and noise."""
    harmonic, turn, noise, rest, phase = (
        parts[:, number * BINS : (number + 1) * BINS] for number in range(PARTS)
    )
    spectrum = excitation * _polar(_size(harmonic), np.tanh(turn) * np.float32(np.pi))
    spectrum += drawn.view(np.complex64) * _size(noise)
    spectrum += _polar(_size(rest), phase)
    return spectrum


def _size(logarithm: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.exp(np.minimum(logarithm, _LARGEST_LOG))


def _polar(size: NDArray[np.float32], angle: NDArray[np.float32]) -> NDArray[np.complex64]:
    polar = np.empty(size.shape, np.complex64)
    np.multiply(np.cos(angle), size, out=polar.real)
    np.multiply(np.sin(angle), size, out=polar.imag)
    return polar
