"""The tables of one recorded run, and of several runs side by side.

The terminal, Markdown and HTML show the same sheets, so a figure reads the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rich.text import Text

from voicebench import format as form
from voicebench.figures.metrics import METRICS, Metric
from voicebench.figures.summary import Distribution
from voicebench.judging.final import Final
from voicebench.judging.gates import GateResult, judge, parse_gate
from voicebench.report.console.call_table import (
    call_sheet,
    heard_sheet,
    is_of_calls,
    response_line,
)
from voicebench.report.console.chunk_table import chunk_sheet
from voicebench.report.console.comparison_table import against_sheet
from voicebench.report.console.figure_tables import (
    TAIL,
    distribution_sheet,
    phase_sheet,
    server_sheet,
)
from voicebench.report.console.run_table import run_sheet
from voicebench.report.console.style import QUIET, VERDICT_SIGNS, Column, Sheet
from voicebench.report.console.turn_number_table import turn_number_sheet
from voicebench.report.console.verdicts import verdict_sheet, verdict_text
from voicebench.report.runs import first_audio_limit
from voicebench.results.run import RecordedRun


def sheets_of(run: RecordedRun) -> list[Sheet]:
    """Return the tables of one run, in order."""
    digest, gates = run.digest, run.gate_results
    judged = [
        verdict_sheet(gates, run.summary, run.previous) if gates else None,
        against_sheet(run.judged),
    ]
    steps = call_sheet(digest)
    if steps is not None:
        of_calls = [*judged, steps, heard_sheet(digest), distribution_sheet(run.summary)]
        return [sheet for sheet in of_calls if sheet is not None]
    sheets = [
        *judged,
        run_sheet(digest, first_audio_limit(gates)),
        turn_number_sheet(run.columns),
        phase_sheet(digest),
        chunk_sheet(digest.chunks),
        server_sheet(run.summary),
        distribution_sheet(run.summary),
    ]
    return [sheet for sheet in sheets if sheet is not None]


def side_by_side(runs: Sequence[RecordedRun]) -> list[Sheet]:
    """Return the tables of several runs: the verdicts of all gates, and all metrics."""
    sheets = [_gates(runs)] if any(run.gate_results for run in runs) else []
    return [*sheets, _metrics(runs)]


class Named(Protocol):
    """A recorded run of any kind."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def path(self) -> Path:
        """Its folder."""
        ...


def names(runs: Sequence[Named]) -> list[str]:
    """Return a different name for each run: its name, its folder or its path."""
    plain = [run.name for run in runs]
    if len(set(plain)) == len(plain):
        return plain
    folders = [run.path.name for run in runs]
    if len(set(folders)) == len(folders):
        return folders
    return [str(run.path) for run in runs]


def filled_columns(sheet: Sheet) -> list[Column]:
    """Return the columns of ``sheet`` without spare columns that have no value in any cell."""
    return [
        column
        for column in sheet.columns
        if not column.spare or any(cell.plain not in ("", form.NOTHING) for cell in column.cells)
    ]


def final_line(final: Final) -> str:
    """Return a run's final verdict in one line: ``✗ FAIL: 1 of 4 gates passed``."""
    return f"{VERDICT_SIGNS[final.word]} {final.word}: {final.why()}"


def first_audio_line(run: RecordedRun) -> str:
    """Return a run's turns, failures and first audio in one line; of calls, the answers."""
    if is_of_calls(run.digest):
        return response_line(run.digest)
    counts = f"{form.plural(run.summary.turns, 'measured turn')}, {run.summary.failed} failed"
    found = run.summary.metrics["first_audio_ms"]
    if not found.values:
        return counts
    tail, carried = found.quantile(TAIL)
    named = f"p{TAIL}" if carried else f"max of {len(found.values)}"
    return (
        f"{counts} · first audio {form.quantity(found.quantile(50)[0], 'ms')} p50, "
        f"{form.quantity(tail, 'ms')} {named}"
    )


def observed_text(result: GateResult) -> str:
    """Return the figure that a gate observed, with its interval: ``287 ms (95 %: 260 to 330)``."""
    gate = result.gate
    if result.observed is None:
        return "not measured"
    text = form.beside(result.observed, gate.limit, gate.unit)
    unit = form.UNITS[gate.unit]
    interval = result.interval
    if interval is None or (interval.low is None and interval.high is None):
        return f"{text}{unit}"
    low = "…" if interval.low is None else form.number(interval.low, gate.unit)
    high = "…" if interval.high is None else form.number(interval.high, gate.unit)
    return f"{text}{unit} ({100 * interval.level:.0f} %: {low} to {high})"


def _gates(runs: Sequence[RecordedRun]) -> Sheet:
    texts = list(dict.fromkeys(result.gate.text for run in runs for result in run.gate_results))
    columns = [Column("gate", [Text(text) for text in texts], "left", least=20)]
    for name, run in zip(names(runs), runs, strict=True):
        own = {result.gate.text: result for result in run.gate_results}
        cells = [_verdict(run, text, own.get(text)) for text in texts]
        columns.append(Column(form.one_line(name), cells, "left"))
    return Sheet("Gates", columns)


def _verdict(run: RecordedRun, text: str, own: GateResult | None) -> Text:
    """Return the verdict of a gate on a run, in brackets if the run has no such gate."""
    result = own or judge(parse_gate(text), run.summary)
    gate = result.gate
    figure = form.beside(result.observed, gate.limit, gate.unit)
    cell = Text.assemble(f"{figure} ", verdict_text(result.verdict))
    return cell if own else Text.assemble("(", cell, ")")


def _metrics(runs: Sequence[RecordedRun]) -> Sheet:
    shown = [
        (metric, statistic)
        for metric in METRICS
        if any(run.summary.metrics[metric.name].values for run in runs)
        for statistic in ("p50", f"p{TAIL}")
    ]
    columns = [
        Column("metric", [Text(metric.short_name) for metric, _ in shown], "left"),
        Column("figure", [Text(statistic, QUIET) for _, statistic in shown], "left"),
        Column("unit", [Text(form.unit_name(metric.unit), QUIET) for metric, _ in shown], "left"),
    ]
    for name, run in zip(names(runs), runs, strict=True):
        cells = [_figure(metric, statistic, run) for metric, statistic in shown]
        columns.append(Column(form.one_line(name), cells))
    return Sheet("Side by side", columns)


def _figure(metric: Metric, statistic: str, run: RecordedRun) -> Text:
    found: Distribution = run.summary.metrics[metric.name]
    value, carried = found.quantile(float(statistic[1:]))
    text = form.number(value, metric.unit)
    if value is None or carried:
        return Text(text)
    return Text.assemble(text, (f" max of {len(found.values)}", QUIET))
