"""Gates: limits on the figures of a run, and their verdicts.

A gate is ``metric.statistic operator limit``::

    first_audio.p95 < 300ms
    llm_total.mean < 200ms
    first_audio.under(300ms) >= 90%
    first_audio.within(300ms) >= 90%
    errors.rate <= 0

The left side is a figure (`voicebench.figures.figure`). A duration needs its unit (``ms`` or
``s``); a share is a ratio or a percentage. An unknown metric, statistic or unit is an error when
the gate is read, so a gate with a typing error can never pass.

Usually the observed figure is compared with the limit: PASS, CLOSE or FAIL. *By confidence*
(``--decide``) the figure's interval is compared: PASS if all of it keeps the limit, FAIL if none of
it does, UNDECIDED if it straddles the limit or is open on the side that would decide. Two kinds of
gates are always judged by the observed figure: ``min``, ``max`` and ``stdev`` have no interval, and
no interval can decide a share that allows no exception (``errors.rate <= 0``,
``under(…) >= 100%``).
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from voicebench.errors import UsageError
from voicebench.figures.figure import FIGURE, WITHOUT_INTERVAL, Figure, read_figure, read_quantity
from voicebench.figures.intervals import LEVEL, Interval, is_doubtful_mean, values_to_bound
from voicebench.figures.metrics import Metric
from voicebench.figures.summary import Summary

CLOSE_MARGIN = 0.20
"""A gate that misses its limit by at most this share of it is close, which is not a pass."""


class Verdict(StrEnum):
    """The verdict of a gate on a run."""

    PASS = "PASS"
    CLOSE = "CLOSE"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"
    NOT_SHOWN = "NOT SHOWN"
    """A figure is worse than allowed against the baseline, but the interval includes no change."""
    NOT_MEASURED = "NOT MEASURED"


OPEN = (Verdict.NOT_SHOWN, Verdict.UNDECIDED)
"""Verdicts that are neither a pass nor a failure: more turns may decide."""
GRAVEST = (Verdict.FAIL, Verdict.NOT_MEASURED, Verdict.CLOSE, *OPEN)
"""All verdicts that are no pass, the gravest first."""

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}

_GATE = re.compile(
    rf"^\s*{FIGURE}\s*(?P<operator><=|>=|<|>)\s*(?P<limit>\S.*?)\s*$",
    re.VERBOSE | re.IGNORECASE,
)


SKEWED = "few and skewed values: the interval holds in 92 % only; measure 30, or use a percentile"


@dataclass(frozen=True, slots=True)
class Gate:
    """One limit on one statistic of one metric. ``metric`` is None for a rate."""

    text: str
    metric: Metric | None
    statistic: str
    argument: float | None
    """The limit of ``under`` and ``within``, in the metric's unit."""
    operator: str
    limit: float
    """In the metric's unit, or a share from 0 to 1."""
    rate: str = "errors"
    """The name of the rate, if there is no metric."""

    @property
    def figure(self) -> Figure:
        """The figure that the gate limits."""
        return Figure(self.metric, self.statistic, self.argument, self.rate)

    @property
    def unit(self) -> str:
        """The unit of the observed figure and the limit."""
        return self.figure.unit

    @property
    def percentile(self) -> float | None:
        """The ``q`` of a gate on a percentile, 0 to 100; None for any other statistic."""
        return self.figure.percentile

    @property
    def allows_no_exception(self) -> bool:
        """Whether the limit is the end of the possible shares, so that no interval can decide."""
        ends = {"<=": 0.0, "<": 0.0, ">=": 1.0, ">": 1.0}
        return self.unit == "share" and self.limit == ends[self.operator]


@dataclass(frozen=True, slots=True)
class GateResult:
    """A gate, the observed figure, and the verdict."""

    gate: Gate
    observed: float | None
    verdict: Verdict
    note: str = ""
    interval: Interval | None = None
    """The uncertainty of ``observed``; None if the figure has no interval."""

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``summary.json``."""
        return {
            "gate": self.gate.text,
            "observed": self.observed,
            "unit": self.gate.unit,
            "limit": self.gate.limit,
            "verdict": self.verdict.value,
            "note": self.note,
            "interval": self.interval.as_dict() if self.interval else None,
        }


def parse_gate(text: str) -> Gate:
    """Read one gate. Raises `UsageError`, naming what is unknown and what is allowed."""
    match = _GATE.match(text)
    if match is None:
        raise UsageError(
            f"gate {text!r} is not 'metric.statistic operator limit'",
            "write for example 'first_audio.p95 < 300ms'",
        )
    figure = read_figure(match, f"gate {text!r}")
    limit = read_quantity(match["limit"], figure.unit, f"gate {text!r}")
    is_share = figure.unit in ("share", "bool")
    if is_share and limit == 1 and "%" not in match["limit"] and match["operator"] in ("<", "<="):
        # Every share is at most 1, so "<= 1" could never fail; probably 1 % was meant.
        raise UsageError(
            f"gate {text!r} could mean 1 % or 100 %", "write '1%' for one turn in a hundred"
        )
    return Gate(
        " ".join(text.split()),
        figure.metric,
        figure.statistic,
        figure.argument,
        match["operator"],
        limit,
        figure.rate,
    )


def judge(
    gate: Gate, summary: Summary, *, decide: bool = False, level: float = LEVEL
) -> GateResult:
    """Return the verdict of ``gate``, by the interval of its figure if ``decide``."""
    observed, note = gate.figure.observe(summary)
    if observed is None:
        why = note or "no turn shows this figure"
        return GateResult(gate, None, Verdict.NOT_MEASURED, why)
    interval = gate.figure.interval(summary, level)
    if decide and not gate.allows_no_exception and gate.statistic not in WITHOUT_INTERVAL:
        verdict, why = _decide(gate, interval)
        note = "; ".join(filter(None, (note, why, _doubt(gate, summary))))
    else:
        verdict = _compare(gate, observed)
    return GateResult(gate, observed, verdict, note, interval)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the gravest verdict; PASS if there is none."""
    return next((verdict for verdict in GRAVEST if verdict in verdicts), Verdict.PASS)


def _compare(gate: Gate, observed: float) -> Verdict:
    if OPERATORS[gate.operator](observed, gate.limit):
        return Verdict.PASS
    miss, slack = abs(observed - gate.limit), abs(gate.limit) * CLOSE_MARGIN
    near = slack > 0 and (miss <= slack or math.isclose(miss, slack))
    return Verdict.CLOSE if near else Verdict.FAIL


def _doubt(gate: Gate, summary: Summary) -> str:
    if gate.metric is None or gate.statistic != "mean":
        return ""
    return SKEWED if is_doubtful_mean(summary.metrics[gate.metric.name].values) else ""


def _decide(gate: Gate, interval: Interval | None) -> tuple[Verdict, str]:
    if interval is None:
        return Verdict.UNDECIDED, "too few turns for an interval"
    keeps = OPERATORS[gate.operator]
    best, worst = interval.low, interval.high
    if gate.operator in (">", ">="):
        best, worst = worst, best
    if worst is not None and keeps(worst, gate.limit):
        return Verdict.PASS, ""
    if best is not None and not keeps(best, gate.limit):
        return Verdict.FAIL, ""
    if worst is None and gate.percentile is not None:
        needed = values_to_bound(gate.percentile, interval.level)
        return Verdict.UNDECIDED, f"an interval of {gate.statistic} needs {needed} turns"
    return Verdict.UNDECIDED, "the interval straddles the limit"
