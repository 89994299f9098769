"""The baseline: the run that later runs must not be slower than.

There are four ways to name it:

* the path of a run folder, or its bare name if it is in the results folder;
* ``latest``: the last usable run of the same name and target;
* ``set``: the copy that ``voicebench baseline set`` keeps in ``results/baseline/<name>``, so that
  old run folders can be deleted and a build can store this one alone;
* ``sprint:N``: the run of that sprint's report.

A run cannot be a baseline if it was interrupted, has failed or flagged turns, or was measured on a
machine that was too noisy (unless noise was allowed).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.errors import ResultsError, UsageError
from voicebench.judging.comparability import other_target
from voicebench.judging.noise import find_noise
from voicebench.results.folder import SETTINGS, TURNS
from voicebench.results.reading import (
    find_result,
    name_in,
    number_in,
    object_in,
    objects_in,
    read_document,
    run_folders,
    texts_in,
)
from voicebench.results.run import RecordedRun, read_run

if TYPE_CHECKING:
    from voicebench.settings import Settings

FOLDER = "baseline"
MOST_SHOWN = 3
_SPRINT = re.compile(r"^sprint:(?P<number>[0-9]{1,6})$")


def find_baseline(wanted: str, results: Path, name: str) -> Path:
    """Return the folder of any baseline but ``latest``. Raises `ResultsError` if there is none."""
    sprint = _SPRINT.match(wanted)
    if sprint is not None:
        return _of_sprint(results, int(sprint["number"]), name)
    if wanted == "set":
        if not is_baseline_set(results, name):
            raise ResultsError(
                f"no baseline is set for {name!r} in {results}",
                "set one with `voicebench baseline set RESULT`",
            )
        return results / FOLDER / name
    return find_result(Path(wanted), results)


def is_baseline_set(results: Path, name: str) -> bool:
    """Return whether ``voicebench baseline set`` keeps a run of this name."""
    return (results / FOLDER / name / TURNS).is_file()


def read_baseline(
    wanted: str, results: Path, name: str, settings: Mapping[str, object]
) -> RecordedRun:
    """Read the baseline for a run called ``name`` with these ``settings``.

    Raises `ResultsError` if there is none, or if the run cannot be a baseline.
    """
    if wanted == "latest":
        return _latest(results, name, settings)
    run = read_run(find_baseline(wanted, results, name))
    if not run.complete or run.cut_line:
        raise ResultsError(
            f"baseline {run.path} is incomplete: its run was interrupted",
            "name a run that was finished",
        )
    # A baseline that was `set` was checked then, and noise may have been allowed.
    why = _why_not(run, allow_noise=wanted == "set" or _allows_noise(settings))
    if why:
        raise ResultsError(
            f"{run.path} cannot be a baseline: {why}", "name another run, or measure it again"
        )
    return run


def wanted_baseline(
    settings: Settings, recorded: Callable[[], Mapping[str, object]]
) -> RecordedRun | None:
    """Return the baseline that ``settings`` name, if any.

    ``recorded`` returns the settings as the run's result will keep them.

    Raises `UsageError` for a limit without a baseline, and as `read_baseline`.
    """
    if settings.judge.is_held_to_nothing:
        raise UsageError(
            "--max-regression (judge.max_regression) needs a run to compare with",
            "name it with --baseline, or leave --max-regression out",
        )
    if settings.judge.baseline is None:
        return None
    return read_baseline(
        settings.judge.baseline, Path(settings.run.results), settings.run.name, recorded()
    )


def set_baseline(result: Path, results: Path, *, allow_noise: bool = False) -> Path:
    """Copy the run in ``result``, without its audio, as the baseline of its name; return the copy.

    ``allow_noise`` accepts a run of a noisy machine. Raises `ResultsError` for a run that cannot be
    a baseline.
    """
    run = read_run(result)
    why = _why_not(run, allow_noise=allow_noise)
    if why:
        raise ResultsError(f"{result} cannot be a baseline: {why}", "measure again")
    return copied_as_baseline(result, results, run.name)


def copied_as_baseline(result: Path, results: Path, name: str) -> Path:
    """Copy the files of a run folder as the baseline called ``name``; return the copy.

    Raises `ResultsError` for a name that no folder can have, and if it cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise ResultsError(f"{result} has a name that no folder can have: {name!r}")
    target = results / FOLDER / name
    fresh = target.with_name(f".{name}.new")
    try:
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(parents=True)
        for file in sorted(result.iterdir()):
            if file.is_file():
                shutil.copy2(file, fresh / file.name)
        if target.exists():
            shutil.rmtree(target)
        fresh.rename(target)
    except OSError as error:
        raise ResultsError(
            f"baseline {target} cannot be written ({error.strerror})", "name another with --results"
        ) from None
    return target


