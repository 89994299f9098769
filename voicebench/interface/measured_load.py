"""A run under load as Python code sees it: its answer, its levels, their figures and intervals."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.errors import UsageError
from voicebench.figures.intervals import Interval
from voicebench.judging.final import Final, Word
from voicebench.load.level_document import offered
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.level_intervals import good_share, quantile_of
from voicebench.load.recorded.level_tables import write_levels
from voicebench.load.recorded.load_run import LoadRun, read_load_run
from voicebench.machine.extras import require
from voicebench.results.reading import find_result

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class MeasuredLevel:
    """One level of a run under load. Every figure is of its measured window."""

    recorded: RecordedLevel
    """The level as the commands see it; not part of the stable interface."""
    run: LoadRun
    """The run that it belongs to; not part of the stable interface."""

    @property
    def load(self) -> str:
        """What it offers: ``40 callers``, ``30 calls/min``, ``4 turns/s``."""
        return offered(self.recorded.document)

    @property
    def callers(self) -> int | None:
        """Its callers at once; None if calls or turns arrive at a rate."""
        return self.recorded.callers

    @property
    def purpose(self) -> str:
        """``load``; or the step of the search: climb, narrow, ceiling, again, confirm."""
        return self.recorded.purpose

    @property
    def standing(self) -> str:
        """``holds``, ``fails``, ``undecided``, ``invalid``, ``seems to hold`` or ``… fail``."""
        return self.recorded.held.judgement.standing.value

    @property
    def turns(self) -> int:
        """The number of turns that were due in the measured window."""
        return self.recorded.held.measured.n

    @property
    def rates(self) -> Mapping[str, float | None]:
        """Shares of the turns (``good.rate``, ``errors.rate``, …) or calls, 0 to 1."""
        return self.recorded.held.judgement.rates

    def figure(self, name: str) -> tuple[float | None, Interval | None]:
        """Return ``good.rate``, or a percentile such as ``first_audio_due.p95`` in ms, and its
        95 % interval, widened because turns of a level depend on each other.

        Either is None where the turns do not show it. Raises `voicebench.errors.UsageError` for
        another name.
        """
        metric, _, part = name.rpartition(".p")
        if name == "good.rate":
            found = good_share(self.recorded, self.run.gates)
        elif metric and part.isdigit() and 0 < int(part) < 100:
            found = quantile_of(self.recorded, f"{metric}_ms", int(part))
        else:
            raise UsageError(
                f"{name!r} is not a figure of a level",
                "name good.rate, or a percentile such as first_audio_due.p95",
            )
        return (None, None) if found is None else (found.value, found.interval)

    def document(self) -> Mapping[str, object]:
        """Return the level as a line of ``levels.jsonl``, computed again (docs/how-to/load.md)."""
        return self.recorded.document


@dataclass(frozen=True)
class MeasuredLoad:
    """A run of ``voicebench load`` or ``capacity``, judged again from its turns."""

    recorded: LoadRun
    """The run as the commands see it; not part of the stable interface."""

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.recorded.path

    @property
    def kind(self) -> str:
        """The command that made it: ``load`` or ``capacity``."""
        return self.recorded.kind

    @property
    def settings(self) -> Mapping[str, object]:
        """The settings, by section, keys and passwords hidden."""
        return self.recorded.settings

    @property
    def environment(self) -> Mapping[str, object]:
        """The machine, the client's own error, and what the target says of itself."""
        return self.recorded.environment

    @property
    def turns(self) -> int:
        """The number of finished turns of all levels and phases."""
        return self.recorded.turns.count

    @property
    def levels(self) -> tuple[MeasuredLevel, ...]:
        """The levels in the order in which they were held."""
        return tuple(MeasuredLevel(level, self.recorded) for level in self.recorded.levels)

    @property
    def level(self) -> MeasuredLevel | None:
        """The level that the answer rests on: of a search the confirmed one, else the last."""
        shown = self.recorded.shown_level
        return None if shown is None else MeasuredLevel(shown, self.recorded)

    @property
    def capacity(self) -> int | None:
        """The confirmed callers; None of a single level, or if no level was confirmed."""
        answer = self.recorded.replay.answer
        return None if answer is None else answer.capacity

    @property
    def fails_at(self) -> int | None:
        """The lowest number of callers that was shown to fail; None if none was."""
        answer = self.recorded.replay.answer
        return None if answer is None else answer.high

    @property
    def final(self) -> Final:
        """The final verdict, computed again; ``final.why()`` has its reason."""
        return self.recorded.final

    @property
    def passed(self) -> bool:
        """Whether the final verdict is PASS. A run that no gate judged has not passed."""
        return self.final.word is Word.PASS

    def __str__(self) -> str:
        """Return the final verdict and its reason."""
        return f"{self.final.word}: {self.final.why()}"

    def frame(self) -> pandas.DataFrame:
        """Return a row for each level as a pandas data frame: the columns of ``load.csv``.

        Raises `voicebench.errors.UsageError` if the extra ``pandas`` is not installed.
        """
        require("pandas", "read load.csv in the run folder with Python's csv")
        import pandas

        text = io.StringIO()
        write_levels(text, [self.recorded])
        text.seek(0)
        return pandas.read_csv(text)


def read_load(path: str | PathLike[str]) -> MeasuredLoad:
    """Read the run under load at ``path``; ``latest`` and bare names are looked for in ``results``.

    Raises `voicebench.errors.ResultsError` if it is not the folder of ``load`` or ``capacity``.
    """
    return MeasuredLoad(read_load_run(find_result(Path(path))))
