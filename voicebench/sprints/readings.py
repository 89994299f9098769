"""One figure of a sprint and its status against the target.

The status follows from the figures, in this order:

1. *not judged*: the figure's run is invalid or was interrupted.
2. *not measured*: there is no figure.
3. *close*: the figure misses the target by at most 20 % of it. If it misses by more: ``n/m pass``
   where n of m turns keep the target by themselves, else *missed*.
4. *maintained*, *improved* or *regressed*: the target is kept, and the same statistic of the sprint
   before is known (`voicebench.sprints.comparing`). It is within a tenth of that, better, or worse.
   Tests and connections compare exactly.
5. *met*: the target is kept, and there is nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from voicebench import format as form
from voicebench.figures.summary import PERCENTILES, Distribution
from voicebench.judging.gates import CLOSE_MARGIN, OPERATORS
from voicebench.report.console.verdicts import target_text, trend
from voicebench.report.runs import FIRST_AUDIO_LIMIT_MS

Status = Literal[
    "maintained",
    "improved",
    "regressed",
    "close",
    "partly",
    "missed",
    "met",
    "not measured",
    "not judged",
]
MET: tuple[Status, ...] = ("maintained", "improved", "regressed", "met")
"""With these statuses the target is kept."""
SIGNS: dict[Status, str] = {
    "maintained": "✓",
    "improved": "✓",
    "regressed": "!",
    "close": "≈",
    "partly": "◐",
    "missed": "✗",
    "met": "✓",
    "not measured": "?",
    "not judged": "?",
}
"""The icon of each status."""
EXACT = ("tests", "websocket")
"""Readings that count what works, and are no figure of a metric."""


class SprintTarget(NamedTuple):
    """A duration, the statistic of it that is limited, and the limit, which it must stay under."""

    metric: str
    statistic: str
    limit_ms: float

    @property
    def name(self) -> str:
        """The figure as gates write it: ``first_audio.p95``."""
        return f"{self.metric}.{self.statistic}"


TARGETS = (
    SprintTarget("llm_total", "mean", 200.0),
    SprintTarget("tts_ttfb", "p95", 100.0),
    SprintTarget("first_audio", "p95", FIRST_AUDIO_LIMIT_MS),
)
"""The targets of every sprint. They are fixed, so that scores compare sprints and not limits."""
LIMITS_MS = {target.metric: target.limit_ms for target in TARGETS}


@dataclass(frozen=True, slots=True)
class Reading:
    """One row of the executive summary.

    ``name`` is a figure (``llm_total.mean``), a metric (``first_audio``), ``tests`` or
    ``websocket``. ``value`` is judged and compared; for a range it is the worse end.
    """

    name: str
    unit: str
    value: float | None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    operator: str = "<"
    kept: int | None = None
    of: int | None = None
    """``kept`` of ``of`` turns (or tests) keep the target."""
    count: int | None = None
    """The number of values behind the figure; None if unknown."""
    limited: bool = False
    """Whether the values are too few for the percentile: ``value`` is then their maximum."""
    statistics: Mapping[str, float] = field(default_factory=dict)
    """Other statistics of the metric over the same values: ``{"p50": 301.0}``."""
    result: str = ""
    """The name of the figure's result; empty if it has none."""
    judged: bool = True
    """Whether the figure's run may be judged."""
    own_gate: str = ""
    """The run's own gate on the figure, if its limit differs."""

    @property
    def metric(self) -> str:
        """The metric's name without its statistic."""
        return self.name.partition(".")[0]

    @property
    def statistic(self) -> str:
        """The statistic of ``value``: ``p95``, ``mean``, ``max``; empty if unknown."""
        if self.limited:
            return "max"
        if self.is_range:
            return "max" if self.lower_is_better else "min"
        return self.name.partition(".")[2]

    @property
    def is_range(self) -> bool:
        """Whether a range was reported, without a statistic of its values."""
        return "." not in self.name and self.low is not None and self.high is not None

    @property
    def known(self) -> Mapping[str, float]:
        """All known statistics of the metric, ``value`` among them."""
        own = {} if self.value is None else {self.statistic: self.value}
        return {**self.statistics, **own}

    @property
    def lower_is_better(self) -> bool:
        """Whether less is better."""
        return self.operator in ("<", "<=")

    def text(self) -> str:
        """Return the figure as the table shows it."""
        if self.value is None:
            return form.NOTHING
        if self.name == "tests":
            return f"{self.kept}/{self.of}"
        if self.name == "websocket":
            return "ok" if self.value else f"{self.kept}/{self.of}"
        unit = form.UNITS[self.unit]
        worse = self.high if self.lower_is_better else self.low
        shown = self._number(self.value)
        if self.low is None or self.high is None:
            return f"{shown}{unit}"
        low, high = self._number(self.low), self._number(self.high)
        if low == high:
            return f"{shown}{unit}"
        spread = f"{low}–{high}"
        return f"{spread}{unit}" if self.value == worse else f"{shown}{unit} ({spread})"

    def target(self) -> str:
        """Return the target as the table shows it."""
        if self.limit is None:
            return form.NOTHING
        return target_text(self.operator, self.limit, self.unit)

    def is_met(self) -> bool | None:
        """Return whether the target is kept; None if nothing was measured."""
        if self.value is None:
            return None
        if self.name in EXACT:
            return self.kept == self.of if self.of is not None else bool(self.value)
        return self.limit is None or OPERATORS[self.operator](self.value, self.limit)

    def beyond(self) -> float | None:
        """Return by which share of the target the figure misses it; below 0 it keeps it."""
        if self.value is None or not self.limit:
            return None
        missing = (self.value - self.limit) / self.limit
        return missing if self.lower_is_better else -missing

    def worst_text(self) -> str:
        """Return the figure that is compared, without the range around it."""
        return self.figure_text(self.value)

    def figure_text(self, value: float | None) -> str:
        """Return ``value``, a figure of the same metric, with its unit."""
        if value is None:
            return form.NOTHING
        return f"{self._number(value)}{form.UNITS[self.unit]}"

    def _number(self, value: float) -> str:
        if self.limit is None or value == int(value):
            return whole_or_rounded(value, self.unit)
        return form.beside(value, self.limit, self.unit)


def statistics_of(found: Distribution) -> dict[str, float]:
    """Return the mean, the ends and the percentiles that the values are enough for."""
    if not found.values:
        return {}
    known = {
        "mean": float(np.mean(found.values)),
        "min": min(found.values),
        "max": max(found.values),
    }
    for q in PERCENTILES:
        value, carried = found.quantile(q)
        if value is not None and carried:
            known[f"p{q}"] = value
    return known


def whole_or_rounded(value: float, unit: str) -> str:
    """Return a number without its unit; a whole number as 62, not 62.0."""
    if value == int(value) and unit not in ("share", "bool"):
        return str(int(value))
    return form.number(value, unit)


def suite_reading(passed: int, total: int) -> Reading:
    """Return the reading of a test suite; without tests, nothing was measured."""
    return Reading("tests", "count", float(passed) if total else None, kept=passed, of=total)


def status(now: Reading, was: float | None = None) -> Status:
    """Return the status of ``now``: see above. ``was`` is the same statistic one sprint before."""
    if not now.judged:
        return "not judged"
    met = now.is_met()
    if met is None or now.value is None:
        return "not measured"
    if not met:
        beyond = now.beyond()
        if beyond is not None and beyond <= CLOSE_MARGIN:
            return "close"
        return "partly" if now.kept else "missed"
    if was is None:
        return "met"
    exact = now.name in EXACT
    return trend(was, now.value, lower_is_better=now.lower_is_better and not exact, exact=exact)
