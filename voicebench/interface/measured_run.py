"""A run as Python code sees it: its figures, its judgement, its tables."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from voicebench import format as form
from voicebench.figures.figure import parse_figure
from voicebench.figures.intervals import Interval
from voicebench.figures.summary import Distribution, Summary
from voicebench.judging.final import Final, Word
from voicebench.judging.gates import GateResult
from voicebench.judging.judgement import judge_gates
from voicebench.machine.extras import require
from voicebench.results.reading import find_result
from voicebench.results.run import RecordedRun
from voicebench.results.run import read_run as read_recorded
from voicebench.results.tables import write_events, write_long, write_turns

if TYPE_CHECKING:
    import pandas

TABLES = {"turns": write_turns, "long": write_long, "events": write_events}
"""The tables of `Run.frame`; docs/reference/csv.md describes their columns."""


@dataclass(frozen=True)
class Judgement:
    """The verdicts of some gates on a run, and the final verdict that follows."""

    gates: tuple[GateResult, ...]
    """Each gate with its observed figure, verdict, note and interval."""
    final: Final
    """The final verdict: the gates, and what prevents a verdict (noise, an interruption, a run
    whose turns all failed, the comparison with a baseline)."""
    summary: Summary
    """The distributions that were judged."""

    @property
    def passed(self) -> bool:
        """Whether the final verdict is PASS. A run that no gate judged has not passed."""
        return self.final.word is Word.PASS

    def __str__(self) -> str:
        """Return the final verdict and a line for each gate, with intervals and turns."""
        turns = form.plural(self.summary.turns, "measured turn")
        head = f"{self.final.word}: {turns}, {self.summary.failed} failed; {self.final.why()}"
        obstacles = [f"  {one.subject}: {one.in_full()}" for one in self.final.obstacles]
        return "\n".join([head, *obstacles, *(self._line(result) for result in self.gates)])

    def _line(self, result: GateResult) -> str:
        gate, interval = result.gate, result.interval
        value = form.beside(result.observed, gate.limit, gate.unit)
        if result.observed is not None:
            value += form.UNITS[gate.unit]
        said = [f"{gate.figure.name} = {value}"]
        if interval is not None:
            span = form.span(interval.low, interval.high, gate.unit)
            said.append(f"{form.percent(interval.level)} interval {span}")
        said.append(self._turns(result))
        note = f"; {result.note}" if result.note else ""
        return f"  {result.verdict}  {gate.text}: {', '.join(said)}{note}"

    def _turns(self, result: GateResult) -> str:
        if result.gate.metric is None:
            return form.plural(self.summary.turns, "turn")
        seen = self.summary.metrics[result.gate.metric.name]
        without = f", {seen.missing} without it" if seen.missing else ""
        return form.plural(seen.n, "turn") + without


@dataclass(frozen=True)
class Run:
    """A measured run. Its folder is one that `voicebench run` writes, and every command reads."""

    recorded: RecordedRun
    """The run as the commands of voicebench see it; not part of the stable interface."""

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.recorded.path

    @property
    def settings(self) -> Mapping[str, object]:
        """The settings, by section, keys and passwords hidden."""
        return self.recorded.settings

    @property
    def environment(self) -> Mapping[str, object]:
        """The machine, the instrument's own error, and what the target says of itself."""
        return self.recorded.environment

    @property
    def turns(self) -> int:
        """The number of measured turns, failed ones included."""
        return self.recorded.summary.turns

    @property
    def failed(self) -> int:
        """The number of measured turns that failed."""
        return self.recorded.summary.failed

    @property
    def metrics(self) -> Mapping[str, Distribution]:
        """The values over the measured turns, by the names in docs/explanation/metrics.md.

        ``metrics["first_audio_ms"].values`` has a number for each turn that shows the metric, in
        the unit of its name. ``mean()`` and ``quantile(q)`` compute figures.
        """
        return self.recorded.summary.metrics

    def figure(self, name: str) -> tuple[float | None, Interval | None]:
        """Return a figure such as ``first_audio.p95`` in its metric's unit, and its 95 % interval.

        Either is None where the turns do not show it. Raises `voicebench.errors.UsageError` for an
        unknown name.
        """
        figure = parse_figure(name)
        return figure.observe(self.recorded.summary)[0], figure.interval(self.recorded.summary)

    def judge(self, gates: str | Sequence[str] | None = None, *, decide: bool = True) -> Judgement:
        """Judge the run by ``gates``, or by those of its settings.

        The confidence interval of each figure is compared with the limit, so too few turns are
        UNDECIDED. Without ``decide`` the observed figure is compared, as ``voicebench run`` does by
        default. Raises `voicebench.errors.UsageError` for a gate that cannot be read.
        """
        chosen = [gates] if isinstance(gates, str) else gates
        run = self.recorded
        results = judge_gates(run.settings, run.summary, chosen, decide=decide)
        final = run.judged.final(run.taken, [result.verdict for result in results])
        return Judgement(results, final, run.summary)

    def frame(self, table: Literal["turns", "long", "events"] = "turns") -> pandas.DataFrame:
        """Return a table of all turns as a pandas data frame.

        ``turns`` has a row for each turn, ``long`` one for each metric of a turn, ``events`` one
        for each event; docs/reference/csv.md describes the columns. Raises
        `voicebench.errors.UsageError` if the extra ``pandas`` is not installed.
        """
        require("pandas", "read runs.csv in the run folder with Python's csv")
        import pandas

        text = io.StringIO()
        TABLES[table](text, [self.path])
        text.seek(0)
        return pandas.read_csv(text)


def read_run(path: str | PathLike[str]) -> Run:
    """Read the run folder at ``path``; ``latest`` and bare names are looked for in ``results``.

    Raises `voicebench.errors.ResultsError` if it is not a readable run folder.
    """
    return Run(read_recorded(find_result(Path(path))))