def _why_not(run: RecordedRun, *, allow_noise: bool) -> str:
    """Return why a run cannot be a baseline; empty if it can."""
    if not run.complete or run.cut_line:
        return "its run was interrupted"
    if run.summary.failed:
        return f"{run.summary.failed} of {run.summary.turns} turns failed"
    if not run.summary.turns:
        return "it has no measured turn"
    flags = [str(flag) for flag in run.digest.flags] or _stored_flags(run.stored)
    if flags:
        shown = "; ".join(flags[:MOST_SHOWN])
        return f"its audio is not right ({shown})"
    if allow_noise or _allows_noise(run.settings):
        return ""
    found = find_noise(run.columns, lag_of(run.environment))
    noise = [one.finding for one in found if one.invalidates]
    return f"{noise[0]}; --allow-noise accepts it" if noise else ""


def _allows_noise(settings: Mapping[str, object]) -> bool:
    """Return whether a run with these settings is judged also on a noisy machine."""
    return object_in(settings, "judge").get("allow_noise") is True


def _stored_flags(stored: Mapping[str, object]) -> list[str]:
    """Return the stored flags of the audio; not all can be computed from the turns."""
    flagged = objects_in(object_in(stored, "judgement"), "flagged")
    return [f"run {flag.get('run')}: {flag.get('finding')}" for flag in flagged]


def lag_of(environment: Mapping[str, object]) -> float | None:
    """Return the instrument's own error (95th percentile, ms) in a run's environment."""
    return number_in(object_in(environment, "instrument"), "p95_ms")


def _latest(results: Path, name: str, settings: Mapping[str, object]) -> RecordedRun:
    """Return the last run of ``name`` with the target of ``settings`` that can be a baseline."""
    skipped = ""
    for folder in reversed(run_folders(results, name)):
        try:
            stored = read_document(folder / SETTINGS)
            if name_in(stored) != name:
                continue
            other = [str(found) for found in other_target(stored, settings)]
            if other:
                skipped = skipped or f"{folder.name} measured another target ({other[0]})"
                continue
            run = read_run(folder)
            why = _why_not(run, allow_noise=_allows_noise(settings))
        except ResultsError as error:
            why = error.message
        if not why:
            return run
        skipped = skipped or f"{folder.name} cannot be a baseline: {why}"
    raise ResultsError(
        f"no complete run of {name!r} lies in {results}"
        + (f" that can be a baseline; {skipped}" if skipped else ""),
        "measure once without --baseline",
    )


def _of_sprint(results: Path, number: int, name: str) -> Path:
    """Return the run of a sprint's report; the one of ``name`` if there are several."""
    path = results / "sprints" / f"sprint-{number:03d}.json"
    if not path.is_file():
        raise ResultsError(
            f"there is no report of sprint {number} ({path})",
            f"write it: voicebench sprint {number}",
        )
    folders = [Path(folder) for folder in texts_in(read_document(path), "results")]
    if not folders:
        raise ResultsError(
            f"sprint {number} was entered by hand and has no turns ({path})",
            "name a run folder with --baseline",
        )
    ours = [folder for folder in folders if folder.name.partition("-")[2] == name]
    folder = (ours or folders)[0]
    moved = results / folder.name
    return moved if not folder.is_dir() and moved.is_dir() else folder
