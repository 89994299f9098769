"""The tables of two runs under load: their capacities, and the levels that both held."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from voicebench import format as form
from voicebench.figures.comparison import Outcome
from voicebench.load.level_document import offered
from voicebench.load.recorded.load_comparison import (
    CapacityChange,
    LevelChange,
    LoadComparison,
)
from voicebench.report.console.comparison_table import (
    STYLES,
    difference_notes,
    signed,
    signed_interval,
)
from voicebench.report.console.style import BAD, GOOD, QUIET, UNSURE, Column, Sheet

CAPACITY_STYLES = {"better": f"bold {GOOD}", "worse": f"bold {BAD}", "undecided": UNSURE}


def load_comparison_sheets(compared: LoadComparison, names: tuple[str, str]) -> list[Sheet]:
    """Return the tables of a comparison; ``names`` are the names of the runs."""
    sheets = []
    if compared.capacity is not None:
        sheets.append(capacity_sheet(compared.capacity, names))
    notes = difference_notes(compared.found)
    if compared.levels:
        sheets.append(level_changes_sheet(compared.levels, names, notes))
    elif sheets:
        sheets[0] = Sheet(sheets[0].title, sheets[0].columns, [*sheets[0].notes, *notes])
    else:
        sheets.append(Sheet("Level by level", [], [Text("no load was held by both"), *notes]))
    return sheets


def capacity_sheet(change: CapacityChange, names: tuple[str, str]) -> Sheet:
    """Return both capacities with their brackets; the verdict and its reason are in the notes."""
    brackets = (change.first, change.second)
    columns = [
        Column("", [Text(name) for name in names], "left"),
        Column("confirmed", [_callers(low) for low, _ in brackets]),
        Column("shown to fail", [_callers(high) for _, high in brackets]),
    ]
    style = CAPACITY_STYLES[change.verdict]
    notes = [Text.assemble((change.verdict, style), f": {change.why}")]
    if change.change is not None:
        ends = ["open" if end is None else f"{end:+d}" for end in change.interval]
        notes.append(Text(f"change {change.change:+d}, by the brackets {ends[0]} to {ends[1]}"))
    return Sheet("Capacity, in callers", columns, notes)


def _callers(count: int | None) -> Text:
    return Text(form.NOTHING, QUIET) if count is None else Text(str(count))


def level_changes_sheet(
    changes: Sequence[LevelChange], names: tuple[str, str], notes: Sequence[Text]
) -> Sheet:
    """Return one row for each figure of a level that both runs held."""
    columns = [
        Column("load", [Text(offered(one.level.document)) for one in changes], "left"),
        Column("figure", [Text(one.figure) for one in changes], "left"),
        Column("unit", [Text(form.unit_name(one.unit), QUIET) for one in changes], "left", spare=3),
        Column(names[0], [Text(form.number(one.first, one.unit)) for one in changes]),
        Column(names[1], [Text(form.number(one.second, one.unit)) for one in changes]),
        Column("change", [Text(_change(one)) for one in changes], spare=1),
        Column(
            "interval of\nthe change",
            [Text(signed_interval(one.interval, one.unit)) for one in changes],
            spare=2,
        ),
        Column(
            "verdict", [Text(one.outcome.value, STYLES[one.outcome]) for one in changes], "left"
        ),
    ]
    told = []
    if any(one.outcome is not Outcome.NOT_MEASURED for one in changes):
        told.append(Text("95 % intervals, widened because turns depend on each other", QUIET))
    return Sheet("Level by level", columns, [*told, *notes])


def _change(one: LevelChange) -> str:
    if one.first is None or one.second is None:
        return form.NOTHING
    return signed(one.second - one.first, one.unit)
