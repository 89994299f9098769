"""The trend: figures of every run of a name, or of every sprint, oldest first.

Runs of one name with another target or other prompts (`voicebench.judging.comparability`) form a
*series* of their own. One line through all of them would show the change of the target as a trend.

Figures are computed from the recorded turns, so a new figure can be drawn over old runs. Runs that
cannot be read are skipped, with a note. Interrupted runs are skipped because their turns are a
different mix of prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from voicebench.errors import ResultsError, UsageError
from voicebench.figures.columns import columns_of
from voicebench.figures.comparison import side_of
from voicebench.figures.figure import Figure, parse_figure
from voicebench.figures.intervals import Interval
from voicebench.format import one_line
from voicebench.judging.comparability import Measured, hardware_of, other_series, series_settings
from voicebench.judging.final import Word
from voicebench.judging.gates import Gate, parse_gate
from voicebench.results.folder import SETTINGS
from voicebench.results.reading import (
    number_in,
    objects_in,
    read_document,
    run_folders,
    texts_in,
)
from voicebench.results.run import RecordedRun, read_run

USUAL = (
    "llm_total.mean",
    "tts_ttfb.p50",
    "first_audio.p50",
    "first_audio.p95",
    "first_sound.p50",
    "gapless_start.p50",
    "errors.rate",
)
"""The figures of a trend by default."""


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
    verdict: str | None
    """The final verdict of a run; None for a sprint."""
    values: Mapping[str, float | None]
    ranges: Mapping[str, Interval] = field(default_factory=dict)
    """The interval of each value that has one."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """The limit of each figure in the run's own gates."""
    machine: Mapping[str, object] = field(default_factory=dict)
    """The hardware, as far as it is known."""
    series: str = ""
    """What distinguishes its series from others of its name; empty if there is only one."""

    @property
    def title(self) -> str:
        """The name of its series."""
        return f"{self.name}: {self.series}" if self.series else self.name

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``history --json``."""
        return {
            "label": self.label,
            "name": self.name,
            "series": self.series,
            "started_at": self.started_at,
            "commit": self.commit,
            "turns": self.turns,
            "failed": self.failed,
            "verdict": self.verdict,
            **self.values,
        }


@dataclass(frozen=True, slots=True)
class History:
    """A trend, and a sentence for each run that was left out."""

    points: tuple[Point, ...]
    figures: tuple[Figure, ...]
    left_out: tuple[str, ...]

    def by_series(self) -> dict[str, list[Point]]:
        """Return the points of each series by its title, in order of the first point."""
        found: dict[str, list[Point]] = {}
        for point in self.points:
            found.setdefault(point.title, []).append(point)
        return found


@dataclass(slots=True)
class _Series:
    """Comparable points of one name: one line goes through them."""

    name: str
    latest: Measured
    points: list[Point]


def run_history(
    results: Path, name: str | None = None, figures: Sequence[Figure] | None = None
) -> History:
    """Return the trend of the complete runs in ``results``, of one ``name`` if given.

    Raises `ResultsError` if there is none.
    """
    wanted = tuple(figures or (parse_figure(text) for text in USUAL))
    points: list[Point] = []
    series: list[_Series] = []
    left_out = []
    for folder in run_folders(results, name):
        try:
            run = read_run(folder)
        except ResultsError as error:
            left_out.append(f"{folder.name} is left out: {error.message}")
            continue
        if name is None or run.name == name:
            points.append(_point(run, wanted))
            _put(points[-1], run, series)
    if not points:
        whose = "" if name is None else f" of {name!r}"
        raise ResultsError(f"no complete run{whose} lies in {results}", "name another --results")
    return History(_in_series(points, series), wanted, tuple(left_out))


def sprint_history(results: Path) -> History:
    """Return the trend over the sprints in ``results/sprints``. Raises `ResultsError`."""
    points: list[Point] = []
    series: list[_Series] = []
    left_out: list[str] = []
    figures: dict[str, Figure] = {}
    for path in sorted((results / "sprints").glob("sprint-*.json")):
        try:
            document = read_document(path)
            point = _sprint_point(path, document, figures)
        except ResultsError as error:
            left_out.append(f"{path.name} is left out: {error.message}")
            continue
        points.append(point)
        _put(point, _sprint_conditions(document, results), series)
    if not points:
        raise ResultsError(
            f"no sprint's report lies in {results / 'sprints'}", "write one: voicebench sprint N"
        )
    return History(_in_series(points, series), tuple(figures.values()), tuple(left_out))


def _point(run: RecordedRun, figures: Sequence[Figure]) -> Point:
    summary = run.summary
    commit = run.environment.get("commit")
    return Point(
        label=run.path.name,
        name=run.name,
        started_at=started_in(run.path.name),
        commit=str(commit) if commit else None,
        turns=summary.turns,
        failed=summary.failed,
        verdict=run.word,
        values={figure.name: figure.observe(summary)[0] for figure in figures},
        ranges={
            figure.name: interval
            for figure in figures
            if (interval := figure.interval(summary)) is not None
        },
        limits={gate.figure.name: gate.limit for gate in _gates(run.settings)},
        machine=hardware_of(run.environment),
    )


def _put(point: Point, measured: Measured, series: list[_Series]) -> None:
    """Add ``point`` to the series whose latest point is comparable, or else to a new series."""
    for one in series:
        if one.name == point.name and not other_series(one.latest, measured):
            one.points.append(point)
            one.latest = measured
            return
    series.append(_Series(point.name, measured, [point]))


def _in_series(points: Sequence[Point], series: Sequence[_Series]) -> tuple[Point, ...]:
    """Return ``points``, each with the label of its series."""
    labels = {id(point): label for one, label in _labelled(series) for point in one.points}
    return tuple(replace(point, series=labels[id(point)]) for point in points)


def _labelled(series: Sequence[_Series]) -> Iterator[tuple[_Series, str]]:
    """Yield each series with a label that distinguishes it from others of its name."""
    for name in dict.fromkeys(one.name for one in series):
        ours = [one for one in series if one.name == name]
        settings = [series_settings(one.latest.settings) for one in ours]
        keys = [
            key
            for key in dict.fromkeys(key for one in settings for key in one)
            if any(one.get(key) != settings[0].get(key) for one in settings)
        ]
        labels: list[str] = []
        for one, chosen in zip(ours, settings, strict=True):
            label = ", ".join(f"{key}={chosen[key]}" for key in keys if chosen.get(key) is not None)
            if len(ours) > 1 and (not label or label in labels):
                label = ", ".join(filter(None, (label, f"prompts of {one.points[0].label}")))
            labels.append(label)
            yield one, one_line(label)


def _gates(settings: Mapping[str, object]) -> Iterator[Gate]:
    """Yield the run's gates, except those that this version cannot read."""
    for text in texts_in(settings, "gates"):
        with suppress(UsageError):
            yield parse_gate(text)


