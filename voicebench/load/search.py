"""The search for capacity: which level is held next, and what follows from all of them.

* **Climb**: 1 caller (or the first level that was asked for), then twice as many, until a level
  does not hold. If already the first does not, half as many, until one holds.
* **Narrow**: halve the ratio between the highest level that holds and the lowest that does not,
  down to the precision (``--at-least`` is probed first if it lies between).
* **Ceiling**: if no level was shown to fail, hold higher ones for their full time until one is.
* **Again**: hold the lowest level again after the climb and after the narrowing. Its first audio
  must not have changed: otherwise the machine or the server did, and the levels say different
  things.
* **Confirm**: hold the highest level that seemed to hold once more, for its full time, with fresh
  callers. Only this is published. If it does not hold, the next lower level is confirmed.

While it climbs and narrows, a level ends as soon as its result is likely: a wrong turn there costs
time and precision, and is never published. Two statements are published, and they share the error
of 5 %. *The capacity holds*: the first confirmation gets a quarter of it, each further one half of
the one before. *A higher level fails*: half of the error, shared by all levels of the search.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import Literal

from voicebench.figures.intervals import Interval
from voicebench.format import plural
from voicebench.load.level_rule import LevelStanding

ERROR = 0.05
Purpose = Literal["climb", "narrow", "ceiling", "again", "confirm"]
SCREEN_ERROR = 0.20
"""Error of a level that only chooses the next level."""
MOST_CEILING_PROBES = 5
MOST_CONFIRMATIONS = 12


@dataclass(frozen=True, slots=True)
class Probe:
    """A level to hold."""

    callers: int
    purpose: Purpose
    error: float
    attempt: int = 0
    """The number of the confirmation, from 1: each meets fresh callers."""

    @property
    def screen_error(self) -> float | None:
        """The error of a likely result, if that is enough to end the level."""
        return SCREEN_ERROR if self.purpose in ("climb", "again", "narrow") else None

    @property
    def climbs(self) -> bool:
        """Whether the search goes up if the observed shares are high enough."""
        return self.purpose in ("climb", "again")


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of a level as the search needs it."""

    standing: LevelStanding
    above_shares: bool
    """Whether the observed share of every gate is at least the gate's."""
    first_audio: Interval | None = None
    """The interval of the median of first audio, in ms from the due moment."""

    @property
    def goes_up(self) -> bool:
        """Whether the search takes it for a level that holds."""
        if self.standing is LevelStanding.UNDECIDED:
            return self.above_shares
        return self.standing in (LevelStanding.HOLDS, LevelStanding.SEEMS_TO_HOLD)

    @property
    def may_still_fail(self) -> bool:
        """Whether a higher level is needed to show one that fails."""
        return self.standing not in (LevelStanding.FAILS, LevelStanding.INVALID)


