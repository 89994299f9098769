"""Chooses the best of several candidates, or says that the turns are too few to choose.

A first chunk of one word comes early but starves the listener, and short chunks lose the melody of
the sentence. So the earliest candidate is not always the best:

1. Candidates with failed turns are out.
2. So are candidates whose median listener waits longer than `MOST_DEFICIT_MS` after first audio
   (`worst_deficit`). If none is left, gapless start replaces first audio.
3. A candidate is *as early* as another if its median comes at most `AS_EARLY_WITHIN` later, and the
   interval of the difference confirms it. Of those that are as early as every other, the best is
   the one with the longest first chunk, then the longest later chunks.

The turns are too few in two cases. A preferred candidate is neither shown to be as early as the
others nor shown to be later than one of them; or a candidate that the choice depends on is not
shown to be on one side of `MOST_DEFICIT_MS`. The intervals are widened for the number of
candidates, as in `voicebench.judging.regression`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from voicebench.figures.comparison import Side, compare
from voicebench.figures.differences import turns_to_reach
from voicebench.figures.figure import Figure, parse_figure
from voicebench.figures.intervals import Interval, values_to_bound
from voicebench.judging.regression import family_level

MOST_DEFICIT_MS = 100.0
AS_EARLY_WITHIN = 0.10
"""A median that comes later by at most this share of the other's is as early."""
FIRST_AUDIO = parse_figure("first_audio.p50")
DEFICIT = parse_figure("worst_deficit.p50")
GAPLESS = parse_figure("gapless_start.p50")


class CandidateStanding(StrEnum):
    """How a candidate compares with the others."""

    BEST = "best"
    AS_EARLY = "as early"
    LATER = "later"
    IN_DOUBT = "in doubt"
    """Neither shown to be as early as all others nor shown to be later than one of them."""
    STARVES = "starves"
    FAILED_TURNS = "failed turns"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """One candidate: its turns, and the numbers of words in its first and its later chunks."""

    side: Side
    lengths: tuple[int, int]

    def median(self, figure: Figure) -> float | None:
        """Return a figure over the measured turns."""
        return figure.observe(self.side.summary)[0]


@dataclass(frozen=True, slots=True)
class Choice:
    """The best candidate, or None with the number of turns that would decide."""

    best: int | None
    """Its place among the contenders; None if none was chosen."""
    figure: Figure
    """The figure that was compared."""
    standings: tuple[CandidateStanding, ...]
    turns_needed: int | None = None
    """The turns of each candidate that would decide, if they are too few."""
    at_least: bool = False
    """Whether ``turns_needed`` is only the minimum for an interval."""


def choose(contenders: Sequence[Contender]) -> Choice:
    """Return the best of ``contenders`` by the rules above."""
    standings = [_alone(contender) for contender in contenders]
    level = family_level(len(contenders) - 1)
    fewest = values_to_bound(50, level)
    pool, figure = _places(standings, CandidateStanding.AS_EARLY), FIRST_AUDIO
    if not pool:
        pool, figure = _places(standings, CandidateStanding.STARVES), GAPLESS
    doubts: dict[int, int] = {}
    beside = list(standings)
    for place in pool:
        gaps = [
            _gap(figure, contenders[other], contenders[place], level)
            for other in pool
            if other != place
        ]
        beside[place] = _standing(gaps)
        if beside[place] is CandidateStanding.IN_DOUBT:
            doubts[place] = max(_turns_to_settle(gaps), fewest)
    best = max(
        _places(beside, CandidateStanding.AS_EARLY),
        key=lambda place: (contenders[place].lengths, -(contenders[place].median(figure) or 0.0)),
        default=None,
    )
    blocking = [
        turns
        for place, turns in doubts.items()
        if best is None or contenders[place].lengths > contenders[best].lengths
    ]
    blocking += _unsteady(contenders, standings, best if figure is FIRST_AUDIO else None, level)
    if figure is GAPLESS:
        beside = [
            CandidateStanding.STARVES
            if was is CandidateStanding.STARVES and now is not CandidateStanding.IN_DOUBT
            else now
            for was, now in zip(standings, beside, strict=True)
        ]
    if best is None or blocking:
        needed = max(blocking, default=None)
        return Choice(None, figure, tuple(beside), needed, at_least=needed == fewest)
    beside[best] = CandidateStanding.BEST
    return Choice(best, figure, tuple(beside))


