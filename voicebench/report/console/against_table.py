"""The table of a run's figures against those of its baseline."""

from __future__ import annotations

from rich.text import Text

from voicebench import format as form
from voicebench.judging.gates import OPEN
from voicebench.report.console.comparison_table import signed_interval
from voicebench.report.console.style import QUIET, UNSURE, Column, Sheet
from voicebench.report.console.verdicts import verdict_text
from voicebench.results.judged import Judged, Regression


def against_sheet(judged: Judged) -> Sheet | None:
    """Return the table; None where the run was held against no baseline."""
    rows = judged.regressions
    if not rows:
        return None
    columns = [
        Column("figure", [Text(row.figure) for row in rows], "left"),
        Column("baseline", [Text(form.quantity(row.before, row.unit), QUIET) for row in rows]),
        Column("this\nrun", [Text(form.quantity(row.now, row.unit), "bold") for row in rows]),
        Column("change", [Text(row.change_text()) for row in rows]),
        Column(
            "interval of\nthe change",
            [Text(signed_interval(row.around, row.unit)) for row in rows],
            spare=2,
        ),
        Column("allowed", [Text(_allowed(row)) for row in rows], spare=1),
        Column("status", [verdict_text(row.verdict) for row in rows], "left"),
    ]
    told: dict[tuple[str, bool], list[str]] = {}
    for row in rows:
        if row.note:
            told.setdefault((row.note, row.verdict in OPEN), []).append(row.figure)
    notes = [
        Text(f"{', '.join(figures)}: {note}", UNSURE if is_open else QUIET)
        for (note, is_open), figures in told.items()
    ]
    levels = {row.around.level for row in rows if row.around is not None}
    notes += [Text(f"{form.percent(level)} intervals of the change", QUIET) for level in levels]
    notes += [Text(f"baseline: {judged.baseline}", QUIET)] if judged.baseline else []
    return Sheet("Against the baseline", columns, notes)


def _allowed(row: Regression) -> str:
    return form.NOTHING if row.allowed is None else form.limit(row.allowed, "share")
