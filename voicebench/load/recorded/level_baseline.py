"""A level compared with the level of an earlier run: did it become slower?

The figures are those of every comparison of levels (`level_intervals.level_figures`): the share of
good turns, and p50 and p95 of first audio from the due moment. The verdict on each is that of other
runs against their baselines (`voicebench.judging.regression`). The intervals are widened because
turns of a level depend on each other, and because several figures are compared.

The answer of a run keeps the baseline's figures with their intervals. So the verdict is computed
again from the turns of this run alone, even if the other folder is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voicebench.figures.comparison import ComparedFigure, Outcome
from voicebench.figures.differences import Difference
from voicebench.figures.figure import parse_figure
from voicebench.figures.intervals import Interval
from voicebench.judging.gates import Verdict
from voicebench.judging.regression import (
    ChangeLimits,
    RegressionResult,
    family_level,
    verdict_on_change,
)
from voicebench.load.load_gate import LoadGate
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.level_intervals import (
    FIGURES,
    LevelFigure,
    difference,
    level_figures,
    outcome_of,
)
from voicebench.results.judged import Judged
from voicebench.results.reading import number_in, object_in

LEVEL = family_level(FIGURES)
"""The level of each interval, so that all figures together seldom raise a false alarm."""


@dataclass(frozen=True, slots=True)
class BaselineLevel:
    """The figures of an earlier level, and how much worse a later one may be."""

    result: str
    """Its run folder."""
    figures: Mapping[str, LevelFigure]
    max_regression: float
    """The share by which a figure may be worse; of a share, the difference."""
    decide: bool = False
    """Whether a change that is not shown, and may be larger, is undecided."""

    def compared(
        self, level: RecordedLevel, gates: Sequence[LoadGate]
    ) -> tuple[RegressionResult, ...]:
        """Return each figure of ``level`` against this one, with its verdict."""
        now = level_figures(level, tuple(gates), LEVEL)
        return tuple(self._of(name, before, now.get(name)) for name, before in self.figures.items())

    def _of(self, name: str, before: LevelFigure, now: LevelFigure | None) -> RegressionResult:
        figure = parse_figure(name)
        if now is None:
            compared = ComparedFigure(figure, before.value, None, None, Outcome.NOT_MEASURED)
        else:
            around = difference(before, now)
            change = Difference(before.value, now.value, now.value - before.value, around)
            outcome = outcome_of(around, lower_is_better=figure.better == "lower")
            compared = ComparedFigure(figure, before.value, now.value, change, outcome)
        limits = ChangeLimits(self.max_regression, self.decide, 0.0)
        verdict, note = verdict_on_change(compared, limits)
        return RegressionResult(compared, self.max_regression, verdict, note)

    def verdicts(self, level: RecordedLevel, gates: Sequence[LoadGate]) -> tuple[Verdict, ...]:
        """Return the verdict on each figure."""
        return tuple(one.verdict for one in self.compared(level, gates))

    def judged(self, level: RecordedLevel, gates: Sequence[LoadGate]) -> Judged:
        """Return the comparison in the form that reports of other runs show."""
        found = [one.as_dict() for one in self.compared(level, gates)]
        return Judged.of({"judgement": {"baseline": self.result, "regressions": found}})

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``load.json``."""
        return {
            "result": self.result,
            "max_regression": self.max_regression,
            "decide": self.decide,
            "figures": {
                name: {
                    "value": one.value,
                    "interval": one.interval.as_dict(),
                    "effective_n": one.effective_n,
                }
                for name, one in self.figures.items()
            },
        }


def stored_level_baseline(document: Mapping[str, object]) -> BaselineLevel | None:
    """Return the baseline in ``load.json``; None if none was named, or it is not one."""
    entry = object_in(document, "baseline")
    allowed, named = number_in(entry, "max_regression"), object_in(entry, "figures")
    if allowed is None or not named:
        return None
    figures = {name: one for name in named if (one := _figure(object_in(named, name))) is not None}
    return BaselineLevel(str(entry.get("result")), figures, allowed, entry.get("decide") is True)


def _figure(entry: Mapping[str, object]) -> LevelFigure | None:
    value, effective = number_in(entry, "value"), number_in(entry, "effective_n")
    around = object_in(entry, "interval")
    if value is None or effective is None:
        return None
    interval = Interval(
        number_in(around, "low"), number_in(around, "high"), number_in(around, "level") or LEVEL
    )
    return LevelFigure(value, interval, effective)
