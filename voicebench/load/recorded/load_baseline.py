"""The baseline of searches: the run whose capacity a later one must not fall below.

It is named as that of other runs: the path of a run folder, ``latest`` (the last complete search of
the same name, target, gates and callers), or ``set`` (the copy of ``voicebench baseline set`` in
``results/baseline/<name>.capacity``). A search can be a baseline if it is complete and valid and
has confirmed a level.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from voicebench.errors import ResultsError
from voicebench.judging.comparability import other_target
from voicebench.load.capacity_baseline import BaselineCapacity
from voicebench.load.recorded.load_comparison import other_meaning
from voicebench.load.recorded.load_run import LoadRun, read_load_run
from voicebench.results.baseline import FOLDER, copied_as_baseline
from voicebench.results.reading import load_folders


def read_load_baseline(
    wanted: str, results: Path, name: str, settings: Mapping[str, object], allowed: float
) -> BaselineCapacity:
    """Return the baseline of a search with these ``settings``, before it begins.

    Raises `ResultsError` if there is none, or if its numbers mean other things.
    """
    run = _latest(results, name, settings) if wanted == "latest" else _named(wanted, results, name)
    why = why_no_baseline(run) or "; ".join(other_meaning(run.settings, settings))
    if why:
        raise ResultsError(
            f"{run.path} cannot be the baseline: {why}", "name another run, or search again"
        )
    answer = run.replay.answer
    assert answer is not None
    assert answer.capacity is not None
    return BaselineCapacity(str(run.path), answer.capacity, allowed)


def set_load_baseline(result: Path, results: Path) -> Path:
    """Copy the search in ``result`` as the baseline of its name; return the copy.

    Raises `ResultsError` for a run that cannot be a baseline.
    """
    run = read_load_run(result)
    why = why_no_baseline(run)
    if why:
        raise ResultsError(f"{result} cannot be a baseline: {why}", "search again")
    return copied_as_baseline(run.path, results, f"{run.name}.capacity")


def why_no_baseline(run: LoadRun) -> str:
    """Return why a run cannot be a baseline; empty if it can."""
    if not run.is_search:
        return "it is a single level, and only searches for capacity have a baseline"
    if run.final.word.is_obstacle:
        return f"it is {run.final.word}: {run.final.why()}"
    answer = run.replay.answer
    return "" if answer is not None and answer.capacity else "it confirmed no level"


def _named(wanted: str, results: Path, name: str) -> LoadRun:
    folder = Path(wanted)
    if wanted == "set":
        folder = results / FOLDER / f"{name}.capacity"
        if not folder.is_dir():
            raise ResultsError(
                f"no baseline of a search is set for {name!r} in {results}",
                "set one with `voicebench baseline set RESULT`",
            )
    return read_load_run(folder)


def _latest(results: Path, name: str, settings: Mapping[str, object]) -> LoadRun:
    skipped = ""
    for folder in reversed(load_folders(results, name)):
        try:
            run = read_load_run(folder)
        except ResultsError as error:
            skipped = skipped or error.message
            continue
        if run.name != name or not run.is_search:
            continue
        differs = [str(one) for one in other_target(run.settings, settings)]
        why = "; ".join((*differs, *other_meaning(run.settings, settings))) or why_no_baseline(run)
        if not why:
            return run
        skipped = skipped or f"{folder.name}: {why}"
    raise ResultsError(
        f"no complete search of {name!r} lies in {results}"
        + (f" that can be the baseline; {skipped}" if skipped else ""),
        "search once without --baseline",
    )
