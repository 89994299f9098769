"""Two runs side by side: figures, their difference with its interval, and what that shows.

`voicebench.judging.comparability` decides whether they may be compared at all.

**Pairs.** Turns are paired by their prompt: the k-th time in one run with the k-th time in the
other. Differences are paired if at least `PAIRED_FROM` of the longer run's turns have a partner.
The figures of both runs are always over all their turns, so the paired change may differ a little
from their difference.

**The verdict** is better or worse if the interval excludes 0. If the interval is open, there were
too few turns. Else no difference is shown, which does not mean that there is none: the interval
says how large it could be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from voicebench.figures.columns import Columns
from voicebench.figures.differences import (
    Difference,
    Values,
    mean_difference,
    pair_up,
    paired_mean_difference,
    quantile_correlation,
    recovered_difference,
    turns_to_show,
)
from voicebench.figures.figure import WITHOUT_INTERVAL, Figure, find_metric, parse_figure
from voicebench.figures.intervals import LEVEL, values_to_bound
from voicebench.figures.metrics import METRICS
from voicebench.figures.summary import Summary

PAIRED_FROM = 0.9


class Outcome(StrEnum):
    """Result of a comparison: better, worse, or no difference shown."""

    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed"
    """A difference is shown, and neither direction of the metric is better."""
    NONE_SHOWN = "no difference shown"
    TOO_FEW = "too few turns"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """One figure of both runs."""

    figure: Figure
    first: float | None
    second: float | None
    difference: Difference | None
    outcome: Outcome
    turns_needed: int | None = None
    """About how many turns each run needs to show a change of this size, if it is not shown."""

    @property
    def relative(self) -> float | None:
        """The change as a share of the first run's figure."""
        if self.difference is None or not self.first:
            return None
        return self.difference.change / abs(self.first)

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``compare --json``."""
        difference = self.difference
        interval = difference.interval if difference else None
        return {
            "figure": self.figure.name,
            "unit": self.figure.unit,
            "first": self.first,
            "second": self.second,
            "change": difference.change if difference else None,
            "change_share": self.relative,
            "interval": interval.as_dict() if interval else None,
            "pairs": difference.pairs if difference else None,
            "verdict": self.outcome.value,
            "turns_needed": self.turns_needed,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of two runs: its figures, settings and environment."""

    columns: Columns
    settings: Mapping[str, object]
    environment: Mapping[str, object]
    summary: Summary


def side_of(
    columns: Columns, settings: Mapping[str, object], environment: Mapping[str, object]
) -> Side:
    """Return a run's side of a comparison."""
    return Side(columns, settings, environment, columns.summary())


def default_figures(first: Summary, second: Summary) -> list[Figure]:
    """Return the medians of metrics that both runs show and that can be better, and errors."""
    figures = [
        Figure(metric, "p50")
        for metric in METRICS
        if metric.better != "neither"
        and metric.name != "unattributed_ms"
        and first.metrics[metric.name].values
        and second.metrics[metric.name].values
    ]
    return [*figures, Figure(None, "rate")]


def chosen_figure(text: str) -> Figure:
    """Parse ``--metric``: a figure, or a metric, which means its median.

    Raises `voicebench.errors.UsageError`.
    """
    if "." in text:
        return parse_figure(text)
    metric = find_metric(text.strip().lower(), f"metric {text!r}")
    return Figure(metric, "p50") if metric else Figure(None, "rate")


def compare(
    figures: Sequence[Figure], first: Side, second: Side, level: float = LEVEL
) -> list[ComparedFigure]:
    """Return each figure of both runs with its difference."""
    pairs = pair_up(first.columns.prompts, second.columns.prompts)
    turns = max(first.columns.turns, second.columns.turns)
    paired = pairs if turns and len(pairs) >= PAIRED_FROM * turns else None
    return [_compare_figure(figure, first, second, paired, level) for figure in figures]


