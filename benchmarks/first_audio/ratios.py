"""Figures of each row, and how many times faster one row is than another.

A ratio is that of two percentiles over the same prompts. Its interval comes from a bootstrap of the
prompts: whole prompts are drawn with the turns of both rows, so the cost of a prompt itself does
not widen the interval. With some thirty prompts the interval of a p95 is wide: it depends on the
two or three slowest turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voicebench.figures.intervals import LEVEL, Interval
from voicebench.figures.metrics import BY_NAME
from voicebench.figures.summary import percentile
from voicebench.turn.timeline import Timeline

METRICS = ("first_audio_ms", "first_sound_ms", "gapless_start_ms", "llm_total_ms")
RESAMPLES = 4000
SEED = 20_260_101


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long ``slow`` takes as ``fast``; ``interval`` is None for one prompt."""

    ratio: float
    interval: Interval | None

    def __str__(self) -> str:
        """Return the ratio with its interval, for a table."""
        within = self.interval
        between = f" ({within.low:.2f} to {within.high:.2f})" if within is not None else ""
        return f"{self.ratio:.2f} ×{between}"


def values_of(turns: Sequence[Timeline], metric: str) -> list[float | None]:
    """Return ``metric`` of each turn; None if the turn failed or does not show it."""
    of = BY_NAME[metric].of
    return [None if turn.failed else of(turn) for turn in turns]


def known(values: Sequence[float | None]) -> list[float]:
    """Return the values that are not missing."""
    return [value for value in values if value is not None]


def figure(turns: Sequence[Timeline], metric: str, q: float) -> float | None:
    """Return the ``q``-th percentile of ``metric``; None without a value."""
    values = known(values_of(turns, metric))
    return percentile(values, q) if values else None


def ratio(
    slow: Sequence[float | None], fast: Sequence[float | None], q: float, level: float = LEVEL
) -> Ratio | None:
    """Return the ratio of the ``q``-th percentiles of two rows over the same prompts.

    A prompt without a value in one row is dropped in both; None if no prompt is left.
    """
    pairs = [
        (one, other)
        for one, other in zip(slow, fast, strict=False)
        if one is not None and other is not None
    ]
    if not pairs:
        return None
    both = np.array(pairs, dtype=np.float64)
    slow_figure, fast_figure = np.percentile(both, q, axis=0)
    found = float(slow_figure / fast_figure)
    if len(pairs) == 1:
        return Ratio(found, None)
    drawn = np.random.default_rng(SEED).integers(0, len(pairs), (RESAMPLES, len(pairs)))
    resampled = np.percentile(both[drawn], q, axis=1)
    ratios = resampled[:, 0] / resampled[:, 1]
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return Ratio(found, Interval(float(low), float(high), level))
