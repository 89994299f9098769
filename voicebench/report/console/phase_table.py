"""The table of phases: first turns after loading and after a silence, beside the measured ones."""

from __future__ import annotations

from rich.text import Text

from voicebench import format as form
from voicebench.figures.phases import figures_of, phase_figures
from voicebench.judging.digest import Digest
from voicebench.report.console.style import QUIET, Column, Sheet
from voicebench.report.runs import phase_label


def phase_sheet(digest: Digest) -> Sheet | None:
    """Return the table, in order of time; None where no turn was cold or idle."""
    summary = digest.summary
    apart = phase_figures(digest.phases, summary)
    if not apart or not summary.turns:
        return None
    rows = [
        *(found for found in apart if found.phase == "cold"),
        figures_of("measured", summary, summary),
        *(found for found in apart if found.phase == "idle"),
    ]
    columns = [
        Column("phase", [Text(phase_label(row.phase)) for row in rows], "left"),
        Column("turns", [Text(str(row.turns), QUIET) for row in rows], spare=2),
        Column("failed", [Text(str(row.failed), QUIET) for row in rows], spare=3),
        Column("first\naudio p50", [Text(form.ms(row.first_audio_ms)) for row in rows]),
        Column("over\nmeasured", [Text(_signed(row.over_measured_ms)) for row in rows]),
    ]
    if any(row.connect_ms is not None for row in rows):
        columns += [
            Column("connect", [Text(form.ms(row.connect_ms)) for row in rows]),
            Column(
                "connections\nreused", [Text(form.percent(row.connection_reused)) for row in rows]
            ),
        ]
    return Sheet("Phases, in ms", columns)


def _signed(value: float | None) -> str:
    text = form.ms(value)
    return f"+{text}" if value is not None and value > 0 else text
