"""How fast this machine reads its memory: the floor for every pass over a model's weights.

There are two ways, each repeated over a block far larger than any cache. *read* adds up the numbers
of the block with all of torch's threads. *copy* writes them to another block (bytes read plus bytes
written). The fastest pass counts, because other load only makes a pass slower. The larger of the
two rates is the machine's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

BLOCK_BYTES = 512 * 2**20
PASSES = 8


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bytes per second, by a read and by a copy."""

    read: float
    copy: float

    @property
    def best(self) -> float:
        """The rate that the floor is computed with."""
        return max(self.read, self.copy)

    def floor_ms(self, size: float) -> float:
        """Return the shortest time in which ``size`` bytes can be read, in milliseconds."""
        return 1000 * size / self.best


def measure(block_bytes: int = BLOCK_BYTES, passes: int = PASSES) -> Bandwidth:
    """Measure both rates; takes about two seconds."""
    import torch

    block = torch.ones(block_bytes // 4)
    other = torch.empty_like(block)
    return Bandwidth(
        read=block_bytes / _fastest(block.sum, passes),
        copy=2 * block_bytes / _fastest(lambda: other.copy_(block), passes),
    )


def _fastest(action: Callable[[], object], passes: int) -> float:
    best = float("inf")
    for _ in range(passes):
        begun = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - begun)
    return best
