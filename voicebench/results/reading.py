"""Run folders, read back: nothing is overwritten, and what cannot be read is said in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from voicebench.columns import Columns, columns_of
from voicebench.comparability import Measured, other_series, other_target
from voicebench.errors import ResultsError
from voicebench.results.codec import decode_line
from voicebench.results.folder import CSV, ENVIRONMENT, INCOMPLETE, SETTINGS, TURNS
from voicebench.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Run:
    """One recorded run."""

    path: Path
    settings: dict[str, object]
    environment: dict[str, object]
    turns: tuple[Timeline, ...]
    complete: bool
    cut_line: bool
    """Whether the last line was cut off in the middle of being written."""

    @property
    def columns(self) -> Columns:
        """The measured turns and their prompts, without a figure."""
        return columns_of(self.turns, ())


def read_run(path: Path) -> Run:
    """Read the run folder at ``path``. Raises `ResultsError` for what is no readable run."""
    turns_path = path / TURNS
    if not turns_path.is_file():
        raise ResultsError(
            f"{path} is no results folder: it has no {TURNS}",
            "name a folder that `voicebench run` made",
        )
    turns, cut_line = _read_turns(turns_path)
    if not turns:
        raise ResultsError(f"{path} holds no finished turn")
    return Run(
        path=path,
        settings=read_document(path / SETTINGS),
        environment=read_document(path / ENVIRONMENT),
        turns=turns,
        complete=not (path / INCOMPLETE).exists(),
        cut_line=cut_line,
    )


def run_folders(results: Path, name: str | None = None) -> list[Path]:
    """Return the complete run folders under ``results``, oldest first; of one name if given."""
    found = []
    for turns in sorted(results.glob(f"*/{TURNS}")):
        folder = turns.parent
        stamp, _, label = folder.name.partition("-")
        wanted = name is None or label == name or label.startswith(f"{name}-")
        if stamp.endswith("Z") and wanted and not (folder / INCOMPLETE).exists():
            found.append(folder)
    return found


def previous_run(results: Path, name: str, before: Path, like: Measured) -> Run | None:
    """Return the latest complete run of ``name`` that began before the one in ``before``.

    A run of another target, on other prompts, or whose numbers mean other things is not the one
    before ``like``, which is the run in ``before``.
    """
    earlier = [folder for folder in run_folders(results, name) if folder.name < before.name]
    for folder in reversed(earlier):
        try:
            settings = read_document(folder / SETTINGS)
            if name_in(settings) != name or other_target(settings, like.settings):
                continue
            run = read_run(folder)
        except ResultsError:
            continue
        if not other_series(run, like):
            return run
    return None


def name_in(settings: Mapping[str, object]) -> str | None:
    """Return the name of the run that was stored with ``settings``."""
    recorded = settings.get("run")
    name = recorded.get("name") if isinstance(recorded, dict) else None
    return name if isinstance(name, str) else None


def _read_turns(path: Path) -> tuple[tuple[Timeline, ...], bool]:
    turns: list[Timeline] = []
    for number, line, whole in _lines(path):
        if not whole:
            return tuple(turns), True
        turns.append(decode_line(line, f"{path}, line {number}"))
    return tuple(turns), False


def _lines(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield each line with its number and whether it is whole (ends with a line feed)."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                yield number, line, line.endswith("\n")
    except UnicodeDecodeError:
        raise ResultsError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise ResultsError(f"{path} cannot be read ({error.strerror})") from None


def read_rows(run: Path) -> str:
    """Return the table of a run folder, one row a turn. Raises `ResultsError`."""
    path = run / CSV
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read ({error})") from None


def read_document(path: Path) -> dict[str, object]:
    """Read one JSON object of a run folder. Raises `ResultsError` for anything else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read ({error})") from None
    if not isinstance(document, dict):
        raise ResultsError(f"{path} is no JSON object")
    return document
