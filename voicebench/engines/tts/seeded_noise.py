"""The noise of an utterance, drawn so that the same text always sounds the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 64
"""Frames are drawn in blocks of this many, so that the windows have no say in what is drawn."""


class SeededNoise:
    """Normal noise, float32, that follows from a seed and a text alone, whatever the device.

    Whoever streams and whoever does not, in windows of any size, draws the same numbers.
    """

    def __init__(self, seed: int, text: str) -> None:
        digest = hashlib.blake2b(f"{seed}\0{text}".encode(errors="replace"), digest_size=8).digest()
        self._generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
        self._left: NDArray[np.float32] | None = None

    def for_durations(self, symbols: int) -> NDArray[np.float32]:
        """Return (symbols, 2); what is left of an earlier utterance's frames is dropped."""
        self._left = None
        return self._generator.standard_normal((symbols, 2), np.float32)

    def for_frames(self, frames: int, channels: int) -> NDArray[np.float32]:
        """Return the next (frames, channels) of the utterance."""
        drawn = [] if self._left is None else [self._left]
        have = sum(block.shape[0] for block in drawn)
        while have < frames:
            drawn.append(self._generator.standard_normal((BLOCK, channels), np.float32))
            have += BLOCK
        together = np.concatenate(drawn)
        self._left = together[frames:]
        return together[:frames]
