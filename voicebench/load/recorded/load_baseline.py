"""The baselines of runs under load: a capacity, or the figures of a level, that must not get worse.

A baseline is named as that of other runs: a run folder (its path, or its bare name if it is in the
results folder), ``latest`` (the last complete run of the same kind, name, target, gates, callers'
behaviour and, for a level, load), or ``set`` (the copy of ``voicebench baseline set`` in
``results/baseline/<name>.capacity`` or ``….load``). A search can be a baseline if it is complete
and valid and has confirmed a level; a single level if it is complete, valid and steady.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voicebench.errors import ResultsError
from voicebench.judging.comparability import other_target
from voicebench.load.capacity_baseline import BaselineCapacity
from voicebench.load.level_document import offered
from voicebench.load.recorded.level_baseline import LEVEL as CONFIDENCE
from voicebench.load.recorded.level_baseline import BaselineLevel
from voicebench.load.recorded.level_intervals import level_figures
from voicebench.load.recorded.load_comparison import OFFERS, other_meaning
from voicebench.load.recorded.load_run import LoadRun, read_load_run
from voicebench.results.baseline import FOLDER, copied_as_baseline
from voicebench.results.reading import find_result, load_folders

WHAT = {"capacity": "a search for capacity", "load": "a single level"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conditions that the baseline of a run under load must meet."""

    kind: str
    """``capacity`` or ``load``."""
    name: str
    settings: Mapping[str, object]
    offers: Mapping[str, object] | None = None
    """What a level offers (`offered_load`); None for a search."""

    def why_not(self, run: LoadRun) -> str:
        """Return why ``run`` cannot be the baseline; empty if it can."""
        if run.kind != self.kind:
            return f"it is {WHAT[run.kind]}, and not {WHAT[self.kind]}"
        why = why_no_baseline(run) or "; ".join(other_meaning(run.settings, self.settings))
        level = run.shown_level
        if why or self.offers is None or level is None:
            return why
        theirs = {name: level.stored.get(name) for name in OFFERS}
        ours = {name: self.offers.get(name) for name in OFFERS}
        if theirs == ours:
            return ""
        return f"it held {offered(level.document)}, and this run holds {offered(self.offers)}"


def read_load_baseline(
    named: str, results: Path, wanted: Wanted, allowed: float
) -> BaselineCapacity:
    """Return the baseline of a search, before it begins.

    Raises `ResultsError` if there is none, or if its numbers mean other things.
    """
    run = _baseline(named, results, wanted)
    answer = run.replay.answer
    assert answer is not None
    assert answer.capacity is not None
    return BaselineCapacity(str(run.path), answer.capacity, allowed)


def read_level_baseline(
    named: str, results: Path, wanted: Wanted, allowed: float, *, decide: bool
) -> BaselineLevel:
    """Return the baseline of a single level, before it is held. Raises `ResultsError` as above."""
    run = _baseline(named, results, wanted)
    level = run.shown_level
    assert level is not None
    found = level_figures(level, run.gates, CONFIDENCE)
    shown = {name: figure for name, figure in found.items() if figure is not None}
    return BaselineLevel(str(run.path), shown, allowed, decide)


def _baseline(named: str, results: Path, wanted: Wanted) -> LoadRun:
    run = _latest(results, wanted) if named == "latest" else _named(named, results, wanted)
    why = wanted.why_not(run)
    if why:
        raise ResultsError(
            f"{run.path} cannot be the baseline: {why}", "name another run, or measure again"
        )
    return run


def set_load_baseline(result: Path, results: Path) -> Path:
    """Copy the run in ``result`` as the baseline of its name and kind; return the copy.

    Raises `ResultsError` for a run that cannot be a baseline.
    """
    run = read_load_run(result)
    why = why_no_baseline(run)
    if why:
        raise ResultsError(f"{result} cannot be a baseline: {why}", "measure again")
    return copied_as_baseline(run.path, results, f"{run.name}.{run.kind}")


def kept_load_baselines(results: Path, name: str) -> list[Path]:
    """Return the folders of the baselines that are set for the runs under load of a name."""
    folders = [results / FOLDER / f"{name}.{kind}" for kind in WHAT]
    return [folder for folder in folders if folder.is_dir()]


def why_no_baseline(run: LoadRun) -> str:
    """Return why a run cannot be a baseline; empty if it can."""
    if run.final.word.is_obstacle:
        return f"it is {run.final.word}: {run.final.why()}"
    if run.is_search:
        answer = run.replay.answer
        return "" if answer is not None and answer.capacity else "it confirmed no level"
    level = run.shown_level
    if level is None or not level.held.steady or level.held.judgement.saturated:
        return "its level was never steady"
    return ""


def _named(named: str, results: Path, wanted: Wanted) -> LoadRun:
    folder = find_result(Path(named), results)
    if named == "set":
        folder = results / FOLDER / f"{wanted.name}.{wanted.kind}"
        if not folder.is_dir():
            raise ResultsError(
                f"no baseline of {WHAT[wanted.kind]} is set for {wanted.name!r} in {results}",
                "set one with `voicebench baseline set RESULT`",
            )
    return read_load_run(folder)


def _latest(results: Path, wanted: Wanted) -> LoadRun:
    skipped = ""
    for folder in reversed(load_folders(results, wanted.name)):
        try:
            run = read_load_run(folder)
        except ResultsError as error:
            skipped = skipped or error.message
            continue
        if run.name != wanted.name or run.kind != wanted.kind:
            continue
        differs = [str(one) for one in other_target(run.settings, wanted.settings)]
        why = "; ".join(differs) or wanted.why_not(run)
        if not why:
            return run
        skipped = skipped or f"{folder.name}: {why}"
    raise ResultsError(
        f"no complete run of {WHAT[wanted.kind]} of {wanted.name!r} lies in {results}"
        + (f" that can be the baseline; {skipped}" if skipped else ""),
        "measure once without --baseline",
    )
