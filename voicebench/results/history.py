"""The trend: figures of every run of a name, or of every sprint, oldest first.

Read from the turns that were recorded, so a figure that nobody asked for at the time can be drawn
over all old runs. What cannot be read is left out and said; runs that were broken off are left out
too, since they cover another mix of turns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voicebench.errors import ResultsError, UsageError
from voicebench.figures import Figure, parse_figure
from voicebench.gates import parse_gate
from voicebench.intervals import Interval
from voicebench.results.columns import RecordedColumns, read_columns
from voicebench.results.reading import read_document, run_folders

USUAL = (
    "llm_total.mean",
    "tts_ttfb.p50",
    "first_audio.p50",
    "first_audio.p95",
    "first_sound.p50",
    "gapless_start.p50",
    "errors.rate",
)
"""What a trend shows where nothing is asked for."""


@dataclass(frozen=True, slots=True)
class Point:
    """One run, or one sprint, of a trend."""

    label: str
    """The run folder's name, or the sprint's."""
    name: str
    started_at: str | None
    commit: str | None
    turns: int | None
    failed: int | None
    values: Mapping[str, float | None]
    ranges: Mapping[str, Interval] = field(default_factory=dict)
    """How far each value may be off, where it has an interval."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """What the run's own gates allowed each figure."""

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``history --json``."""
        return {
            "label": self.label,
            "name": self.name,
            "started_at": self.started_at,
            "commit": self.commit,
            "turns": self.turns,
            "failed": self.failed,
            **self.values,
        }


@dataclass(frozen=True, slots=True)
class History:
    """A trend, and what was left out of it, one sentence each."""

    points: tuple[Point, ...]
    figures: tuple[Figure, ...]
    left_out: tuple[str, ...]

    def named(self, name: str) -> list[Point]:
        """Return the points of one name."""
        return [point for point in self.points if point.name == name]

    def names(self) -> list[str]:
        """Return every name, in the order in which it first came."""
        return list(dict.fromkeys(point.name for point in self.points))


def run_history(
    results: Path, name: str | None = None, figures: Sequence[Figure] | None = None
) -> History:
    """Return the trend of the complete runs in ``results``, of one ``name`` if given.

    Raises `ResultsError` where there is none.
    """
    wanted = tuple(figures or (parse_figure(text) for text in USUAL))
    points, left_out = [], []
    for folder in run_folders(results, name):
        try:
            run = read_columns(folder, [one.metric for one in wanted if one.metric is not None])
        except ResultsError as error:
            left_out.append(f"{folder.name} is left out: {error.message}")
            continue
        if name is None or run.name == name:
            points.append(_point(run, wanted))
    if not points:
        whose = "" if name is None else f" of {name!r}"
        raise ResultsError(f"no complete run{whose} lies in {results}", "name another --results")
    return History(tuple(points), wanted, tuple(left_out))


def sprint_history(results: Path) -> History:
    """Return the trend over the sprints in ``results/sprints``. Raises `ResultsError`."""
    points: list[Point] = []
    left_out: list[str] = []
    figures: dict[str, Figure] = {}
    for path in sorted((results / "sprints").glob("sprint-*.json")):
        try:
            point = _sprint_point(path, figures)
        except ResultsError as error:
            left_out.append(f"{path.name} is left out: {error.message}")
            continue
        points.append(point)
    if not points:
        raise ResultsError(
            f"no sprint's report lies in {results / 'sprints'}", "write one: voicebench sprint N"
        )
    return History(tuple(points), tuple(figures.values()), tuple(left_out))


def _point(run: RecordedColumns, figures: Sequence[Figure]) -> Point:
    summary = run.columns.summary()
    commit = run.environment.get("commit")
    return Point(
        label=run.path.name,
        name=run.name,
        started_at=_stamp(run.path.name),
        commit=str(commit) if commit else None,
        turns=summary.turns,
        failed=summary.failed,
        values={figure.name: figure.observe(summary)[0] for figure in figures},
        ranges={
            figure.name: interval
            for figure in figures
            if (interval := figure.interval(summary)) is not None
        },
        limits=dict(_limits(run.settings)),
    )


def _limits(settings: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    """Yield each figure that the run's gates limit, with its limit."""
    gates = settings.get("gates")
    for text in gates if isinstance(gates, list) else []:
        try:
            gate = parse_gate(str(text))
        except UsageError:
            # A gate of another version of voicebench is no reason to leave the run out.
            continue
        yield gate.figure.name, gate.limit


def _sprint_point(path: Path, figures: dict[str, Figure]) -> Point:
    """Read a sprint's readings; those that are figures join ``figures``."""
    document = read_document(path)
    readings = document.get("readings")
    if not isinstance(readings, list):
        raise ResultsError(f"{path} is no sprint of voicebench")
    values: dict[str, float | None] = {}
    for reading in readings:
        if not isinstance(reading, dict):
            continue
        name, value = str(reading.get("name")), reading.get("value")
        # A reading of a range stands at its high end, which is the slowest turn, not the median.
        statistic = "p50" if reading.get("high") is None else "max"
        figure = _figure(name if "." in name else f"{name}.{statistic}")
        if figure is not None:
            figures.setdefault(name, figure)
            values[figure.name] = float(value) if isinstance(value, int | float) else None
    commit, started = document.get("commit"), document.get("started_at")
    return Point(
        label=path.stem,
        name="sprints",
        started_at=str(started) if started else None,
        commit=str(commit) if commit else None,
        turns=None,
        failed=None,
        values=values,
    )


def _figure(name: str) -> Figure | None:
    try:
        return parse_figure(name)
    except UsageError:
        return None


def _stamp(folder: str) -> str | None:
    """Return ``2026-01-02T03:04:05Z`` of ``20260102T030405Z-name``."""
    stamp = folder.partition("-")[0]
    if len(stamp) != 16 or not stamp.endswith("Z"):
        return None
    day, hour = stamp[:8], stamp[9:15]
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{hour[:2]}:{hour[2:4]}:{hour[4:]}Z"
