"""What a sprint says of one metric, and how that stands against its target.

The status follows from the figures, in this order:

1. *not judged*: the run that the figure comes from is invalid or was interrupted.
2. *not measured*: there is no figure.
3. *missed*, and then how: *close* where the worst figure misses the target by at most 20 % of it;
   else ``n/m pass`` where single turns can be held to the target and some keep it; else *missed*.
4. *maintained*, *improved* or *regressed* against the sprint before, where the same statistic of it
   is known (`voicebench.sprints.comparing`): within a tenth of what it was, better, or worse.
   Tests and connections compare exactly.
5. *met*: there is nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from voicebench import format as form
from voicebench.figures.summary import PERCENTILES, Distribution
from voicebench.judging.gates import CLOSE_MARGIN, OPERATORS

MAINTAINED_WITHIN = 0.10

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
"""With these the target is kept."""
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
"""Readings that are counts of what works, and no figure of a metric."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One row of the executive summary.

    ``name`` is a figure (``llm_total.mean``), a metric (``first_audio``), ``tests`` or
    ``websocket``; ``value`` is what is judged and compared, and of a range its worse end.
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
    """How many turns (or tests) kept the target, of how many."""
    count: int | None = None
    """Of how many values the figure is; None where nobody said."""
    limited: bool = False
    """Whether the values are too few for the named percentile: then the value is their maximum."""
    statistics: Mapping[str, float] = field(default_factory=dict)
    """What else is known of the metric over the same values: ``{"p50": 301.0}``."""
    result: str = ""
    """The result that it comes from; empty for what comes from none."""
    judged: bool = True
    """Whether its run may be judged."""
    own_gate: str = ""
    """The run's own gate on the figure, where its limit is another one."""

    @property
    def metric(self) -> str:
        """The metric's name without its statistic."""
        return self.name.partition(".")[0]

    @property
    def statistic(self) -> str:
        """What ``value`` is: ``p95``, ``mean``, ``max``; empty where nobody said."""
        if self.limited:
            return "max"
        if self.is_range:
            return "max" if self.lower_is_better else "min"
        return self.name.partition(".")[2]

    @property
    def is_range(self) -> bool:
        """Whether somebody gave a range, and no statistic of what lies in it."""
        return "." not in self.name and self.low is not None and self.high is not None

    @property
    def known(self) -> Mapping[str, float]:
        """Every statistic of the metric that is known."""
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
        unit = unit_text(self.unit)
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
        sign = {"<=": "≤", ">=": "≥"}.get(self.operator, self.operator)
        return f"{sign} {form.limit(self.limit, self.unit)}"

    def is_met(self) -> bool | None:
        """Return whether the target is kept; None where nothing was measured."""
        if self.value is None:
            return None
        if self.name in EXACT:
            return self.kept == self.of if self.of is not None else bool(self.value)
        return self.limit is None or OPERATORS[self.operator](self.value, self.limit)

    def beyond(self) -> float | None:
        """Return by which share of the target the figure misses (over 0) or keeps it."""
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
        return f"{self._number(value)}{unit_text(self.unit)}"

    def _number(self, value: float) -> str:
        if self.limit is None or value == int(value):
            return whole_or_rounded(value, self.unit)
        return form.beside(value, self.limit, self.unit)


def statistics_of(found: Distribution) -> dict[str, float]:
    """Return each statistic that the values carry: mean, min, max and percentiles."""
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
    """Return a number without its unit; a whole one as it was written (62, not 62.0)."""
    if value == int(value) and unit not in ("share", "bool"):
        return str(int(value))
    return form.number(value, unit)


def unit_text(unit: str) -> str:
    """Return what stands behind a number of ``unit``."""
    return form.quantity(0.0, unit).removeprefix(form.number(0.0, unit))


def status(now: Reading, was: float | None = None) -> Status:
    """Return how ``now`` stands: see the rules above. ``was`` is the same statistic before."""
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
    return "met" if was is None else _moved(now, now.value, was)


def _moved(now: Reading, value: float, was: float) -> Status:
    exact = now.name in EXACT
    moved = value - was
    if abs(moved) <= (0 if exact else MAINTAINED_WITHIN * abs(was)):
        return "maintained"
    better = moved > 0 if exact else (moved < 0) == now.lower_is_better
    return "improved" if better else "regressed"
