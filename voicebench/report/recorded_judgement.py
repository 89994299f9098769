"""The table of a run's figures against its baseline, as they were stored."""

from __future__ import annotations

from rich.text import Text

from voicebench import format as form
from voicebench.report.style import QUIET, Column, Sheet
from voicebench.report.verdicts import verdict_text
from voicebench.results.judged import Judged, Regression


def against_sheet(judged: Judged) -> Sheet | None:
    """Return the table of the comparison; None where there was none."""
    if not judged.regressions:
        return None
    rows = judged.regressions
    columns = [
        Column("figure", [Text(row.figure) for row in rows], "left"),
        Column("baseline", [Text(form.quantity(row.before, row.unit), QUIET) for row in rows]),
        Column("this\nrun", [Text(form.quantity(row.now, row.unit), "bold") for row in rows]),
        Column("change", [Text(_change(row)) for row in rows]),
        Column("allowed", [Text(_allowed(row)) for row in rows], spare=1),
        Column("status", [verdict_text(row.verdict) for row in rows], "left"),
        Column("", [Text(row.note, QUIET) for row in rows], "left", spare=3, least=20),
    ]
    notes = [Text(f"baseline: {judged.baseline}", QUIET)] if judged.baseline else []
    return Sheet("Against the baseline", columns, notes)


def _change(row: Regression) -> str:
    if row.before is None or row.now is None:
        return form.NOTHING
    return form.change(row.before, row.now)


def _allowed(row: Regression) -> str:
    return form.NOTHING if row.allowed is None else form.limit(row.allowed, "share")
