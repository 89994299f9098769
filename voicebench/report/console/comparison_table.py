"""Two runs side by side, one row a figure: both values, the change with its interval, the verdict.

Below the table stand what the runs differ in, and what was paired with what.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from voicebench import format as form
from voicebench.figures.comparison import ComparedFigure, Outcome
from voicebench.figures.intervals import Interval
from voicebench.judging.comparability import Comparability, Disagreement
from voicebench.report.console.style import BAD, GOOD, NEAR, QUIET, UNSURE, Column, Sheet

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
    """Return the table; ``names`` are what the two runs are called."""
    columns = [
        Column("figure", [Text(one.figure.name) for one in compared], "left"),
        Column("unit", [Text(_unit(one), QUIET) for one in compared], "left", spare=3),
        Column(names[0], [Text(form.number(one.first, one.figure.unit)) for one in compared]),
        Column(names[1], [Text(form.number(one.second, one.figure.unit)) for one in compared]),
        Column("change", [Text(_change(one)) for one in compared]),
        Column("interval", [Text(_interval(one)) for one in compared], spare=1),
        Column("", [Text(_relative(one), QUIET) for one in compared], spare=2, extra=True),
        Column(
            "verdict",
            [Text(one.outcome.value, STYLES[one.outcome]) for one in compared],
            "left",
        ),
    ]
    if any(one.turns_needed for one in compared):
        needed = [Text(str(one.turns_needed or ""), QUIET) for one in compared]
        columns.insert(-1, Column("turns to\nshow it", needed, spare=4, extra=True))
    return Sheet("Side by side", columns, _notes(compared, found))


def signed_interval(interval: Interval | None, unit: str) -> str:
    """Return ``-12.0 … +3.1``; an end that the turns cannot bound is called open."""
    if interval is None or (interval.low is None and interval.high is None):
        return form.NOTHING
    ends = ["open" if end is None else _signed(end, unit) for end in (interval.low, interval.high)]
    return " … ".join(ends)


def disagreement_lines(title: str, found: Sequence[Disagreement]) -> list[str]:
    """Return what two runs differ in, one line each; the longest tails are counted."""
    lines = [f"{title}: {form.one_line(str(one))}" for one in found[:MOST_LISTED]]
    if len(found) > MOST_LISTED:
        lines.append(f"{title}: and {len(found) - MOST_LISTED} more")
    return lines


def _notes(compared: Sequence[ComparedFigure], found: Comparability) -> list[Text]:
    pairs = [one.difference.pairs for one in compared if one.difference and one.difference.pairs]
    levels = {
        one.difference.interval.level
        for one in compared
        if one.difference and one.difference.interval
    }
    notes = [
        Text(f"{form.percent(level)} intervals of the change", QUIET) for level in sorted(levels)
    ]
    if pairs:
        notes.append(Text(f"turns are paired by their prompts: {max(pairs)} pairs", QUIET))
    notes += [Text(f"the numbers mean other things: {line}", BAD) for line in found.refused]
    notes += [Text(line, NEAR) for line in disagreement_lines("other machine", found.warned)]
    notes += [Text(line) for line in disagreement_lines("differs", found.shown)]
    return notes


def _unit(one: ComparedFigure) -> str:
    return {"ms": "ms", "s": "s", "x": "×", "per_s": "/s", "share": "%", "bool": "%"}.get(
        one.figure.unit, ""
    )


def _change(one: ComparedFigure) -> str:
    return _signed(one.difference.change, one.figure.unit) if one.difference else form.NOTHING


def _interval(one: ComparedFigure) -> str:
    return signed_interval(one.difference.interval if one.difference else None, one.figure.unit)


def _relative(one: ComparedFigure) -> str:
    return "" if not one.relative else f"{100 * one.relative:+z.1f} %"


def _signed(value: float, unit: str) -> str:
    digits = form.number(value, unit)
    return f"+{digits}" if value > 0 and digits.strip("0.") else digits
