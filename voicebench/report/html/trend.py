"""The trend on the page: a chart of each figure over all runs of a name, and a table.

Every point is a run. The axis counts runs rather than days, since they come at irregular times. The
bar through a point is the figure's interval: two points whose bars overlap may be equal. The dashed
line is the limit that the gates of the latest run set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from rich.text import Text

from voicebench import format as form
from voicebench.figures.figure import Figure
from voicebench.report.console.style import QUIET, Column, Sheet
from voicebench.report.html.charts import TEMPLATES, Spec
from voicebench.report.html.parts import Section
from voicebench.report.templating import filled
from voicebench.results.history import History, Point, run_history
from voicebench.results.run import RecordedRun

WIDTH = 280
HEIGHT = 150
MOST_POINTS = 300
"""Of more runs, only the latest are drawn."""
MOST_ROWS = 60
INTRO = (
    "Each point is a run, the oldest on the left. The bar through it is its 95 % interval: if two "
    "bars overlap, the runs may be equal. A bar that ends at its point is open on that side, since "
    "the turns are too few. Dashed: the limit that the latest run's gates set. Runs of different "
    "days differ in more than settings; voicebench run --against measures two set-ups in turn."
)


def trend_sections(history: History) -> list[Section]:
    """Return a section for each series of runs."""
    return [
        Section(
            title=f"History: {form.one_line(title)}",
            sheets=[_runs(points, _shown(points, history.figures))],
            charts=list(_charts(points, _shown(points, history.figures))),
            intro=INTRO if any(point.ranges for point in points) else "",
        )
        for title, found in history.by_series().items()
        if (points := found[-MOST_POINTS:])
    ]


class NamedRun(Protocol):
    """A recorded run of any kind."""

    @property
    def path(self) -> Path:
        """Its folder."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...


def trend_of(runs: Sequence[RecordedRun]) -> list[Section]:
    """Return the trend of each run's series, up to the run itself."""
    return trend_up_to(runs, run_history)


def trend_up_to(
    runs: Sequence[NamedRun], history_of: Callable[[Path, str], History]
) -> list[Section]:
    """Return the trend of each run's series, of which ``history_of`` reads all runs.

    It ends with the run itself, so the page of a result does not change when later runs are made.
    """
    latest: dict[tuple[Path, str], NamedRun] = {}
    for run in sorted(runs, key=lambda run: run.path.resolve().name):
        latest[run.path.resolve().parent, run.name] = run
    sections = []
    for (results, name), run in latest.items():
        history = history_of(results, name)
        label = run.path.resolve().name
        title = next((point.title for point in history.points if point.label == label), None)
        points = [
            point for point in history.points if point.label <= label and point.title == title
        ]
        sections += trend_sections(replace(history, points=tuple(points)))
    return sections


def _shown(points: Sequence[Point], figures: Sequence[Figure]) -> list[Figure]:
    return [
        figure
        for figure in figures
        if any(point.values.get(figure.name) is not None for point in points)
    ]


def _charts(points: Sequence[Point], figures: Sequence[Figure]) -> Iterator[tuple[str, str, Spec]]:
    for figure in figures:
        yield figure.name, in_words(points, figure), chart(points, figure)


def in_words(points: Sequence[Point], figure: Figure) -> str:
    """Return the trend of a figure in one sentence."""
    known = [value for point in points if (value := point.values.get(figure.name)) is not None]
    parts = [
        form.plural(len(known), "run"),
        f"{form.quantity(min(known), figure.unit)} to {form.quantity(max(known), figure.unit)}",
        f"latest {form.quantity(known[-1], figure.unit)}",
    ]
    if len(known) > 1:
        parts.append(f"{form.change(known[-2], known[-1])} against the run before")
    return ", ".join(parts) + "."


def chart(points: Sequence[Point], figure: Figure) -> Spec:
    """Return the Vega-Lite specification of one figure's trend: ``trend.vl.json.j2``, filled in."""
    factor = 100.0 if figure.unit in ("share", "bool") else 1.0
    limit = points[-1].limits.get(figure.name)
    values = {
        "width": WIDTH,
        "height": HEIGHT,
        "unit": form.unit_name(figure.unit),
        "rows": [
            _row(number, point, figure, factor) for number, point in enumerate(points, start=1)
        ],
        "limit": None if limit is None else limit * factor,
    }
    spec: Spec = json.loads(filled(TEMPLATES / "trend.vl.json.j2", values))
    return spec


def _row(number: int, point: Point, figure: Figure, factor: float) -> dict[str, object]:
    value, around = point.values.get(figure.name), point.ranges.get(figure.name)
    row: dict[str, object] = {"run": number, "value": None if value is None else value * factor}
    if value is None or around is None:
        return row
    # If the turns cannot bound an end, the bar ends at the value.
    low = value if around.low is None else around.low
    high = value if around.high is None else around.high
    return row | {"low": low * factor, "high": high * factor}


def _runs(points: Sequence[Point], figures: Sequence[Figure]) -> Sheet:
    """Return the runs as a table, the latest first."""
    numbered = list(enumerate(points, start=1))[-MOST_ROWS:][::-1]
    listed = [point for _, point in numbered]
    columns = [
        Column("run", [Text(str(number)) for number, _ in numbered]),
        Column("started", [Text(_when(point)) for point in listed], "left"),
        Column("commit", [_or_nothing(point.commit and point.commit[:10]) for point in listed]),
        Column("turns", [_or_nothing(point.turns) for point in listed]),
        Column("failed", [_or_nothing(point.failed) for point in listed]),
    ]
    for figure in figures:
        cells = [Text(form.number(point.values.get(figure.name), figure.unit)) for point in listed]
        columns.append(
            Column(", ".join(filter(None, (figure.name, form.unit_name(figure.unit)))), cells)
        )
    notes = []
    if len(points) > MOST_ROWS:
        notes.append(Text(f"the latest {MOST_ROWS} of {len(points)} runs", QUIET))
    return Sheet("Runs, the latest first", columns, notes)


def _when(point: Point) -> str:
    if point.started_at is None:
        return point.label
    return point.started_at[:16].replace("T", " ")


def _or_nothing(value: object) -> Text:
    return Text(form.NOTHING, QUIET) if value is None else Text(str(value))
