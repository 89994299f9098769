"""Two recorded runs and the figures of both, compared: the same for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voicebench.figures.comparison import ComparedFigure, Outcome, compare, default_figures
from voicebench.figures.figure import Figure
from voicebench.judging.comparability import Comparability, comparability
from voicebench.results.run import RecordedRun

HEADLINES = ("response_ms", "first_audio_ms")
"""The metric that a comparison is about: the wait of the user, in a call or in a turn."""


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """Two runs and the figures that were compared; none if their numbers mean other things."""

    first: RecordedRun
    second: RecordedRun
    figures: Sequence[ComparedFigure]
    found: Comparability

    @property
    def has_compared(self) -> bool:
        """Whether both runs show any of the figures."""
        return any(one.outcome is not Outcome.NOT_MEASURED for one in self.figures)

    @property
    def headline(self) -> ComparedFigure | None:
        """The figure that the comparison is about; None if both runs show none."""
        measured = [one for one in self.figures if one.outcome is not Outcome.NOT_MEASURED]
        for name in HEADLINES:
            for one in measured:
                if one.figure.metric is not None and one.figure.metric.name == name:
                    return one
        return measured[0] if measured else None


def compared_runs(
    first: RecordedRun,
    second: RecordedRun,
    figures: Sequence[Figure] = (),
    *,
    anyway: bool = False,
) -> ComparedRuns:
    """Compare two runs in ``figures``, or in the median of every metric that both show.

    If their numbers mean different things, nothing is compared unless ``anyway``.
    """
    ours, theirs = first.side, second.side
    found = comparability(ours, theirs)
    if found.refused and not anyway:
        return ComparedRuns(first, second, (), found)
    wanted = figures or default_figures(ours.summary, theirs.summary)
    return ComparedRuns(first, second, compare(wanted, ours, theirs), found)
