"""The trend in the terminal: a sparkline for each figure, and where it stands.

Each line is scaled from its own lowest to its own highest value; a gap is a run that did not show
the figure. "Best" is the run's that was best, by the way the metric is better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from voicebench import format as form
from voicebench.figures.figure import Figure
from voicebench.report.console.style import (
    NEAR,
    QUIET,
    VERDICT_SIGNS,
    VERDICT_STYLES,
    Column,
    Sheet,
)
from voicebench.results.history import Point

RAMP = "▁▂▃▄▅▆▇█"
PLAIN_RAMP = "_.-=+*%#"
"""For terminals whose encoding has no blocks."""
LONGEST = 40
"""More runs than fit are shown by their latest."""


def history_sheet(
    title: str, points: Sequence[Point], figures: Sequence[Figure], encoding: str = "utf-8"
) -> Sheet:
    """Return the table of one series' trend."""
    shown = [figure for figure in figures if _values(points, figure.name)]
    series = [[point.values.get(figure.name) for point in points] for figure in shown]
    columns = [
        Column("figure", [Text(figure.name) for figure in shown], "left"),
        Column("trend", [Text(sparkline(values, encoding)) for values in series], "left"),
        Column("first", [_cell(figure, points, 0) for figure in shown], spare=3),
        Column("best", [_best(figure, points) for figure in shown], spare=2),
        Column("before", [_cell(figure, points, -2) for figure in shown], spare=1),
        Column("latest", [_cell(figure, points, -1) for figure in shown]),
        Column("change", [Text(_change(values)) for values in series]),
        Column("unit", [Text(_UNITS.get(figure.unit, ""), QUIET) for figure in shown], "left"),
    ]
    notes = [Text(f"{form.plural(len(points), 'run')}, oldest first", QUIET)]
    notes += _verdicts(points)
    machines = {str(sorted(point.machine.items())) for point in points if point.machine}
    if len(machines) > 1:
        notes.append(Text(f"measured on {len(machines)} machines, whose figures differ", NEAR))
    if len(points) > LONGEST:
        notes.append(Text(f"the trend shows the latest {LONGEST}", QUIET))
    return Sheet(title, columns, notes)


def _verdicts(points: Sequence[Point]) -> list[Text]:
    """Return how the runs were called, where they have verdicts: ``FAIL 2, PASS 5; latest PASS``"""
    words = [point.verdict for point in points if point.verdict is not None]
    if not words:
        return []
    counts = Counter(words)
    told = ", ".join(f"{word} {counts[word]}" for word in VERDICT_SIGNS if word in counts)
    note = Text(f"verdicts: {told}; the latest is ", QUIET)
    return [note.append(words[-1], VERDICT_STYLES[words[-1]])]


def sparkline(values: Sequence[float | None], encoding: str = "utf-8") -> str:
    """Return one character a value, low to high; a space where there is none."""
    ramp = RAMP if _has_blocks(encoding) else PLAIN_RAMP
    latest = values[-LONGEST:]
    known = [value for value in latest if value is not None]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known)
    return "".join(
        " " if value is None else ramp[_step(value - low, span, len(ramp))] for value in latest
    )


_UNITS = {"ms": "ms", "s": "s", "x": "×", "per_s": "/s", "share": "%", "bool": "%"}


def _step(above: float, span: float, steps: int) -> int:
    """Return which of ``steps`` stands for a value; the middle one where all are equal."""
    return min(int(above / span * steps), steps - 1) if span else steps // 2


def _has_blocks(encoding: str) -> bool:
    try:
        RAMP.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _values(points: Sequence[Point], name: str) -> list[float]:
    return [value for point in points if (value := point.values.get(name)) is not None]


def _cell(figure: Figure, points: Sequence[Point], index: int) -> Text:
    if not -len(points) <= index < len(points):
        return Text(form.NOTHING, QUIET)
    return Text(form.number(points[index].values.get(figure.name), figure.unit))


def _best(figure: Figure, points: Sequence[Point]) -> Text:
    if figure.better == "neither":
        return Text(form.NOTHING, QUIET)
    choose = min if figure.better == "lower" else max
    return Text(form.number(choose(_values(points, figure.name)), figure.unit))


def _change(values: Sequence[float | None]) -> str:
    if len(values) < 2:
        return form.NOTHING
    before, latest = values[-2:]
    return form.NOTHING if before is None or latest is None else form.change(before, latest)
