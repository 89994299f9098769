"""What a sprint says of one metric, and how that stands against the target and the sprint before.

The status follows from the figures, in this order:

1. *not measured*: there is no figure.
2. *missed*, and then how: *close* where the worst figure misses the target by at most 20 % of it;
   else ``n/m pass`` where single turns can be held to the target and some keep it; else *missed*.
3. *maintained*, *improved* or *regressed* against the sprint before, where it has the figure:
   within a tenth of what it was, better, or worse. Tests and connections compare exactly.
4. *met*: there is nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from voicebench import format as form
from voicebench.gates import CLOSE_MARGIN, OPERATORS

MAINTAINED_WITHIN = 0.10

Status = Literal[
    "maintained", "improved", "regressed", "close", "partly", "missed", "met", "not measured"
]
MET: tuple[Status, ...] = ("maintained", "improved", "regressed", "met")
"""With these the target is kept."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One row of the executive summary.

    ``name`` is a figure (``llm_total.mean``), a metric (``first_audio``), ``tests`` or
    ``websocket``; ``value`` is what is compared, and of a range its worse end.
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

    @property
    def metric(self) -> str:
        """The metric's name without its statistic."""
        return self.name.partition(".")[0]

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
        if self.low is None or self.high is None or self.low == self.high:
            return f"{self._number(self.value)}{unit}"
        spread = f"{self._number(self.low)}–{self._number(self.high)}"
        return (
            f"{spread}{unit}"
            if self.value == worse
            else f"{self._number(self.value)}{unit} ({spread})"
        )

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
        if self.name in ("tests", "websocket"):
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
        if self.value is None:
            return form.NOTHING
        return f"{self._number(self.value)}{unit_text(self.unit)}"

    def _number(self, value: float) -> str:
        if self.limit is None or value == int(value):
            return whole_or_rounded(value, self.unit)
        return form.beside(value, self.limit, self.unit)


def whole_or_rounded(value: float, unit: str) -> str:
    """Return a number without its unit; a whole one as it was written (62, not 62.0)."""
    if value == int(value) and unit not in ("share", "bool"):
        return str(int(value))
    return form.number(value, unit)


def unit_text(unit: str) -> str:
    """Return what stands behind a number of ``unit``."""
    return form.quantity(0.0, unit).removeprefix(form.number(0.0, unit))


def status(now: Reading, before: Reading | None) -> Status:
    """Return how ``now`` stands: see the rules above."""
    met = now.is_met()
    if met is None:
        return "not measured"
    if not met:
        beyond = now.beyond()
        if beyond is not None and beyond <= CLOSE_MARGIN:
            return "close"
        return "partly" if now.kept else "missed"
    if before is None or before.value is None or now.value is None:
        return "met"
    exact = now.name in ("tests", "websocket")
    moved = now.value - before.value
    if abs(moved) <= (0 if exact else MAINTAINED_WITHIN * abs(before.value)):
        return "maintained"
    better = moved > 0 if exact else (moved < 0) == now.lower_is_better
    return "improved" if better else "regressed"


def same(reading: Reading, earlier: Sequence[Reading]) -> Reading | None:
    """Return what an earlier sprint says of the same figure, else of the same metric."""
    exact = (other for other in earlier if other.name == reading.name)
    related = (
        other
        for other in earlier
        if other.metric == reading.metric
        and other.unit == reading.unit
        and "." not in (other.name if "." in reading.name else reading.name)
    )
    return next(exact, None) or next(related, None)
