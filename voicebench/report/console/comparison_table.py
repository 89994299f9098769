"""Tables of two runs, one row a figure: side by side, and a run against its baseline.

A row has both values, the change with its interval, and the verdict. The notes list the differences
of the two runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from voicebench import format as form
from voicebench.figures.comparison import ComparedFigure, Outcome
from voicebench.figures.intervals import Interval
from voicebench.judging.comparability import Comparability, Disagreement
from voicebench.judging.gates import OPEN
from voicebench.report.console.style import BAD, GOOD, NEAR, QUIET, UNSURE, Column, Sheet
from voicebench.report.console.verdicts import verdict_text
from voicebench.results.judged import Judged

STYLES = {
    Outcome.BETTER: f"bold {GOOD}",
    Outcome.WORSE: f"bold {BAD}",
    Outcome.CHANGED: "bold",
    Outcome.NONE_SHOWN: "",
    Outcome.TOO_FEW: UNSURE,
    Outcome.NOT_MEASURED: QUIET,
}
MOST_LISTED = 12


def comparison_sheet(
    compared: Sequence[ComparedFigure], names: tuple[str, str], found: Comparability
) -> Sheet:
    """Return the table of two runs side by side; ``names`` are the names of the runs."""
    units = [row.figure.unit for row in compared]
    changes = [row.difference for row in compared]
    columns = [
        Column("figure", [Text(row.figure.name) for row in compared], "left"),
        Column("unit", [Text(form.unit_name(unit), QUIET) for unit in units], "left", spare=3),
        Column(names[0], [Text(form.number(row.first, row.figure.unit)) for row in compared]),
        Column(names[1], [Text(form.number(row.second, row.figure.unit)) for row in compared]),
        Column(
            "change",
            [
                Text(signed(change.change, unit) if change else form.NOTHING)
                for change, unit in zip(changes, units, strict=True)
            ],
        ),
        Column(
            "interval",
            [
                Text(signed_interval(change.interval if change else None, unit))
                for change, unit in zip(changes, units, strict=True)
            ],
            spare=1,
        ),
        Column("", [Text(_relative(row), QUIET) for row in compared], spare=2, extra=True),
        Column(
            "verdict", [Text(row.outcome.value, STYLES[row.outcome]) for row in compared], "left"
        ),
    ]
    if any(row.turns_needed for row in compared):
        needed = [Text(str(row.turns_needed or ""), QUIET) for row in compared]
        columns.insert(-1, Column("turns to\nshow it", needed, spare=4, extra=True))
    notes = _levels([change.interval for change in changes if change])
    pairs = [change.pairs for change in changes if change and change.pairs]
    if pairs:
        notes.append(Text(f"turns are paired by their prompts: {max(pairs)} pairs", QUIET))
    return Sheet("Side by side", columns, [*notes, *difference_notes(found)])


def difference_notes(found: Comparability) -> list[Text]:
    """Return the notes on the differences of two runs beside their figures."""
    notes = [Text(f"the numbers mean other things: {line}", BAD) for line in found.refused]
    notes += [Text(line, NEAR) for line in _disagreements("other machine", found.warned)]
    return [*notes, *(Text(line) for line in _disagreements("differs", found.shown))]


def against_sheet(judged: Judged) -> Sheet | None:
    """Return the table of a run against its baseline; None if no baseline was named."""
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
        Column(
            "allowed",
            [
                Text(form.NOTHING if row.allowed is None else form.limit(row.allowed, "share"))
                for row in rows
            ],
            spare=1,
        ),
        Column("status", [verdict_text(row.verdict) for row in rows], "left"),
    ]
    figures: dict[tuple[str, bool], list[str]] = {}
    for row in rows:
        if row.note:
            figures.setdefault((row.note, row.verdict in OPEN), []).append(row.figure)
    notes = [
        Text(f"{', '.join(named)}: {note}", UNSURE if is_open else QUIET)
        for (note, is_open), named in figures.items()
    ]
    notes += _levels([row.around for row in rows])
    notes += [Text(f"baseline: {judged.baseline}", QUIET)] if judged.baseline else []
    return Sheet("Against the baseline", columns, notes)


def _disagreements(title: str, found: Sequence[Disagreement]) -> list[str]:
    """Return the differences of two runs, one line each; of a long list, the rest is counted."""
    lines = [f"{title}: {form.one_line(str(setting))}" for setting in found[:MOST_LISTED]]
    if len(found) > MOST_LISTED:
        lines.append(f"{title}: and {len(found) - MOST_LISTED} more")
    return lines


def _levels(intervals: Sequence[Interval | None]) -> list[Text]:
    levels = sorted({interval.level for interval in intervals if interval is not None})
    return [Text(f"{form.percent(level)} intervals of the change", QUIET) for level in levels]


def signed_interval(interval: Interval | None, unit: str) -> str:
    """Return ``-12.0 … +3.1``; an end that the turns cannot bound is ``open``."""
    if interval is None or (interval.low is None and interval.high is None):
        return form.NOTHING
    ends = ["open" if end is None else signed(end, unit) for end in (interval.low, interval.high)]
    return " … ".join(ends)


def _relative(row: ComparedFigure) -> str:
    return "" if not row.relative else f"{100 * row.relative:+z.1f} %"


def signed(value: float, unit: str) -> str:
    """Return a change with its sign: ``+3.1``."""
    digits = form.number(value, unit)
    return f"+{digits}" if value > 0 and digits.strip("0.") else digits
