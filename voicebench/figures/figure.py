"""A figure: one statistic of one metric over a run's turns, such as ``first_audio.p95``.

Gates, comparisons and trends use figures. The metric is a name of
`voicebench.figures.metrics.METRICS` with or without ``_ms``, or ``errors``. The statistic is
``mean``, ``min``, ``max``, ``stdev``, any percentile ``pNN``, a share of the turns
(``under(limit)``: below the limit, ``within(limit)``: at most the limit) or, for ``errors`` and
the metrics that are 0 or 1, ``rate``.

Every figure has a confidence interval, except ``min`` and ``max``, which describe only the turns
that were taken, and ``stdev``, which has no interval that holds for skewed turns
(`voicebench.figures.intervals`).
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from voicebench.errors import UsageError
from voicebench.figures.intervals import (
    LEVEL,
    Interval,
    at_least_zero,
    mean_interval,
    percentile_interval,
    share_interval,
)
from voicebench.figures.metrics import METRICS, Better, Metric
from voicebench.figures.summary import Distribution, Summary

FIGURE = r"""(?P<metric>[a-z0-9_]+)\s*\.\s*
             (?P<statistic>[a-z]+[0-9.]*)\s*(\(\s*(?P<argument>[^)]*?)\s*\))?"""
"""The pattern of a figure, for `re.VERBOSE`."""

WITHOUT_INTERVAL = ("min", "max", "stdev")
"""Statistics that have no confidence interval."""
SHARES: dict[str, Callable[[float, float], bool]] = {
    "under": operator.lt,
    "within": operator.le,
}
"""The statistics that are a share of the turns, and how they compare a value with their limit."""

ERRORS = "errors"
GOOD_RATES = ("good", "good_calls")
RATES = (ERRORS, *GOOD_RATES, "refused", "unfinished")
"""Shares of turns or calls that are no metric of a turn. A run of single turns has only errors."""

_WHOLE = re.compile(rf"^\s*{FIGURE}\s*$", re.VERBOSE | re.IGNORECASE)
_QUANTITY = re.compile(r"^(?P<number>[0-9]+(\.[0-9]+)?)\s*(?P<unit>[a-z%/]*)$", re.IGNORECASE)
_PERCENTILE = re.compile(r"^p(?P<q>[1-9][0-9]?(\.[0-9])?)$")

_UNIT_FACTORS: dict[str, dict[str, Decimal]] = {
    "ms": {"ms": Decimal(1), "s": Decimal(1000)},
    "s": {"s": Decimal(1), "ms": Decimal("0.001")},
    "count": {"": Decimal(1)},
    "x": {"": Decimal(1), "x": Decimal(1)},
    "per_s": {"": Decimal(1), "/s": Decimal(1)},
    "bool": {"": Decimal(1), "%": Decimal("0.01")},
    "share": {"": Decimal(1), "%": Decimal("0.01")},
}
"""Decimal, because in binary fractions 95 * 0.01 is more than 19 of 20."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One statistic of one metric. ``metric`` is None for a rate."""

    metric: Metric | None
    statistic: str
    argument: float | None = None
    """The limit of ``under`` and ``within``, in the metric's unit."""
    rate: str = "errors"
    """Which of `RATES`, if there is no metric."""

    @property
    def name(self) -> str:
        """The figure as it is written: ``first_audio.p95``."""
        metric = self.rate if self.metric is None else self.metric.short_name
        if self.argument is None:
            return f"{metric}.{self.statistic}"
        assert self.metric is not None
        unit = {"per_s": "/s", "count": "", "bool": ""}.get(self.metric.unit, self.metric.unit)
        return f"{metric}.{self.statistic}({self.argument:g}{unit})"

    @property
    def unit(self) -> str:
        """The unit: the metric's, or ``share`` for rates, ``under`` and ``within``."""
        if self.metric is None or self.statistic in SHARES or self.statistic == "rate":
            return "share"
        return self.metric.unit

    @property
    def percentile(self) -> float | None:
        """The ``q`` of a percentile, 0 to 100; None for any other statistic."""
        match = _PERCENTILE.match(self.statistic)
        return float(match["q"]) if match else None

    @property
    def better(self) -> Better:
        """Which way the figure is better."""
        if self.metric is None:
            return "higher" if self.rate in GOOD_RATES else "lower"
        if self.statistic == "stdev":
            return "lower"
        if self.statistic in SHARES:
            return "higher" if self.metric.better == "lower" else "lower"
        return self.metric.better

    def counts(self, value: float) -> bool:
        """Return whether a turn with ``value`` is in the share of ``under`` or ``within``."""
        assert self.argument is not None
        return SHARES[self.statistic](value, self.argument)

    def observe(self, summary: Summary) -> tuple[float | None, str]:
        """Return the figure and a note on it; None if no turn shows it."""
        if self.metric is None and self.rate != ERRORS:
            return None, "only a level of `load` shows it"
        if self.metric is None:
            return summary.error_rate, f"{summary.failed} of {summary.turns} turns failed"
        distribution = summary.metrics[self.metric.name]
        note = _note_on(distribution, self.statistic)
        if not distribution.values:
            return None, note
        if self.argument is not None:
            return distribution.share(self.counts), ""
        if self.percentile is None:
            return _moment(distribution, self.statistic), note
        value, carried = distribution.quantile(self.percentile)
        if not (note or carried):
            note = f"maximum of {len(distribution.values)}: too few for {self.statistic}"
        return value, note

    def interval(self, summary: Summary, level: float = LEVEL) -> Interval | None:
        """Return the interval of the figure; None if it has none."""
        if self.metric is None:
            seen = summary.turns if self.rate == ERRORS else 0
            return share_interval(summary.failed, seen, level)
        distribution = summary.metrics[self.metric.name]
        if self.argument is not None and distribution.values:
            hits = sum(map(self.counts, distribution.values))
            return share_interval(hits, distribution.n, level)
        if self.percentile is not None:
            return percentile_interval(distribution.ordered(), self.percentile, level)
        if self.statistic not in ("mean", "rate") or distribution.censored:
            return None
        if self.metric.unit == "bool":
            hits = sum(value > 0 for value in distribution.values)
            return share_interval(hits, len(distribution.values), level)
        interval = mean_interval(distribution.values, level)
        return interval if self.metric.may_be_negative else at_least_zero(interval)


