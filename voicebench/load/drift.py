"""Drift over a long level: does latency, memory, or the number of connections keep rising?

The slope of a curve of blocks is the median of the slopes between all pairs of blocks (Theil 1950,
Sen 1968), which a few bad blocks do not change, nor a rise at the beginning that ends. Its interval
comes from the distribution of Kendall's statistic (Sen 1968, Journal of the American Statistical
Association 63). Neighbouring blocks are alike, so they are joined first, to `GROUPS` medians.

A curve **drifts** if the whole interval of its rise is above what is allowed: only then is it a
reason to fail. All curves of a level share the error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, median

import numpy as np

from voicebench.load.level_rule import Window
from voicebench.load.loaded_turn import LevelTurns, Values

GROUPS = 24
LEAST_GROUPS = 8
ERROR = 0.05
LATENCY = "first_audio_due_ms"
ALLOWED: Mapping[str, tuple[float, float]] = {
    LATENCY: (0.20, 20.0),
    "server_memory_mb": (0.10, 16.0),
    "server_descriptors": (0.10, 10.0),
    "server_connections": (0.10, 10.0),
    "client_memory_mb": (0.10, 16.0),
    "client_descriptors": (0.10, 10.0),
    "client_connections": (0.10, 10.0),
}
"""The rise over the window that is allowed for each curve: a share of its begin, and at least so
much."""


@dataclass(frozen=True, slots=True)
class Drift:
    """The rise of one curve over the measured window, with its interval."""

    name: str
    begin: float
    """The median of the first group of blocks."""
    rise: float
    low: float
    high: float
    """Minus and plus infinity if the groups are too few."""
    groups: int

    @property
    def allowed(self) -> float:
        """The rise that is allowed."""
        share, least = ALLOWED[self.name]
        return max(share * self.begin, least)

    @property
    def is_shown(self) -> bool:
        """Whether the whole interval is above what is allowed."""
        return self.low > self.allowed

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``levels.jsonl``; an open end is None."""
        return {
            "curve": self.name,
            "begin": self.begin,
            "rise": self.rise,
            "low": self.low if math.isfinite(self.low) else None,
            "high": self.high if math.isfinite(self.high) else None,
            "allowed": self.allowed,
            "groups": self.groups,
            "drifts": self.is_shown,
        }

    def sentence(self) -> str:
        """Return the drift in words."""
        return (
            f"{self.name} drifts: it rises by {self.rise:.4g} over the window (at least "
            f"{self.low:.4g}), from {self.begin:.4g}, and {self.allowed:.4g} is allowed"
        )


@dataclass(frozen=True, slots=True, eq=False)
class SoakSamples:
    """Curves of client and server: one value after each block of the window."""

    block_s: float
    curves: Mapping[str, Sequence[float | None]] = field(default_factory=dict)

    def drifts(self, turns: LevelTurns, window: Window) -> tuple[Drift, ...]:
        """Return the drift of latency, and of each curve that could be read.

        ``turns`` are those that were due in the window.
        """
        curves = {LATENCY: _latency(turns, window, self.block_s), **self.curves}
        found = []
        for name in ALLOWED:
            known = [value for value in curves.get(name, ()) if value is not None]
            if known:
                found.append(drift_of(name, known, ERROR / len(ALLOWED)))
        return tuple(found)


def drift_of(name: str, values: Sequence[float], error: float) -> Drift:
    """Return the drift of a curve, a value a block (at least one), two-sided at ``error``."""
    groups = grouped(values)
    n = len(groups)
    steps = n - 1
    earlier, later = np.triu_indices(n, 1)
    slopes = np.sort((groups[later] - groups[earlier]) / (later - earlier))
    if n < LEAST_GROUPS:
        rise = float(np.median(slopes)) * steps if slopes.size else 0.0
        return Drift(name, float(groups[0]), rise, -math.inf, math.inf, n)
    z = NormalDist().inv_cdf(1 - error / 2)
    width = z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    first = math.floor((slopes.size - width) / 2) - 1
    last = math.ceil((slopes.size + width) / 2)
    low = float(slopes[first]) * steps if first >= 0 else -math.inf
    high = float(slopes[last]) * steps if last < slopes.size else math.inf
    return Drift(name, float(groups[0]), float(np.median(slopes)) * steps, low, high, n)


def grouped(values: Sequence[float]) -> Values:
    """Return the medians of at most `GROUPS` groups of neighbours, each as large as the others."""
    each = max(len(values) // GROUPS, 1)
    whole = len(values) // each * each
    parts = [values[start : start + each] for start in range(0, whole, each)]
    return np.array([median(part) for part in parts], dtype=np.float64)


def _latency(turns: LevelTurns, window: Window, block_s: float) -> list[float | None]:
    """Return the median first audio of each block; None where none was answered."""
    if LATENCY not in turns.values:
        return []
    blocks = max(int(window.length_s / block_s + 1e-9), 1)
    shown = turns.went_well & ~np.isnan(turns.values[LATENCY])
    place = ((turns.due_s[shown] - window.start_s) / block_s).astype(np.int64)
    values = turns.values[LATENCY][shown]
    return [
        float(np.median(values[place == block])) if (place == block).any() else None
        for block in range(blocks)
    ]
