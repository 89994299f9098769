"""Packet loss and jitter of a script: what becomes of each packet of the caller.

Draws come from the script's seed and the number of the call, so a second run loses the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PacketWay:
    """The way from the caller to the agent, where it has packets.

    ``loss`` is the share of packets that never arrive. Every other one is delayed by up to
    ``jitter_ms``, each delay equally likely, so that packets overtake one another.
    """

    loss: float = 0.0
    jitter_ms: float = 0.0
    seed: int = 1

    @property
    def is_clean(self) -> bool:
        """Whether nothing happens to any packet."""
        return not self.loss and not self.jitter_ms

    def delays_s(self, call: int) -> Iterator[float | None]:
        """Yield the delay of each packet of the call ``call``; None for one that is lost."""
        draws = np.random.default_rng((self.seed, call))
        while True:
            lost, late = draws.random(2)
            yield None if lost < self.loss else float(late) * self.jitter_ms / 1000