def _sprint_conditions(document: Mapping[str, object], results: Path) -> Measured:
    """Return the settings of a sprint's first run, as far as they are known."""
    settings: Mapping[str, object] = {}
    for named in texts_in(document, "results")[:1]:
        path = results / Path(named).name / SETTINGS
        settings = read_document(path) if path.is_file() else {}
    return side_of(columns_of(()), settings, {})


def _sprint_point(path: Path, document: Mapping[str, object], figures: dict[str, Figure]) -> Point:
    """Return a sprint's readings, and add those that are figures to ``figures``."""
    if not isinstance(document.get("readings"), list):
        raise ResultsError(f"{path} is not a sprint of voicebench")
    verdict = document.get("verdict")
    if any(word == verdict and word.is_obstacle for word in Word):
        raise ResultsError(f"its run is {verdict}")
    values: dict[str, float | None] = {}
    for reading in objects_in(document, "readings"):
        figure = _sprint_figure(reading)
        if figure is not None and reading.get("judged", True):
            figures.setdefault(figure.name, figure)
            # Of several results the first one is drawn, because its settings define the series.
            values.setdefault(figure.name, number_in(reading, "value"))
    commit, started = document.get("commit"), document.get("started_at")
    return Point(
        label=path.stem,
        name="sprints",
        started_at=str(started) if started else None,
        commit=str(commit) if commit else None,
        turns=None,
        failed=None,
        verdict=None,
        values=values,
    )


def _sprint_figure(reading: Mapping[str, object]) -> Figure | None:
    """Return the figure of a sprint's reading; None if its statistic is unknown.

    The value of a range is its high end, so it counts as a maximum. So does a percentile of too few
    turns.
    """
    metric, _, statistic = str(reading.get("name")).partition(".")
    is_range = not statistic and reading.get("high") is not None
    if reading.get("limited") or is_range:
        statistic = "max"
    try:
        return parse_figure(f"{metric}.{statistic}")
    except UsageError:
        return None


def started_in(folder: str) -> str | None:
    """Return ``2026-01-02T03:04:05Z``, when the run of ``20260102T030405Z-name`` began."""
    stamp = folder.partition("-")[0]
    if len(stamp) != 16 or not stamp.endswith("Z"):
        return None
    day, hour = stamp[:8], stamp[9:15]
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{hour[:2]}:{hour[2:4]}:{hour[4:]}Z"