def _alone(contender: Contender) -> CandidateStanding:
    """Return a candidate's standing before the comparison; `AS_EARLY` if nothing is wrong."""
    if contender.median(FIRST_AUDIO) is None:
        return CandidateStanding.NOT_MEASURED
    if contender.side.summary.failed:
        return CandidateStanding.FAILED_TURNS
    deficit = contender.median(DEFICIT)
    starves = deficit is not None and deficit > MOST_DEFICIT_MS
    return CandidateStanding.STARVES if starves else CandidateStanding.AS_EARLY


def _places(standings: Sequence[CandidateStanding], wanted: CandidateStanding) -> list[int]:
    return [place for place, standing in enumerate(standings) if standing is wanted]


@dataclass(frozen=True, slots=True)
class _Gap:
    """How much later one candidate is than another, and how much later it may be."""

    change: float
    around: Interval
    known: float
    """The number of turns behind the interval."""
    margin: float

    def is_as_early(self) -> bool:
        """Whether it is shown to come no later than the margin."""
        return self.around.high is not None and self.around.high <= self.margin

    def is_later(self) -> bool:
        """Whether it is shown to come later."""
        return self.around.low is not None and self.around.low > 0

    def turns_until_as_early(self) -> float:
        """Return how many turns would show that; infinite if the change is too large."""
        if self.is_as_early():
            return 0.0
        room = self.margin - self.change
        if self.around.high is None or room <= 0:
            return math.inf
        return turns_to_reach(self.known, self.around.high - self.change, room, self.around.level)

    def turns_until_later(self) -> float:
        """Return how many turns would show that it comes later; infinite if it does not."""
        if self.around.low is None or self.change <= 0:
            return math.inf
        return turns_to_reach(
            self.known, self.change - self.around.low, self.change, self.around.level
        )


def _gap(figure: Figure, other: Contender, contender: Contender, level: float) -> _Gap:
    [compared] = compare([figure], other.side, contender.side, level)
    difference = compared.difference
    assert difference is not None
    counts = [
        len(each.side.summary.metrics["first_audio_ms"].values) for each in (other, contender)
    ]
    return _Gap(
        difference.change,
        difference.interval or Interval(None, None, level),
        difference.pairs or 2 / (1 / counts[0] + 1 / counts[1]),
        AS_EARLY_WITHIN * difference.first,
    )


def _standing(gaps: Sequence[_Gap]) -> CandidateStanding:
    """Return the standing of a candidate, given its gap to each other candidate."""
    if all(gap.is_as_early() for gap in gaps):
        return CandidateStanding.AS_EARLY
    later = any(gap.is_later() and not gap.is_as_early() for gap in gaps)
    return CandidateStanding.LATER if later else CandidateStanding.IN_DOUBT


def _turns_to_settle(gaps: Sequence[_Gap]) -> int:
    """Return how many turns would show a candidate as early as all others, or later than one."""
    as_early = max(gap.turns_until_as_early() for gap in gaps)
    later = min(gap.turns_until_later() for gap in gaps)
    turns = min(as_early, later)
    return 0 if math.isinf(turns) else round(turns)


def _unsteady(
    contenders: Sequence[Contender],
    standings: Sequence[CandidateStanding],
    best: int | None,
    level: float,
) -> list[int]:
    """Return how many turns would show whether the decisive candidates starve their listener.

    The choice depends on the best one, and on those that seem to starve but would be preferred.
    """
    wanted = [] if best is None else [best]
    wanted += [
        place
        for place in _places(standings, CandidateStanding.STARVES)
        if best is None or contenders[place].lengths > contenders[best].lengths
    ]
    found = []
    for place in wanted:
        contender = contenders[place]
        deficit, around = contender.median(DEFICIT), DEFICIT.interval(contender.side.summary, level)
        if deficit is None or around is None:
            continue
        bound = around.low if deficit > MOST_DEFICIT_MS else around.high
        if bound is None:
            found.append(values_to_bound(50, level))
        elif (bound > MOST_DEFICIT_MS) != (deficit > MOST_DEFICIT_MS):
            reach, room = abs(bound - deficit), abs(deficit - MOST_DEFICIT_MS)
            known = len(contender.side.summary.metrics["worst_deficit_ms"].values)
            found.append(turns_to_reach(known, reach, room or reach, level))
    return found
