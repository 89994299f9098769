"""Read the files of a run folder, except its turns, and values in them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from voicebench.errors import ResultsError
from voicebench.results.batches import regular
from voicebench.results.codec import check_schema
from voicebench.results.folder import CSV, ENVIRONMENT, INCOMPLETE, LEVELS, STARTED_AT, TURNS
from voicebench.results.strict_json import parse_json

LATEST = "latest"


def find_result(path: Path, results: Path = Path("results")) -> Path:
    """Return the run folder that is meant: a path, the bare name of a folder, or `LATEST`.

    Bare names and the latest run are looked for in ``results``. Raises `ResultsError` if there is
    no run at all.
    """
    if path.exists() or len(path.parts) != 1:
        return path
    if str(path) != LATEST:
        return results / path if (results / path).exists() else path
    found = [folder for folder in _folders(results) if _has_turns(folder)]
    if not found:
        raise ResultsError(f"there is no run in {results}", "measure one: voicebench run")
    return found[-1]


def _folders(results: Path) -> list[Path]:
    """Return the folders below ``results`` whose names begin with a time, the oldest first."""
    try:
        return in_order(folder for folder in results.iterdir() if folder.name[:8].isdigit())
    except OSError:
        return []


def in_order(folders: Iterable[Path]) -> list[Path]:
    """Return run folders, the oldest first; those of one second by the start that each recorded."""
    found: list[Path] = []
    for _, group in groupby(sorted(folders), key=lambda folder: folder.name.partition("-")[0]):
        same = list(group)
        found += same if len(same) == 1 else sorted(same, key=_started_at)
    return found


def _started_at(folder: Path) -> str:
    """Return the recorded start of a run; empty if it has none (as those of version 0.1)."""
    try:
        return str(read_document(folder / ENVIRONMENT).get(STARTED_AT, ""))
    except ResultsError:
        return ""


def _has_turns(folder: Path) -> bool:
    """Return whether a folder has a turn, or a level of a run under load."""
    return any(
        file.is_file() and file.stat().st_size > 0 for file in (folder / TURNS, folder / LEVELS)
    )


def check_folder(path: Path) -> Path:
    """Return the run folder at ``path``, which may also be the path of its turns.

    Raises `ResultsError` if it is not a run folder, or has no finished turn.
    """
    folder = path.parent if path.name == TURNS else path
    turns = folder / TURNS
    if (folder / LEVELS).is_file():
        raise ResultsError(
            f"{path} is the folder of a run under load, whose turns are of several levels",
            f"see {LEVELS} and load.csv in it, or `voicebench.read_load` in Python",
        )
    if not folder.exists():
        raise _missing(path)
    if not turns.is_file():
        raise ResultsError(
            f"{path} is not a run folder: it has no {TURNS}",
            "name a folder that `voicebench run` made",
        )
    if turns.stat().st_size == 0:
        raise ResultsError(f"{path} holds no finished turn", "the run was interrupted at once")
    return folder


def _missing(path: Path, results: Path = Path("results")) -> ResultsError:
    """Return the error for a run folder that is not there, with the likely right name."""
    places = [path.parent] if len(path.parts) > 1 else [results, path.parent]
    names = [folder.name for place in places for folder in _folders(place)]
    close = difflib.get_close_matches(path.name, names, n=1)
    where = "" if len(path.parts) > 1 else f", nor in {results}"
    return ResultsError(
        f"{path} is not a run folder: it is not there{where}",
        f"did you mean {close[0]}?" if close else "name a folder that `voicebench run` made",
    )


def is_load_folder(path: Path) -> bool:
    """Return whether ``path`` is the folder of a run under load, or the path of its turns."""
    folder = path.parent if path.name == TURNS else path
    return (folder / LEVELS).is_file()


def check_load_folder(path: Path) -> Path:
    """Return the folder of a run under load at ``path``.

    Raises `ResultsError` if it is not one, or has no finished turn.
    """
    folder = path.parent if path.name == TURNS else path
    if not folder.exists():
        raise _missing(path)
    if not is_load_folder(folder):
        raise ResultsError(
            f"{path} is not the folder of a run under load: it has no {LEVELS}",
            "name a folder that `voicebench load` or `capacity` made",
        )
    if not (folder / TURNS).is_file() or (folder / TURNS).stat().st_size == 0:
        raise ResultsError(f"{path} holds no finished turn", "the run was interrupted at once")
    return folder


def run_folders(results: Path, name: str | None = None) -> list[Path]:
    """Return the complete run folders under ``results`` (of ``name``, if given), oldest first."""
    found = []
    for folder in in_order(turns.parent for turns in results.glob(f"*/{TURNS}")):
        stamp, _, label = folder.name.partition("-")
        wanted = name is None or label == name or label.startswith(f"{name}-")
        is_whole = not (folder / INCOMPLETE).exists()
        if stamp.endswith("Z") and wanted and is_whole and not (folder / LEVELS).exists():
            found.append(folder)
    return found


def load_folders(results: Path, name: str | None = None) -> list[Path]:
    """Return the complete folders of runs under load (of ``name``, if given), oldest first."""
    found = []
    for folder in in_order(levels.parent for levels in results.glob(f"*/{LEVELS}")):
        stamp, _, label = folder.name.partition("-")
        wanted = name is None or label == name or label.startswith(f"{name}-")
        if stamp.endswith("Z") and wanted and not (folder / INCOMPLETE).exists():
            found.append(folder)
    return found


def name_in(settings: Mapping[str, object]) -> str | None:
    """Return the name of the run with these stored ``settings``."""
    name = object_in(settings, "run").get("name")
    return name if isinstance(name, str) else None


def object_in(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return the object called ``name`` in ``document``; an empty one if there is none."""
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def objects_in(document: Mapping[str, object], name: str) -> list[dict[str, object]]:
    """Return the objects in the list called ``name``; none if there is no such list."""
    found = document.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def texts_in(document: Mapping[str, object], name: str) -> list[str]:
    """Return the entries of the list called ``name`` as texts; none if there is no such list."""
    found = document.get(name)
    return [str(one) for one in found] if isinstance(found, list) else []


def number_in(document: Mapping[str, object], name: str) -> float | None:
    """Return the number called ``name``; None if there is none."""
    found = document.get(name)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number else None  # type: ignore[arg-type]


def read_rows(run: Path) -> str:
    """Return the text of ``runs.csv``. Raises `ResultsError`."""
    path = run / CSV
    try:
        return regular(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read ({error})") from None


def read_summary(path: Path) -> dict[str, object]:
    """Read a ``summary.json``. Raises `ResultsError` for anything else or another schema."""
    summary = read_document(path)
    check_schema(summary, str(path))
    return summary


def read_document(path: Path) -> dict[str, object]:
    """Read one JSON object of a run folder. Raises `ResultsError` for anything else."""
    try:
        document = parse_json(_content(path).decode("utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} cannot be read ({error})") from None
    if not isinstance(document, dict):
        raise ResultsError(f"{path} is not a JSON object")
    return document


def _content(path: Path) -> bytes:
    with regular(path).open("rb") as file:
        content = file.read(MOST_DOCUMENT_BYTES + 1)
    if len(content) > MOST_DOCUMENT_BYTES:
        raise ValueError(f"it is larger than {MOST_DOCUMENT_BYTES} bytes")
    return content


MOST_DOCUMENT_BYTES = 64_000_000
"""A larger file is not read: it is not a document of a run, and would fill the memory."""
