"""The noise of an utterance, drawn so that the same text always sounds the same."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

BLOCK = 64
"""Frames are drawn in blocks of this many, so that the windows have no say in what is drawn."""


class SeededNoise:
    """Normal noise that follows from a seed and a text alone, on the CPU for every device.

    Whoever streams and whoever does not, in windows of any size, draws the same numbers.
    """

    def __init__(self, seed: int, text: str) -> None:
        digest = hashlib.blake2b(f"{seed}\0{text}".encode(errors="replace"), digest_size=8).digest()
        self._generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
        self._left: Tensor | None = None

    def for_durations(self, symbols: int) -> Tensor:
        """Return (symbols, 2); what is left of an earlier utterance's frames is dropped."""
        self._left = None
        return torch.randn(symbols, 2, generator=self._generator)

    def for_frames(self, frames: int, channels: int) -> Tensor:
        """Return the next (frames, channels) of the utterance."""
        drawn = [] if self._left is None else [self._left]
        have = sum(block.shape[0] for block in drawn)
        while have < frames:
            drawn.append(torch.randn(BLOCK, channels, generator=self._generator))
            have += BLOCK
        together = torch.cat(drawn)
        self._left = together[frames:]
        return together[:frames]
