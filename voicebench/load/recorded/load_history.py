"""The trend of runs under load: capacity with its bracket, and figures of the level it rests on.

Searches and single levels of one name form series of their own, and so do runs with other targets,
gates or callers: their numbers mean different things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from voicebench.errors import ResultsError
from voicebench.figures.figure import Figure, parse_figure
from voicebench.figures.intervals import Interval
from voicebench.figures.metrics import Better
from voicebench.judging.comparability import hardware_of, other_target
from voicebench.load.level_document import offered
from voicebench.load.recorded.level_intervals import good_share, quantile_of
from voicebench.load.recorded.load_comparison import other_meaning
from voicebench.load.recorded.load_run import LoadRun, read_load_run
from voicebench.results.history import History, Point, started_in
from voicebench.results.reading import load_folders


class CapacityFigure(Figure):
    """The capacity of a search, which is a figure of all its levels together."""

    @property
    def name(self) -> str:
        """Its name."""
        return "capacity"

    @property
    def unit(self) -> str:
        """A number of callers."""
        return "count"

    @property
    def better(self) -> Better:
        """More callers are better."""
        return "higher"


CAPACITY = CapacityFigure(None, "rate")
TIMES = tuple(parse_figure(f"first_audio_due.{part}") for part in ("p50", "p95"))
SHARES = tuple(parse_figure(f"{rate}.rate") for rate in ("good", "errors"))
LOAD_FIGURES: tuple[Figure, ...] = (CAPACITY, *SHARES, *TIMES)


def load_history(results: Path, name: str | None = None) -> History:
    """Return the trend of the complete runs under load in ``results``, of one ``name`` if given."""
    points: list[Point] = []
    left_out: list[str] = []
    series: list[tuple[LoadRun, str]] = []
    for folder in load_folders(results, name):
        try:
            run = read_load_run(folder)
        except ResultsError as error:
            left_out.append(f"{folder.name} is left out: {error.message}")
            continue
        if name is None or run.name == name:
            points.append(replace(_point(run), series=_series_of(run, series)))
    return History(tuple(points), LOAD_FIGURES, tuple(left_out))


def _series_of(run: LoadRun, series: list[tuple[LoadRun, str]]) -> str:
    """Return the label of the series that a run belongs to; add a new one if there is none."""
    for latest, label in series:
        if latest.name == run.name and latest.kind == run.kind and not _differs(latest, run):
            return label
    plain = run.kind if run.is_search or not run.levels else _held(run)
    taken = {label for latest, label in series if latest.name == run.name}
    label = plain if plain not in taken else f"{plain}, from {run.path.name}"
    series.append((run, label))
    return label


def _held(run: LoadRun) -> str:
    return f"{run.kind}, {offered(run.levels[0].document)}"


def _differs(latest: LoadRun, run: LoadRun) -> bool:
    single = not run.is_search and bool(run.levels) and bool(latest.levels)
    return bool(
        other_target(latest.settings, run.settings)
        or other_meaning(latest.settings, run.settings)
        or (single and _held(latest) != _held(run))
    )


def _point(run: LoadRun) -> Point:
    level, answer = run.shown_level, run.replay.answer
    values: dict[str, float | None] = {}
    ranges: dict[str, Interval] = {}
    if answer is not None and answer.capacity is not None:
        values[CAPACITY.name] = float(answer.capacity)
        high = None if answer.high is None else float(answer.high)
        ranges[CAPACITY.name] = Interval(float(answer.capacity), high)
    if level is not None:
        values |= {figure.name: level.held.judgement.rates.get(figure.name) for figure in SHARES}
        known = {SHARES[0]: good_share(level, run.gates)}
        for figure in TIMES:
            assert figure.metric is not None
            known[figure] = quantile_of(level, figure.metric.name, figure.percentile or 50)
        for figure, found in known.items():
            if found is not None:
                values[figure.name], ranges[figure.name] = found.value, found.interval
    limits: Mapping[str, float] = {} if run.at_least is None else {CAPACITY.name: run.at_least}
    commit = run.environment.get("commit")
    measured = None if level is None else level.held.measured
    return Point(
        label=run.path.name,
        name=run.name,
        started_at=started_in(run.path.name),
        commit=str(commit) if commit else None,
        turns=run.turns.count,
        failed=None if measured is None else int((~measured.went_well).sum()),
        verdict=run.final.word,
        values=values,
        ranges=ranges,
        limits=limits,
        machine=hardware_of(run.environment),
    )