class CapacityVerdict(StrEnum):
    """The verdict of a search."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True)
class CapacityAnswer:
    """The result of all levels of a search together."""

    capacity: int | None
    """The highest level whose gates were shown to hold on fresh callers; 0 if not even one caller
    is carried; None if no level was confirmed."""
    high: int | None
    """The lowest level above that was shown to fail; None if none was."""
    most: int
    probes: tuple[tuple[Probe, ProbeResult], ...] = ()
    contradictions: tuple[str, ...] = ()
    """Levels that were shown to fail below levels that were shown to hold."""
    drifted: bool = False

    @property
    def is_ended_by_client(self) -> bool:
        """Whether the client was too slow for a level, before one was shown to fail."""
        invalid = any(result.standing is LevelStanding.INVALID for _, result in self.probes)
        return invalid and self.high is None

    def verdict(self, at_least: int | None) -> CapacityVerdict:
        """Return the verdict: with ``at_least``, whether the capacity reaches it."""
        if self.drifted or self.contradictions:
            return CapacityVerdict.INVALID
        wanted = 1 if at_least is None else at_least
        if self.capacity is not None and self.capacity >= wanted:
            return CapacityVerdict.PASS
        if self.high is not None and self.high <= wanted:
            return CapacityVerdict.FAIL
        return CapacityVerdict.INVALID if self.is_ended_by_client else CapacityVerdict.UNDECIDED


Search = Generator[Probe, ProbeResult, CapacityAnswer]


def planned_levels(most: int, precision: float, first: int = 1) -> int:
    """Return how many levels the climb and the narrowing hold at most, if ``first`` holds."""
    climb = math.ceil(math.log2(max(most / min(first, most), 2))) + 1
    return climb + math.ceil(math.log2(math.log(2) / math.log1p(precision)))


def find_capacity(
    most: int,
    precision: float,
    *,
    at_least: int | None = None,
    least: int = 1,
    first: int = 1,
    error: float = ERROR,
) -> Search:
    """Yield each level to hold, take its result, and return the answer.

    ``most`` is the largest number of callers. Neighbouring levels differ by at least ``precision``,
    a share: 0.1 is 10 %. ``least`` is the smallest level whose longest time can confirm it,
    ``first`` the level that is held first.
    """
    return _Search(most, precision, at_least, least, min(first, most), error).levels()


@dataclass
class _Search:
    most: int
    precision: float
    at_least: int | None
    least: int
    first: int
    error: float
    held: list[tuple[Probe, ProbeResult]] = field(default_factory=list)

    def levels(self) -> Search:
        low, above = yield from self._climb()
        if low:
            yield from self._again()
            low, above = yield from self._narrow(low, above)
        if above is not None and self._failing(low) is None:
            yield from self._ceiling(above)
        if low and self.held[-1][0].purpose != "again":
            yield from self._again()
        if not low and self._failing(0) == 1:
            capacity: int | None = 0
        else:
            capacity = yield from self._confirm(max(low, 1))
        high = self._failing(capacity or 0)
        return CapacityAnswer(
            capacity, high, self.most, tuple(self.held), self._contradictions(), self._has_drifted()
        )

    def _probe(self, probe: Probe) -> Generator[Probe, ProbeResult, ProbeResult]:
        result = yield probe
        self.held.append((probe, result))
        return result

    def _searching(self, callers: int, purpose: Purpose) -> Probe:
        levels = planned_levels(self.most, self.precision) + MOST_CEILING_PROBES
        return Probe(callers, purpose, self.error / 2 / levels)

    def _climb(self) -> Generator[Probe, ProbeResult, tuple[int, int | None]]:
        low, level, above = 0, self.first, None
        while True:
            result = yield from self._probe(self._searching(level, "climb"))
            if result.goes_up:
                low = level
                if above is not None or level == self.most:
                    return low, above
                level = min(2 * level, self.most)
            else:
                above = level
                if low or level == 1:
                    return low, above
                level //= 2

    def _narrow(
        self, low: int, above: int | None
    ) -> Generator[Probe, ProbeResult, tuple[int, int | None]]:
        while above is not None and above > low + 1 and above > low * (1 + self.precision):
            middle = min(max(round(math.sqrt(low * above)), low + 1), above - 1)
            wanted = self.at_least
            if wanted is not None and low < wanted < above:
                middle = wanted
            result = yield from self._probe(self._searching(middle, "narrow"))
            low, above = (middle, above) if result.goes_up else (low, middle)
        return low, above

    def _ceiling(self, above: int) -> Generator[Probe, ProbeResult, None]:
        factor = 1.0
        for _ in range(MOST_CEILING_PROBES):
            level = min(math.ceil(above * factor), self.most)
            result = yield from self._probe(self._searching(level, "ceiling"))
            if not result.may_still_fail or level == self.most:
                return
            factor = (1 + self.precision) if factor == 1.0 else factor**2

    def _again(self) -> Generator[Probe, ProbeResult, None]:
        yield from self._probe(self._searching(self._lowest(), "again"))

    def _confirm(self, highest: int) -> Generator[Probe, ProbeResult, int | None]:
        level, error = highest, self.error / 4
        for attempt in range(1, MOST_CONFIRMATIONS + 1):
            if level < self.least:
                return None
            result = yield from self._probe(Probe(level, "confirm", error, attempt))
            if result.standing is LevelStanding.HOLDS:
                return level
            if level == 1:
                return None
            level = max(min(math.floor(level / (1 + self.precision)), level - 1), 1)
            error /= 2
        return None

    def _lowest(self) -> int:
        """Return the lowest level of the climb that seemed to hold; the first if none did."""
        climbed = [p.callers for p, r in self.held if p.purpose == "climb" and r.goes_up]
        return min(climbed, default=self.first)

    def _failing(self, above: int) -> int | None:
        """Return the lowest level above ``above`` that was shown to fail."""
        failed = [
            probe.callers
            for probe, result in self.held
            if result.standing is LevelStanding.FAILS and probe.callers > above
        ]
        return min(failed, default=None)

    def _contradictions(self) -> tuple[str, ...]:
        fails = {p.callers for p, r in self.held if r.standing is LevelStanding.FAILS}
        holds = {p.callers for p, r in self.held if r.standing is LevelStanding.HOLDS}
        return tuple(
            f"the levels contradict each other: {plural(failed, 'caller')} fail, "
            f"and {max(higher)} hold"
            for failed in sorted(fails)
            if (higher := [level for level in holds if level > failed])
        )

    def _has_drifted(self) -> bool:
        lowest = [
            result.first_audio
            for probe, result in self.held
            if probe.callers == self._lowest() and probe.purpose in ("climb", "again")
        ]
        return any(
            _is_slower(earlier, later) or _is_slower(later, earlier)
            for earlier, later in combinations(lowest, 2)
        )


def _is_slower(first: Interval | None, second: Interval | None) -> bool:
    """Return whether the whole interval of ``second`` is above the first one's, by enough."""
    if first is None or second is None or first.high is None or second.low is None:
        return False
    return second.low > (1 + MOST_DRIFT) * first.high and second.low > first.high + MOST_DRIFT_MS


MOST_DRIFT = 0.30
"""The lowest level's first audio may change by this share, and by `MOST_DRIFT_MS`."""
MOST_DRIFT_MS = 10.0