def _compare_figure(
    figure: Figure,
    first: Side,
    second: Side,
    pairs: Sequence[tuple[int, int]] | None,
    level: float,
) -> ComparedFigure:
    was, now = figure.observe(first.summary)[0], figure.observe(second.summary)[0]
    if was is None or now is None:
        return ComparedFigure(figure, was, now, None, Outcome.NOT_MEASURED)
    both = _paired_values(figure, first.columns, second.columns, pairs)
    if figure.statistic == "mean":
        difference = _difference_of_means(figure, first, second, both, level)
    else:
        difference = _recovered(figure, (was, first), (now, second), both, level)
    outcome = _outcome(figure, difference)
    needed = None
    if outcome in (Outcome.NONE_SHOWN, Outcome.TOO_FEW):
        counts = _count(figure, first.summary), _count(figure, second.summary)
        needed = _turns_needed(figure, difference, counts, level)
    return ComparedFigure(figure, was, now, difference, outcome, needed)


def _count(figure: Figure, summary: Summary) -> int:
    """Return the number of turns in the figure; all turns for a share."""
    if figure.metric is None or figure.argument is not None:
        return summary.turns
    return len(summary.metrics[figure.metric.name].values)


def _turns_needed(
    figure: Figure, difference: Difference, counts: tuple[int, int], level: float
) -> int | None:
    """Return how many turns each run needs to show the change; None if no number would do."""
    if figure.statistic in WITHOUT_INTERVAL:
        return None
    shown_by = turns_to_show(difference, counts)
    if difference.interval is not None and difference.interval.is_closed:
        return shown_by
    quantile = figure.percentile
    return max(shown_by or 0, 2 if quantile is None else values_to_bound(quantile, level))


def _paired_values(
    figure: Figure, first: Columns, second: Columns, pairs: Sequence[tuple[int, int]] | None
) -> tuple[Values, Values] | None:
    """Return the values of the pairs in which both turns have a value."""
    if pairs is None or figure.metric is None:
        return None
    indices = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    ours = first.values[figure.metric.name][indices[:, 0]]
    theirs = second.values[figure.metric.name][indices[:, 1]]
    known = ~(np.isnan(ours) | np.isnan(theirs))
    return (ours[known], theirs[known]) if known.sum() > 1 else None


def _difference_of_means(
    figure: Figure,
    first: Side,
    second: Side,
    both: tuple[Values, Values] | None,
    level: float,
) -> Difference:
    assert figure.metric is not None
    if both is not None:
        interval = paired_mean_difference(*both, level)
        ours, theirs, pairs = *both, both[0].size
    else:
        ours, theirs = (side.columns.usable(figure.metric) for side in (first, second))
        interval, pairs = mean_difference(ours, theirs, level), None
    was, now = float(ours.mean()), float(theirs.mean())
    return Difference(was, now, now - was, interval, pairs)


def _recovered(
    figure: Figure,
    first: tuple[float, Side],
    second: tuple[float, Side],
    both: tuple[Values, Values] | None,
    level: float,
) -> Difference:
    (was, before), (now, after) = first, second
    around = figure.interval(before.summary, level), figure.interval(after.summary, level)
    if around[0] is None or around[1] is None:
        return Difference(was, now, now - was, None)
    correlation, pairs = 0.0, None
    if both is not None and figure.percentile is not None:
        correlation, pairs = quantile_correlation(*both, was, now), both[0].size
    interval = recovered_difference((was, around[0]), (now, around[1]), correlation)
    return Difference(was, now, now - was, interval, pairs)


def _outcome(figure: Figure, difference: Difference) -> Outcome:
    interval = difference.interval
    if interval is None:
        return Outcome.TOO_FEW
    if difference.is_shown:
        if figure.better == "neither":
            return Outcome.CHANGED
        has_risen = interval.low is not None and interval.low > 0
        return Outcome.BETTER if has_risen == (figure.better == "higher") else Outcome.WORSE
    return Outcome.NONE_SHOWN if interval.is_closed else Outcome.TOO_FEW
