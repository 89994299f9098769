"""Intervals of figures of a level, widened because its turns depend on each other.

Near capacity slow turns come in runs. So n turns count as n over the *inflation*: the variance of
the share between blocks over that of independent turns (`voicebench.load.evidence`).

* A share by Wilson's interval (1927) of the effective n.
* A percentile by Woodruff (1952, Journal of the American Statistical Association 47): the
  percentiles of the turns at both ends of the interval of its share.
* The difference of two by the distances of both intervals (Newcombe 1998, Statistics in Medicine
  17; for any figure Zou and Donner 2008, Statistics in Medicine 27).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from voicebench.figures.intervals import LEVEL, Interval
from voicebench.figures.summary import carries, percentile
from voicebench.load.evidence import block_inflation
from voicebench.load.load_gate import LoadGate, full_turns, good_marks
from voicebench.load.loaded_turn import LevelTurns, Marks, Values
from voicebench.load.recorded.judged_again import RecordedLevel


@dataclass(frozen=True, slots=True)
class LevelFigure:
    """A figure of a level with its widened interval."""

    value: float
    interval: Interval
    effective_n: float


def good_share(level: RecordedLevel, gates: tuple[LoadGate, ...]) -> LevelFigure | None:
    """Return the share of good turns; None without turns that can be good."""
    inside = level.held.measured
    full = full_turns(inside)
    counted = inside.rows(full)
    if not counted.n:
        return None
    good = good_marks(gates, inside)[full]
    effective = counted.n / _inflation(level, counted, ~good)
    share = float(good.mean())
    return LevelFigure(share, _wilson(share, effective), effective)


def quantile_of(level: RecordedLevel, metric: str, q: float) -> LevelFigure | None:
    """Return a percentile of the turns that went well; None if they are too few for it."""
    inside = level.held.measured
    values = inside.values.get(metric)
    if values is None:
        return None
    known = inside.went_well & ~np.isnan(values)
    counted, shown = inside.rows(known), values[known]
    if not carries(counted.n, q):
        return None
    value = percentile(shown.tolist(), q)
    effective = counted.n / _inflation(level, counted, shown > value)
    p = q / 100
    reach = _normal(LEVEL) * math.sqrt(p * (1 - p) / effective)
    low = float(np.quantile(shown, p - reach)) if p > reach else None
    high = float(np.quantile(shown, p + reach)) if p + reach < 1 else None
    return LevelFigure(value, Interval(low, high), effective)


def difference(first: LevelFigure, second: LevelFigure) -> Interval:
    """Return the interval of ``second`` minus ``first``; an end that cannot be bound is open."""
    change = second.value - first.value
    below = _distance(
        _gap(second.value, second.interval.low), _gap(first.interval.high, first.value)
    )
    above = _distance(
        _gap(second.interval.high, second.value), _gap(first.value, first.interval.low)
    )
    return Interval(
        None if below is None else change - below, None if above is None else change + above
    )


def _distance(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else math.hypot(one, other)


def _gap(high: float | None, low: float | None) -> float | None:
    return None if high is None or low is None else high - low


def _wilson(share: float, n: float) -> Interval:
    z = _normal(LEVEL)
    pull = z * z / n
    centre = (share + pull / 2) / (1 + pull)
    reach = z / (1 + pull) * math.sqrt(share * (1 - share) / n + pull / (4 * n))
    return Interval(max(centre - reach, 0.0), min(centre + reach, 1.0))


def _inflation(level: RecordedLevel, counted: LevelTurns, marks: Marks) -> float:
    edges = block_edges(level)
    everything = counted.counted(np.ones(counted.n, dtype=np.bool_), edges)
    return block_inflation(counted.counted(marks, edges), everything)


def block_edges(level: RecordedLevel) -> Values:
    """Return the edges of the blocks of the measured window."""
    window = level.held.judgement.window
    blocks = max(int(window.length_s / level.rule.block_s + 1e-9), 1)
    edges: Values = np.linspace(window.start_s, window.end_s, blocks + 1)
    return edges


def _normal(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
