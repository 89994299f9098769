"""The last half minute of the caller's sound, addressed by sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CallerSound:
    """Keeps the newest ``most`` samples, int16 mono; positions count from the call's beginning."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: NDArray[np.int16] = np.zeros(2 * most, np.int16)
        self._filled = 0
        self._dropped = 0

    @property
    def position(self) -> int:
        """How many samples were added."""
        return self._dropped + self._filled

    def add(self, frame: NDArray[np.int16]) -> None:
        """Add the next samples."""
        if self._filled + frame.size > self._kept.size:
            keep = min(self._most, self._filled)
            self._kept[:keep] = self._kept[self._filled - keep : self._filled]
            self._dropped += self._filled - keep
            self._filled = keep
        self._kept[self._filled : self._filled + frame.size] = frame
        self._filled += frame.size

    def since(self, sample: int, until: int | None = None) -> NDArray[np.float32]:
        """Return the sound from ``sample`` on, as far as it is kept: float32 in [-1, 1).

        ``until`` is the sample behind its last one; None takes all.
        """
        begin = max(sample - self._dropped, 0)
        end = self._filled if until is None else min(max(until - self._dropped, 0), self._filled)
        return self._kept[begin:end].astype(np.float32) / np.float32(32768)
