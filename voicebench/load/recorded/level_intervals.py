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

import numpy as np

from voicebench.figures.comparison import Outcome
from voicebench.figures.differences import recovered_difference
from voicebench.figures.intervals import LEVEL, Interval, wilson_interval
from voicebench.figures.probabilities import normal_quantile
from voicebench.figures.summary import carries, percentile
from voicebench.load.evidence import block_inflation
from voicebench.load.load_gate import LoadGate, full_turns, good_marks
from voicebench.load.loaded_turn import LevelTurns, Marks, Values
from voicebench.load.recorded.judged_again import RecordedLevel

GOOD = "good.rate"
TIMES = (("first_audio_due_ms", 50), ("first_audio_due_ms", 95))
FIGURES = 1 + len(TIMES)
"""How many figures of a level are compared."""


@dataclass(frozen=True, slots=True)
class LevelFigure:
    """A figure of a level with its widened interval."""

    value: float
    interval: Interval
    effective_n: float


def good_share(
    level: RecordedLevel, gates: tuple[LoadGate, ...], confidence: float = LEVEL
) -> LevelFigure | None:
    """Return the share of good turns; None without turns that can be good."""
    inside = level.held.measured
    full = full_turns(inside)
    counted = inside.rows(full)
    if not counted.n:
        return None
    good = good_marks(gates, inside)[full]
    effective = counted.n / _inflation(level, counted, ~good)
    share = float(good.mean())
    return LevelFigure(share, wilson_interval(share, effective, confidence), effective)


def quantile_of(
    level: RecordedLevel, metric: str, q: float, confidence: float = LEVEL
) -> LevelFigure | None:
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
    reach = normal_quantile((1 + confidence) / 2) * math.sqrt(p * (1 - p) / effective)
    low = float(np.quantile(shown, p - reach)) if p > reach else None
    high = float(np.quantile(shown, p + reach)) if p + reach < 1 else None
    return LevelFigure(value, Interval(low, high, confidence), effective)


def level_figures(
    level: RecordedLevel, gates: tuple[LoadGate, ...], confidence: float = LEVEL
) -> dict[str, LevelFigure | None]:
    """Return the figures by which levels are compared; None where the turns are too few."""
    found = {GOOD: good_share(level, gates, confidence)}
    for metric, q in TIMES:
        name = f"{metric.removesuffix('_ms')}.p{q}"
        found[name] = quantile_of(level, metric, q, confidence)
    return found


def difference(first: LevelFigure, second: LevelFigure) -> Interval:
    """Return the interval of ``second`` minus ``first``; an end that cannot be bound is open."""
    return recovered_difference((first.value, first.interval), (second.value, second.interval))


def outcome_of(around: Interval, *, lower_is_better: bool) -> Outcome:
    """Return what the interval of a change shows."""
    if around.low is not None and around.low > 0:
        return Outcome.WORSE if lower_is_better else Outcome.BETTER
    if around.high is not None and around.high < 0:
        return Outcome.BETTER if lower_is_better else Outcome.WORSE
    return Outcome.NONE_SHOWN if around.is_closed else Outcome.TOO_FEW


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
