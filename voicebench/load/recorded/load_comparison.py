"""Two runs under load side by side: the difference of their capacities, and level by level.

A search shows that a level holds, and maybe that a higher one fails. So a capacity lies in a
*bracket*, from the confirmed level to the lowest level that fails. Two capacities differ only if
their brackets do not overlap; else the comparison is undecided.

Levels are compared where both runs held the same load. Their intervals are widened, because turns
of one level depend on each other (`voicebench.load.recorded.level_intervals`). Both runs meet the
same callers if they have the same seed, and callers who behave in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from voicebench.figures.columns import columns_of
from voicebench.figures.comparison import Outcome, side_of
from voicebench.figures.intervals import Interval
from voicebench.judging.comparability import Comparability, Disagreement, comparability
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.level_intervals import (
    GOOD,
    LevelFigure,
    difference,
    level_figures,
    outcome_of,
)
from voicebench.load.recorded.load_run import LoadRun
from voicebench.results.reading import number_in, object_in

OTHER_MEANING = (
    *("think", "speech", "turns", "interrupt", "history", "trace", "gates", "quick", "ramp_s"),
)
"""Settings of ``load`` whose difference changes the meaning of a capacity or a share."""
SHOWN = ("seed", "for_s", "max_callers", "first_callers", "precision", "at_least", "drain_s")
"""Other settings of ``load``, which are shown if they differ."""
OFFERS = ("callers", "calls_per_s", "turns_per_s", "trace")
UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class CapacityChange:
    """The difference of two capacities."""

    first: tuple[int | None, int | None]
    """The confirmed level, and the lowest one that fails; None if there is none."""
    second: tuple[int | None, int | None]
    verdict: str
    """``better``, ``worse`` or ``undecided``."""
    why: str

    @property
    def change(self) -> int | None:
        """The difference of the confirmed levels; None if one was not confirmed."""
        before, now = self.first[0], self.second[0]
        return None if before is None or now is None else now - before

    @property
    def interval(self) -> tuple[int | None, int | None]:
        """The bracket of the difference: what it is at least, and at most."""
        (low, high), (other_low, other_high) = self.first, self.second
        least = None if other_low is None or high is None else other_low - high + 1
        most = None if other_high is None or low is None else other_high - 1 - low
        return least, most

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``compare --json``."""
        least, most = self.interval
        return {
            "first": {"capacity": self.first[0], "fails": self.first[1]},
            "second": {"capacity": self.second[0], "fails": self.second[1]},
            "change": self.change,
            "at_least": least,
            "at_most": most,
            "verdict": self.verdict,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class LevelChange:
    """One figure of a level that both runs held."""

    level: RecordedLevel
    """That of the first run."""
    other: RecordedLevel
    figure: str
    unit: str
    first: float | None
    second: float | None
    interval: Interval | None
    """Of the second minus the first."""
    outcome: Outcome

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``compare --json``."""
        return {
            "offered": {name: self.level.stored.get(name) for name in OFFERS},
            "levels": [self.level.number, self.other.number],
            "figure": self.figure,
            "unit": self.unit,
            "first": self.first,
            "second": self.second,
            "interval": None if self.interval is None else self.interval.as_dict(),
            "verdict": self.outcome.value,
        }


@dataclass(frozen=True, slots=True)
class LoadComparison:
    """Two runs under load, compared."""

    found: Comparability
    capacity: CapacityChange | None
    """None for runs of single levels."""
    levels: tuple[LevelChange, ...]

    @property
    def has_compared(self) -> bool:
        """Whether anything was compared."""
        judged = any(one.outcome is not Outcome.NOT_MEASURED for one in self.levels)
        return judged or (self.capacity is not None and self.capacity.change is not None)


def compare_load(first: LoadRun, second: LoadRun) -> LoadComparison:
    """Compare two runs under load."""
    found = load_comparability(first, second)
    capacity = None
    if first.is_search and second.is_search:
        capacity = capacity_change(first, second)
    return LoadComparison(found, capacity, tuple(_levels(first, second)))


def load_comparability(first: LoadRun, second: LoadRun) -> Comparability:
    """Return the differences of two runs, by how much they matter."""
    sides = [side_of(columns_of(()), run.settings, run.environment) for run in (first, second)]
    usual = comparability(*sides)
    ours, theirs = (object_in(run.settings, "load") for run in (first, second))
    refused = other_meaning(first.settings, second.settings)
    if first.kind != second.kind:
        refused.insert(0, f"kind: {first.kind} → {second.kind}")
    shown = _differing(ours, theirs, SHOWN)
    return Comparability((*refused, *usual.refused), usual.warned, (*usual.shown, *shown))


def other_meaning(first: Mapping[str, object], second: Mapping[str, object]) -> list[str]:
    """Return the settings of ``load`` that give the figures of two runs different meanings."""
    ours, theirs = (object_in(settings, "load") for settings in (first, second))
    return [str(one) for one in _differing(ours, theirs, OTHER_MEANING)]


def _differing(
    first: Mapping[str, object], second: Mapping[str, object], names: Sequence[str]
) -> list[Disagreement]:
    return [
        Disagreement(f"load.{name}", first.get(name), second.get(name))
        for name in names
        if (first.get(name) or None) != (second.get(name) or None)
    ]


def capacity_change(first: LoadRun, second: LoadRun) -> CapacityChange:
    """Compare the brackets of two searches."""
    brackets = [_bracket(run) for run in (first, second)]
    (low, high), (other_low, other_high) = brackets
    for name, run in (("first", first), ("second", second)):
        if run.final.word.is_obstacle:
            why = f"the {name} run is {run.final.word}: its capacity may not be judged"
            return CapacityChange(brackets[0], brackets[1], UNDECIDED, why)
    if other_low is not None and high is not None and other_low >= high:
        why = f"{other_low} hold in the second run, and {high} fail in the first"
        return CapacityChange(brackets[0], brackets[1], Outcome.BETTER.value, why)
    if low is not None and other_high is not None and low >= other_high:
        why = f"{low} hold in the first run, and {other_high} fail in the second"
        return CapacityChange(brackets[0], brackets[1], Outcome.WORSE.value, why)
    missing = [
        name for name, (held, _) in zip(("first", "second"), brackets, strict=True) if held is None
    ]
    why = (
        f"no level of the {' and the '.join(missing)} run was confirmed"
        if missing
        else "the brackets overlap: hold levels longer (--for), or search finer (--precision)"
    )
    return CapacityChange(brackets[0], brackets[1], UNDECIDED, why)


def _bracket(run: LoadRun) -> tuple[int | None, int | None]:
    answer = run.replay.answer
    return (None, None) if answer is None else (answer.capacity, answer.high)


def _levels(first: LoadRun, second: LoadRun) -> Iterator[LevelChange]:
    ours, theirs = _by_offer(first), _by_offer(second)
    for offer, level in ours.items():
        if offer in theirs:
            yield from _changes(first, second, level, theirs[offer])


def _by_offer(run: LoadRun) -> dict[tuple[float | None, ...], RecordedLevel]:
    """Return the level with the most measured turns of each load, valid levels only."""
    found: dict[tuple[float | None, ...], RecordedLevel] = {}
    for level in run.levels:
        if level.held.interrupted or level.held.judgement.standing == "invalid":
            continue
        offer = tuple(number_in(level.stored, name) for name in OFFERS)
        known = found.get(offer)
        if known is None or level.held.measured.n >= known.held.measured.n:
            found[offer] = level
    return dict(sorted(found.items(), key=lambda item: [float(one or 0) for one in item[0]]))


def _changes(
    first: LoadRun, second: LoadRun, level: RecordedLevel, other: RecordedLevel
) -> Iterator[LevelChange]:
    ours, theirs = level_figures(level, first.gates), level_figures(other, second.gates)
    for name in ours:
        figures = ours[name], theirs[name]
        unit = "share" if name == GOOD else "ms"
        yield _change((level, other), name, unit, figures, lower_is_better=name != GOOD)


def _change(
    pair: tuple[RecordedLevel, RecordedLevel],
    name: str,
    unit: str,
    figures: tuple[LevelFigure | None, LevelFigure | None],
    *,
    lower_is_better: bool,
) -> LevelChange:
    before, now = figures
    values = (None if before is None else before.value, None if now is None else now.value)
    if before is None or now is None:
        return LevelChange(*pair, name, unit, *values, None, Outcome.NOT_MEASURED)
    around = difference(before, now)
    outcome = outcome_of(around, lower_is_better=lower_is_better)
    return LevelChange(*pair, name, unit, *values, around, outcome)
