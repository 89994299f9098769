"""The spectra of a signal's audible frames: how loud, how flat, and which frequencies.

The signal is cut into frames of 32 ms, half a frame apart. Frames within `AUDIBLE_DB` of the
loudest are *audible* here; only they count.

**Flatness** says how even a frame's spectrum is, from 100 Hz up to 8 kHz or near half the sample
rate: its geometric mean over its arithmetic mean, in dB. White noise has −1 dB (0 dB if averaged
over endless time). A voice, with its overtones and formants, has −6 to −60 dB. The flatness of many
frames is weighted by their energy: a vowel counts more than the hiss between words.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_MS = 32.0
AUDIBLE_DB = 30.0
LEAST_LEVEL = 0.001
"""RMS, as a share of full scale, below which no frame is audible."""
LEAST_RATE = 4000
"""Hz. Below it the spectrum is too narrow."""
FROM_HZ, TO_HZ = 100.0, 8000.0
BAND_EDGES_HZ = (100, 260, 420, 600, 830, 1130, 1530, 2050, 2700, 3500, 4500, 5600)
NEAR_NYQUIST = 0.46
"""Share of the sample rate up to which a spectrum counts: filters attenuate above."""
BLOCK_FRAMES = 512
"""Frames transformed at once; no effect on the result."""


@dataclass(frozen=True, slots=True)
class Spectra:
    """The audible frames of a signal, at least one."""

    step_s: float
    """Seconds from one frame to the next."""
    number: NDArray[np.int64]
    """Their numbers, counted from the first frame of the signal."""
    power: NDArray[np.float64]
    flatness_db: NDArray[np.float64]
    bands: NDArray[np.float64]
    """Power in each of the bands: ``(frames, bands)``."""

    @property
    def audible_s(self) -> float:
        """Seconds of audible frames."""
        return self.number.size * self.step_s

    @property
    def mean_flatness_db(self) -> float:
        """The frames' flatness, each weighted by its energy."""
        return float(np.average(self.flatness_db, weights=self.power))


def spectra_of(pcm: NDArray[np.float32], sample_rate: int) -> Spectra | None:
    """Return the audible frames of ``pcm`` ``(samples,)``, None if there are none.

    A sample that is not a number or infinite counts as 0.
    """
    width = round(sample_rate * FRAME_MS / 1000)
    step = width // 2
    if sample_rate < LEAST_RATE or pcm.size < width:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(_within_full_scale(pcm), width)[::step]
    power = np.concatenate([block.var(axis=1, dtype=np.float64) for block in _blocks(windows)])
    least = max(LEAST_LEVEL**2, float(np.quantile(power, 0.95)) * 10 ** (-AUDIBLE_DB / 10))
    number = np.flatnonzero(power > least)
    if not number.size:
        return None
    hertz = np.arange(width // 2 + 1, dtype=np.float64) * (sample_rate / width)
    taper = np.hanning(width + 2)[1:-1].astype(np.float32)
    flatness, bands = [], []
    for numbers in _blocks(number):
        block = windows[numbers]
        block = (block - block.mean(axis=1, keepdims=True)) * taper
        spectrum = np.square(np.abs(np.fft.rfft(block, axis=1)).astype(np.float64))
        flatness.append(_flatness(spectrum, hertz, sample_rate))
        bands.append(_band_power(spectrum, hertz, sample_rate))
    return Spectra(
        step / sample_rate, number, power[number], np.concatenate(flatness), np.concatenate(bands)
    )


def mean_flatness_db(pcm: NDArray[np.float32], sample_rate: int) -> float | None:
    """Return the mean flatness of ``pcm``, None if nothing is audible."""
    spectra = spectra_of(pcm, sample_rate)
    return None if spectra is None else spectra.mean_flatness_db


def _within_full_scale(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    signal = np.nan_to_num(pcm, nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(np.abs(signal).max())
    return signal / np.float32(largest) if largest > 1 else signal


def _blocks(values: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    return [values[at : at + BLOCK_FRAMES] for at in range(0, len(values), BLOCK_FRAMES)]


def _flatness(
    spectrum: NDArray[np.float64], hertz: NDArray[np.float64], sample_rate: int
) -> NDArray[np.float64]:
    """Return the flatness of each frame in dB.

    Three neighbouring lines count as one, because single lines of noise differ by several dB.
    """
    looked_at = (hertz >= FROM_HZ) & (hertz <= min(TO_HZ, NEAR_NYQUIST * sample_rate))
    lines = spectrum[:, looked_at]
    lines = lines[:, : lines.shape[1] // 3 * 3].reshape(len(lines), -1, 3).mean(axis=2)
    # Whatever is 90 dB below the strongest line is rounding, not sound.
    lines = lines + lines.max(axis=1, keepdims=True) * 1e-9 + 1e-30
    flatness: NDArray[np.float64] = 10 * (
        np.log10(lines).mean(axis=1) - np.log10(lines.mean(axis=1))
    )
    return flatness


def _band_power(
    spectrum: NDArray[np.float64], hertz: NDArray[np.float64], sample_rate: int
) -> NDArray[np.float64]:
    edges = [edge for edge in BAND_EDGES_HZ if edge <= NEAR_NYQUIST * sample_rate]
    lines = np.searchsorted(hertz, edges)
    bands = [spectrum[:, low:high].mean(axis=1) for low, high in pairwise(lines)]
    return np.stack(bands, axis=1)
