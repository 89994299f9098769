"""Sound at another rate, piece by piece and without seams.

Between 8, 16 and 24 kHz a short filter is enough, which keeps back two milliseconds of the sound. A
caller waits for every one of them. soxr keeps back tens, and is used for all other rates.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALF_WIDTH = 16
"""Half the length of the filter, in samples of the lower rate."""
LARGEST_FACTOR = 6
KAISER = 7.0
"""The window's shape: what is beyond the band is 70 dB lower."""
PASSED = 0.92
"""The part of the band that the filter passes."""


class SoundRate:
    """Samples of one rate in, float32 mono of another out."""

    def __init__(self, rate: int, new_rate: int) -> None:
        common = gcd(rate, new_rate)
        self._up, self._down = new_rate // common, rate // common
        self._rate, self._new_rate = rate, new_rate
        largest = max(self._up, self._down)
        self._is_short = largest <= LARGEST_FACTOR
        self._half = HALF_WIDTH * largest
        if self._is_short:
            steps = np.arange(-self._half, self._half + 1)
            ideal = np.sinc(steps * PASSED / largest) * PASSED / largest
            taps = ideal * np.kaiser(steps.size, KAISER)
            self._taps = (taps * self._up / taps.sum()).astype(np.float32)
        self._stream: Any = None
        self._before: NDArray[np.float32] = np.zeros(0, np.float32)
        self._passed = 0
        self._begin()

    def feed(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next samples, ``(n,)``, and return those that are ready."""
        if self._rate == self._new_rate or not pcm.size:
            return pcm
        if self._stream is not None:
            return np.asarray(self._stream.resample_chunk(pcm), dtype=np.float32)
        spread = np.zeros(pcm.size * self._up, np.float32)
        spread[:: self._up] = pcm
        given = np.concatenate((self._before, spread))
        self._before = given[-2 * self._half :]
        filtered = np.convolve(given, self._taps, "valid")
        # The filter's delay comes off at the beginning: output 0 is the sound's sample 0.
        first = max(-self._passed, 0) if self._passed < 0 else -self._passed % self._down
        self._passed += spread.size
        return np.asarray(filtered[first :: self._down], dtype=np.float32)

    def finish(self) -> NDArray[np.float32]:
        """Return the samples that were kept back; what is fed next is a new sound."""
        if self._rate == self._new_rate:
            return np.zeros(0, np.float32)
        if self._stream is not None:
            rest = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        else:
            rest = self.feed(np.zeros(-(-self._half // self._up), np.float32))
        self._begin()
        return np.asarray(rest, dtype=np.float32)

    def _begin(self) -> None:
        self._stream = None
        self._before = np.zeros(2 * self._half, np.float32)
        self._passed = -self._half
        if self._rate != self._new_rate and not self._is_short:
            import soxr

            self._stream = soxr.ResampleStream(
                self._rate, self._new_rate, 1, dtype="float32", quality="MQ"
            )
