"""Folders of runs under load, held on the virtual clock by the product's own sessions."""

from __future__ import annotations

import atexit
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import mkdtemp

from recorded_folders import ENVIRONMENT, write_json

from voicebench.load.call_plan import Arrivals, Population
from voicebench.load.level import LevelJudgement
from voicebench.load.running.capacity_session import run_capacity
from voicebench.load.running.load_job import load_job
from voicebench.load.running.load_session import run_load
from voicebench.results.checksums import write_checksums
from voicebench.settings import Effective, load_settings

SIM = "sim:ttft=20ms,token=1ms,ttfb=20ms,speed=50x,words=4,slots=1,service=exp:400ms"
GATES = ["first_audio_due.p90 < 2s", "errors.rate <= 10%"]


class Unwatched:
    """Follows the levels of a run and shows nothing."""

    def began(self, level: Mapping[str, object]) -> None:
        pass

    def looked(self, judgement: LevelJudgement, at_s: float) -> None:
        pass

    def ended(self, level: Mapping[str, object]) -> None:
        pass


_HELD: dict[str, Path] = {}
"""Folders that were held before, by what was asked for."""


def written_capacity(results: Path, *, name: str = "search", **given: object) -> Path:
    """Search up to 8 callers; ``given`` are settings of ``[load]``, or of ``run`` with a dot."""

    def search(effective: Effective) -> Path:
        most = effective.settings.load.max_callers
        return run_capacity(load_job(effective, Population(most)), Unwatched()).path

    return _copied(results, name, {"max_callers": 8, **given}, search, "search")


def written_load(
    results: Path, arrivals: Arrivals | int = 3, *, name: str = "level", **given: object
) -> Path:
    """Hold one level."""

    def hold(effective: Effective) -> Path:
        source = Population(arrivals) if isinstance(arrivals, int) else arrivals
        return run_load(load_job(effective, source), Unwatched()).path

    return _copied(results, name, given, hold, str(arrivals))


def _copied(
    results: Path,
    name: str,
    given: Mapping[str, object],
    make: Callable[[Effective], Path],
    what: str,
) -> Path:
    """Return a copy of the folder that is made, or was made before from the same settings."""
    key = f"{what} {name} {sorted(given.items())}"
    if key not in _HELD:
        kept = Path(mkdtemp(prefix="voicebench-load-"))
        atexit.register(shutil.rmtree, kept, ignore_errors=True)
        folder = make(load_settings(None, _settings(kept, name, given)))
        write_json(folder / "environment.json", {**ENVIRONMENT, "clock": "virtual"})
        edit_json(folder / "settings.json", run=_run(folder, results="results"))
        seal_again(folder)
        _HELD[key] = folder
    # Every copy has a time of its own, as runs that follow each other have.
    number = len(list(results.glob("*Z-*")))
    return shutil.copytree(_HELD[key], results / f"20260105T1015{number:02d}Z-{name}")


def _run(folder: Path, **changed: object) -> dict[str, object]:
    stored = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    return {**stored["run"], **changed}


def _settings(results: Path, name: str, given: Mapping[str, object]) -> dict[str, object]:
    known: dict[str, object] = {
        "run.target": SIM,
        "run.results": str(results),
        "run.name": name,
        "load.gates": GATES,
        "load.for_s": 480.0,
    }
    return known | {key if "." in key else f"load.{key}": value for key, value in given.items()}


def seal_again(folder: Path) -> None:
    """Write the checksums of a complete folder anew."""
    if (folder / "SHA256SUMS").exists():
        write_checksums(folder)


def edit_json(path: Path, **changed: object) -> None:
    """Change entries of a JSON document."""
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **changed})


def edit_level(folder: Path, place: int, **changed: object) -> None:
    """Change entries of a line of ``levels.jsonl``."""
    path = folder / "levels.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[place] = json.dumps({**json.loads(lines[place]), **changed})
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
