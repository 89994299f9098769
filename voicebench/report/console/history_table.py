"""The trend in the terminal: a sparkline of each figure over all runs, and its main values.

Each sparkline is scaled from its lowest to its highest value. A gap is a run without the figure.
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
    can_print,
)
from voicebench.results.history import Point

RAMP = "▁▂▃▄▅▆▇█"
PLAIN_RAMP = "_.-=+*%#"
"""For terminals whose encoding has no block characters."""
LONGEST = 40
"""Of more runs, only the latest are in the sparkline."""


def history_sheet(
    title: str, points: Sequence[Point], figures: Sequence[Figure], encoding: str = "utf-8"
) -> Sheet:
    """Return the table of one series of runs."""
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
        Column("unit", [Text(form.unit_name(figure.unit), QUIET) for figure in shown], "left"),
    ]
    notes = [Text(f"{form.plural(len(points), 'run')}, oldest first", QUIET)]
    notes += _verdicts(points)
    machines = {str(sorted(point.machine.items())) for point in points if point.machine}
    if len(machines) > 1:
        notes.append(Text(f"measured on {len(machines)} machines, so figures may differ", NEAR))
    if len(points) > LONGEST:
        notes.append(Text(f"the trend shows the latest {LONGEST}", QUIET))
    return Sheet(title, columns, notes)


def _verdicts(points: Sequence[Point]) -> list[Text]:
    """Return the verdicts of the runs, if they have any: ``FAIL 2, PASS 5; the latest is PASS``."""
    words = [point.verdict for point in points if point.verdict is not None]
    if not words:
        return []
    counts = Counter(words)
    counted = ", ".join(f"{word} {counts[word]}" for word in VERDICT_SIGNS if word in counts)
    note = Text(f"verdicts: {counted}; the latest is ", QUIET)
    return [note.append(words[-1], VERDICT_STYLES[words[-1]])]


def sparkline(values: Sequence[float | None], encoding: str = "utf-8") -> str:
    """Return one character a value, low to high; a space for a missing value."""
    ramp = RAMP if can_print(RAMP, encoding) else PLAIN_RAMP
    latest = values[-LONGEST:]
    known = [value for value in latest if value is not None]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known)
    return "".join(
        " " if value is None else ramp[_step(value - low, span, len(ramp))] for value in latest
    )


def _step(above: float, span: float, steps: int) -> int:
    """Return the step of a value; the middle one if all values are equal."""
    return min(int(above / span * steps), steps - 1) if span else steps // 2


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
