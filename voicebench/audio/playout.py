"""A queue of samples between a synthesizer, which works in bursts, and a steady sound device.

The synthesizer's thread calls `Playout.put`. The sound device's thread calls `Playout.fill` for
each block, and gets samples, then zeros if there are no more. What the listener heard is counted in
samples, without a clock: how many were taken, and the *gaps*, where the speech paused because the
next samples were not there yet. Silence before the first sample and after the last is not a gap.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Filled:
    """How many samples a block got before its zeros, and whether it was the last block."""

    samples: int
    is_last: bool


class Playout:
    """A bounded queue of samples for one writer and one reader, in two threads.

    `put` blocks while ``limit`` samples wait.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._chunks: deque[NDArray[np.float32]] = deque()
        self._waiting = 0
        self._closed = False
        self._starved = 0
        self.taken = 0
        self.gaps = 0
        self.gap_samples = 0

    @property
    def waiting(self) -> int:
        """Samples that were not taken yet."""
        with self._changed:
            return self._waiting

    def put(self, pcm: NDArray[np.float32], timeout_s: float) -> bool:
        """Add samples. Return False, and add nothing, if there was no room within ``timeout_s``.

        After `close` or `clear` samples are dropped.
        """
        with self._changed:
            if not self._changed.wait_for(self._has_room, timeout_s):
                return False
            if not self._closed and pcm.size:
                # A copy: the synthesizer may reuse its buffer.
                self._chunks.append(np.array(pcm, dtype=np.float32))
                self._waiting += pcm.size
            return True

    def close(self) -> None:
        """Mark the end: no samples follow."""
        with self._changed:
            self._closed = True

    def clear(self) -> None:
        """Drop the waiting samples, and close: the next block is silent."""
        with self._changed:
            self._chunks.clear()
            self._waiting = 0
            self._closed = True
            self._changed.notify_all()

    def fill(self, block: NDArray[np.float32]) -> Filled:
        """Write the next samples into ``block`` ``(frames,)``, then zeros."""
        with self._changed:
            filled = 0
            while filled < block.size and self._chunks:
                chunk = self._chunks[0]
                piece = chunk[: block.size - filled]
                block[filled : filled + piece.size] = piece
                filled += piece.size
                if piece.size == chunk.size:
                    self._chunks.popleft()
                else:
                    self._chunks[0] = chunk[piece.size :]
            block[filled:] = 0
            self._waiting -= filled
            self._count(filled, block.size)
            self._changed.notify_all()
            return Filled(filled, self._closed and not self._chunks)

    def _has_room(self) -> bool:
        return self._closed or self._waiting < self._limit

    def _count(self, filled: int, wanted: int) -> None:
        """Count a gap once it is over: silence without speech after it is the end, not a gap."""
        if filled and self._starved:
            self.gaps += 1
            self.gap_samples += self._starved
            self._starved = 0
        self.taken += filled
        if self.taken:
            self._starved += wanted - filled
