"""Does the agent send the caller's own voice back?

The caller's line is compared with the agent's sound at every delay up to two seconds, by the
normalized cross-correlation at 8 kHz: 1 for a copy of any loudness, under 0.3 for other speech.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 8000
LONGEST_DELAY_S = 2.0
AN_ECHO = 0.6


def likeness(
    said: NDArray[np.float32], said_rate: int, heard: NDArray[np.float32], heard_rate: int
) -> float:
    """Return the largest correlation of ``said`` with ``heard``, which begins with it: 0 to 1."""
    first = _at_8khz(said, said_rate)
    second = _at_8khz(heard, heard_rate)[: first.size + round(LONGEST_DELAY_S * RATE)]
    energy = float(np.sum(first**2))
    if not energy or second.size < first.size:
        second = np.pad(second, (0, max(0, first.size - second.size)))
    size = 1 << (first.size + second.size - 1).bit_length()
    found = np.fft.irfft(np.fft.rfft(second, size) * np.conj(np.fft.rfft(first, size)), size)
    delays = second.size - first.size + 1
    sums = np.concatenate(([0.0], np.cumsum(second**2)))
    under = sums[first.size :] - sums[:delays]
    loud = under > 0.01 * energy * 0.01
    if not energy or not loud.any():
        return 0.0
    return float(np.max(np.abs(found[:delays][loud]) / np.sqrt(under[loud] * energy)))


def _at_8khz(pcm: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Return ``pcm`` at 8 kHz: the mean over each new sample, which is enough to compare."""
    if rate == RATE:
        return pcm.astype(np.float64)
    sums = np.concatenate(([0.0], np.cumsum(pcm, dtype=np.float64)))
    edges = np.arange(int(pcm.size * RATE / rate) + 1) * rate / RATE
    return np.diff(np.interp(edges, np.arange(sums.size), sums)) * RATE / rate
