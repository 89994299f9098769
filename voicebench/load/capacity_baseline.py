"""A search compared with an earlier one: did the capacity fall by more than is allowed?

=============  ===================================================================================
PASS           the confirmed level is at least the baseline's, less the allowed share
FAIL           a level of at most so many callers was shown to fail
NOT SHOWN      neither is shown, so the brackets do not tell
=============  ===================================================================================

Of the baseline only the confirmed level counts: more than that was not shown of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voicebench import format as form
from voicebench.judging.gates import Verdict
from voicebench.load.search import CapacityAnswer


@dataclass(frozen=True, slots=True)
class BaselineCapacity:
    """The capacity of an earlier run, and how much less is allowed."""

    result: str
    """Its run folder."""
    capacity: int
    max_regression: float
    """The share that it may fall by."""

    @property
    def least(self) -> float:
        """The smallest capacity that is allowed."""
        return self.capacity * (1 - self.max_regression)

    def verdict(self, answer: CapacityAnswer) -> Verdict:
        """Return the verdict on a search."""
        if answer.capacity is not None and answer.capacity >= self.least - 1e-9:
            return Verdict.PASS
        if answer.high is not None and answer.high <= self.least + 1e-9:
            return Verdict.FAIL
        return Verdict.NOT_SHOWN

    def sentence(self, answer: CapacityAnswer) -> str:
        """Return the comparison in words."""
        held = "none confirmed" if answer.capacity is None else f"{answer.capacity} confirmed"
        fails = "" if answer.high is None else f", {answer.high} fail"
        return (
            f"{form.plural(self.capacity, 'caller')} before, {held} now{fails}; "
            f"{form.limit(self.max_regression, 'share')} less allowed"
        )

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``capacity.json``."""
        return {
            "result": self.result,
            "capacity": self.capacity,
            "max_regression": self.max_regression,
        }


def stored_baseline(document: Mapping[str, object]) -> BaselineCapacity | None:
    """Return the baseline in ``capacity.json``; None if none was named, or it is not one."""
    entry = document.get("baseline")
    if not isinstance(entry, dict):
        return None
    capacity, allowed = entry.get("capacity"), entry.get("max_regression")
    if type(capacity) is not int or not isinstance(allowed, int | float):
        return None
    return BaselineCapacity(str(entry.get("result")), capacity, float(allowed))
