"""From turns to distributions: the only definition of mean and percentile.

A failed turn counts in ``n`` and as ``missing``; its metrics are not used, except the outcomes of
a call (`Metric.of_failed`). No value is removed as an outlier.

Percentiles interpolate linearly between order statistics (numpy's default, Hyndman and Fan 1996,
type 7). The q-quantile needs at least 1 / (1 - q) values, so p95 needs 20 and p99 needs 100. With
fewer values the maximum takes its place, and the percentile is listed in ``limited``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from voicebench.events import Phase
from voicebench.figures.metrics import METRICS, Metric
from voicebench.turn.timeline import Timeline

PERCENTILES = (50, 90, 95, 99)


def percentile(values: Sequence[float], q: float) -> float:
    """Return the ``q``-th percentile (0 to 100) of ``values`` by linear interpolation."""
    return float(np.percentile(np.asarray(values, dtype=np.float64), q))


def carries(count: int, q: float) -> bool:
    """Return whether ``count`` values are enough for the ``q``-th percentile."""
    return q < 100 and count >= values_needed(q)


def values_needed(q: float) -> int:
    """Return how many values the ``q``-th percentile (under 100) needs: 20 for p95."""
    return math.ceil(round(100 / (100 - q), 9))


@dataclass(frozen=True, slots=True)
class Distribution:
    """The values of one metric over the measured turns."""

    values: tuple[float, ...]
    missing: int
    """Turns without a value, censored ones included."""
    censored: int = 0
    """Turns whose value is known to be larger than could be observed. They have no value, but
    count as larger than any: so a percentile or a mean that would need them is missing."""

    @property
    def n(self) -> int:
        """The number of turns, failed ones and those without a value included."""
        return len(self.values) + self.missing

    def mean(self) -> float | None:
        """Return the arithmetic mean; None without values, or if one is censored."""
        if self.censored:
            return None
        return float(np.mean(self.values)) if self.values else None

    def deviation(self) -> float | None:
        """Return the sample standard deviation (n - 1); None under two values or if censored."""
        if self.censored:
            return None
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    def quantile(self, q: float) -> tuple[float | None, bool]:
        """Return the ``q``-th percentile, and whether there are enough values for it.

        Without enough values it is the maximum.
        """
        if not self.values:
            return None, False
        if self.censored:
            return self._quantile_beside_censored(q)
        if carries(len(self.values), q):
            return percentile(self.values, q), True
        return max(self.values), False

    def _quantile_beside_censored(self, q: float) -> tuple[float | None, bool]:
        known = sorted(self.values)
        count = len(known) + self.censored
        place = (count - 1) * q / 100
        below = math.floor(place)
        if not carries(count, q) or math.ceil(place) >= len(known):
            return None, False
        above = known[math.ceil(place)]
        return known[below] + (above - known[below]) * (place - below), True

    def ordered(self) -> tuple[float, ...]:
        """Return the values, and infinity for each censored one."""
        return (*self.values, *([math.inf] * self.censored))

    def largest(self) -> float | None:
        """Return the largest value; None without values, or if one is censored."""
        return None if self.censored else max(self.values, default=None)

    def share(self, counts: Callable[[float], bool]) -> float | None:
        """Return the share of all ``n`` turns whose value counts; None without turns.

        A turn without a value does not count.
        """
        return sum(counts(value) for value in self.values) / self.n if self.n else None

    def as_dict(self) -> dict[str, object]:
        """Return the figures of ``summary.json``."""
        figures: dict[str, object] = {
            "n": self.n,
            "missing": self.missing,
            **({"censored": self.censored} if self.censored else {}),
            "mean": self.mean(),
            "stdev": self.deviation(),
            "min": min(self.values, default=None),
        }
        limited = []
        for q in PERCENTILES:
            value, carried = self.quantile(q)
            figures[f"p{q}"] = value
            if value is not None and not carried:
                limited.append(f"p{q}")
        figures["max"] = self.largest()
        figures["limited"] = limited
        return figures


@dataclass(frozen=True, slots=True)
class Summary:
    """The distributions of a run's turns of one phase, and how many failed."""

    turns: int
    failed: int
    metrics: dict[str, Distribution]

    @property
    def error_rate(self) -> float | None:
        """Failed turns over turns; None without turns."""
        return self.failed / self.turns if self.turns else None


def censored_in(metric: Metric, outcomes: Callable[[str], Sequence[float]]) -> int:
    """Return how many turns are censored: those in which the event of ``metric`` was not seen.

    ``outcomes`` returns the values of the metric that says so (`Metric.confirmed_by`).
    """
    return sum(value == 0 for value in outcomes(metric.confirmed_by)) if metric.confirmed_by else 0


def summarize(turns: Iterable[Timeline], phase: Phase = "measured") -> Summary:
    """Return the distribution of every metric over the turns of ``phase``."""
    counted = [turn for turn in turns if turn.phase == phase]
    usable = [turn for turn in counted if not turn.failed]
    values: dict[str, tuple[float, ...]] = {}
    for metric in METRICS:
        of = counted if metric.of_failed else usable
        values[metric.name] = tuple(v for turn in of if (v := metric.of(turn)) is not None)
    are_calls = any(turn.call is not None for turn in counted)
    distributions = {}
    for metric in METRICS:
        able = counted
        if metric.kinds and are_calls:
            able = [turn for turn in counted if turn.call and turn.call.kind in metric.kinds]
        found = values[metric.name]
        distributions[metric.name] = Distribution(
            found, len(able) - len(found), censored_in(metric, values.__getitem__)
        )
    return Summary(len(counted), len(counted) - len(usable), distributions)
