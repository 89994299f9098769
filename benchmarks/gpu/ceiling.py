"""How fast a device reads its memory: the floor for every pass over a model's weights."""

from __future__ import annotations

import torch

from benchmarks.first_audio.bandwidth import Bandwidth
from benchmarks.gpu.judged import milliseconds

PASSES = 8


def measure(device: str) -> Bandwidth:
    """Return the rates of a read and of a copy, with blocks far larger than any cache."""
    size = (4 << 30) if device.startswith("cuda") else (256 << 20)
    block = torch.rand(size // 4, device=device)
    other = torch.empty_like(block)
    read, copy = (float("inf"),) * 2
    for _ in range(PASSES):
        read = min(read, milliseconds(lambda: float(block.sum())))
        copy = min(copy, milliseconds(lambda: float(other.copy_(block)[0])))
    return Bandwidth(read=1000 * size / read, copy=2000 * size / copy)