def parse_figure(text: str) -> Figure:
    """Parse ``metric.statistic``. Raises `UsageError` that names what is unknown and allowed."""
    match = _WHOLE.match(text)
    if match is None:
        raise UsageError(
            f"figure {text!r} is not 'metric.statistic'", "write for example 'first_audio.p95'"
        )
    return read_figure(match, f"figure {text!r}")


def read_figure(match: re.Match[str], where: str) -> Figure:
    """Return the figure in ``match`` (of `FIGURE`). Messages of errors begin with ``where``."""
    name = match["metric"].lower()
    metric = find_metric(name, where)
    statistic = match["statistic"].lower()
    _check_statistic(statistic, match["argument"], metric, where)
    argument = None
    if statistic in SHARES:
        assert metric is not None
        argument = read_quantity(match["argument"] or "", metric.unit, where)
    return Figure(metric, statistic, argument, name if metric is None else ERRORS)


def find_metric(name: str, where: str) -> Metric | None:
    """Return the metric called ``name``, with or without its unit; None for one of `RATES`."""
    if name in RATES:
        return None
    names = {known: metric for metric in METRICS for known in (metric.name, metric.short_name)}
    if name in names:
        return names[name]
    close = difflib.get_close_matches(name, [*names, *RATES], n=1)
    hint = f"did you mean {close[0]!r}?" if close else "`voicebench config --metrics` lists them"
    raise UsageError(f"{where} names an unknown metric {name!r}", hint)


def read_quantity(text: str, unit: str, where: str) -> float:
    """Return the number in ``text`` in ``unit``.

    Raises `UsageError` for another unit, and for a share above 1: 5 % must have its sign.
    """
    factors = _UNIT_FACTORS[unit]
    match = _QUANTITY.match(text)
    if match is None or match["unit"].lower() not in factors:
        amount = "0.9" if unit in ("share", "bool") else "300"
        examples = " or ".join(
            "'90%'" if known == "%" else f"'{amount}{known}'" for known in factors
        )
        raise UsageError(f"{where} has a limit {text!r} of another unit", f"write {examples}")
    value = float(Decimal(match["number"]) * factors[match["unit"].lower()])
    if not math.isfinite(value):
        raise UsageError(f"{where} has a limit that is too large")
    if unit in ("share", "bool") and value > 1:
        percent = match["number"]
        raise UsageError(
            f"{where} has a limit {text!r}, and no share is above 100 %",
            f"write '{percent}%' or '{float(percent) / 100:g}'" if float(percent) <= 100 else "",
        )
    return value


def read_change(value: str | float, where: str) -> float:
    """Return the share by which a figure may change: 0.1 for ``10%``, ``0.1`` or 0.1.

    Raises `UsageError` for anything else. Numbers from 1 need the sign, because 10 could mean 10 %
    or ten times as much.
    """
    match = _QUANTITY.match(value.strip() if isinstance(value, str) else f"{value:.15f}")
    unit = match["unit"] if match else None
    if match is None or unit not in ("", "%"):
        raise UsageError(f"{where} is not a limit on a change", "write '10%' or '0.1'")
    number = Decimal(match["number"])
    if unit == "%":
        return float(number / 100)
    if number >= 1:
        written = f"{number.normalize():f}"
        raise UsageError(
            f"{where} could mean {written} % or {float(100 * number):g} %",
            f"write '{written}%' or '{float(number) / 100:g}'",
        )
    return float(number)


def _moment(distribution: Distribution, statistic: str) -> float | None:
    match statistic:
        case "mean" | "rate":
            return distribution.mean()
        case "stdev":
            return distribution.deviation()
        case "min":
            return min(distribution.values)
        case _:
            return distribution.largest()


def _note_on(distribution: Distribution, statistic: str) -> str:
    count = len(distribution.values)
    if statistic == "rate":
        return f"{sum(value > 0 for value in distribution.values)} of {count} turns"
    if not distribution.censored:
        return ""
    return f"{distribution.censored} of {count + distribution.censored} never confirmed"


def _check_statistic(
    statistic: str, argument: str | None, metric: Metric | None, where: str
) -> None:
    if metric is None:
        allowed, legal = "rate", statistic == "rate" and argument is None
    else:
        allowed = "mean, min, max, stdev, p1 to p99.9, under(limit), within(limit)"
        allowed += ", rate" if metric.unit == "bool" else ""
        is_rate = statistic == "rate" and metric.unit == "bool"
        plain = (
            statistic in ("mean", "min", "max", "stdev") or is_rate or _PERCENTILE.match(statistic)
        )
        legal = bool(plain) if argument is None else statistic in SHARES
    if not legal:
        raise UsageError(f"{where} has an unknown statistic {statistic!r}", f"use {allowed}")
