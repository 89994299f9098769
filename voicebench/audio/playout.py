"""The samples between a synthesizer that makes them in bursts and a sound device that never waits.

The synthesizer's thread `put`s chunks; the sound device's thread calls `fill` for each block it
needs and gets samples, then zeros where there are none. What the listener heard is counted in
samples, without a clock: how many were taken, and how often the speech broke off because the next
samples were not there yet (a *gap*). The silence before the first sample and after the last is no
gap.
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
    """What one block got: samples at its head, zeros behind; and whether anything follows."""

    samples: int
    is_last: bool


class Playout:
    """A bounded queue of samples with one writer and one reader, in two threads.

    ``limit`` is how many samples may wait before `put` blocks: a bound on memory.
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
        """Samples that are not taken yet."""
        with self._changed:
            return self._waiting

    def put(self, pcm: NDArray[np.float32], timeout_s: float) -> bool:
        """Add samples; False where there was no room within ``timeout_s``, and nothing is added.

        After `close` or `clear` samples are dropped: there is nobody to hear them.
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
        """Say that no samples follow."""
        with self._changed:
            self._closed = True

    def clear(self) -> None:
        """Drop what waits, and close: from the next block on there is silence."""
        with self._changed:
            self._chunks.clear()
            self._waiting = 0
            self._closed = True
            self._changed.notify_all()

    def fill(self, block: NDArray[np.float32]) -> Filled:
        """Write the next samples into ``block`` ``(frames,)``, zeros where there are none."""
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
        """Count a gap once it is over: silence that no speech follows was the end."""
        if filled and self._starved:
            self.gaps += 1
            self.gap_samples += self._starved
            self._starved = 0
        self.taken += filled
        if self.taken:
            self._starved += wanted - filled
