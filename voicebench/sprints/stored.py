"""``sprint-NNN.json``: what the next sprint is compared with."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.errors import ResultsError
from voicebench.quoting import as_json
from voicebench.results.reading import read_document
from voicebench.sprints.comparing import compare_sprints
from voicebench.sprints.sprint import Sprint

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 2
"""Since 2 a figure says which statistic it is, and of how many values."""


def to_json(sprint: Sprint, before: Sprint | None) -> str:
    """Return the document that ``sprint-NNN.json`` holds."""
    document = {"schema": SCHEMA} | asdict(sprint)
    document["previous"] = before.number if before else None
    document["verdict"] = sprint.word
    document["statuses"] = {
        _key(sprint, found.reading.name, found.reading.result): found.status
        for found in compare_sprints(sprint, before)
    }
    document["score"] = {"total": sprint.total, "possible": sprint.possible}
    return as_json(document, indent=2) + "\n"


def previous_sprint(folder: Path, number: int) -> Sprint | None:
    """Return the latest sprint under ``number`` that lies in ``folder``.

    Raises `ResultsError` where its file cannot be read.
    """
    found = []
    for path in folder.glob("sprint-*.json"):
        digits = path.stem.removeprefix("sprint-")
        if digits.isdecimal() and int(digits) < number:
            found.append((int(digits), path))
    return read_sprint(max(found)[1]) if found else None


def read_sprint(path: Path) -> Sprint:
    """Read ``sprint-NNN.json``. Raises `ResultsError` for anything else."""
    document = read_document(path)
    if document.get("schema") != SCHEMA:
        raise ResultsError(
            f"{path} has schema {document.get('schema')!r}, and this voicebench reads {SCHEMA}",
            "write that sprint again with --force, or read it with the voicebench that wrote it",
        )
    try:
        json.dumps(document, allow_nan=False)
        return _adapter().validate_python(document)
    except ValueError as error:
        why = str(error).splitlines()
        raise ResultsError(f"{path} is no sprint of voicebench ({'; '.join(why[:3])})") from None


def _key(sprint: Sprint, name: str, result: str) -> str:
    return f"{result}: {name}" if result and sprint.is_of_several_results() else name


@cache
def _adapter() -> TypeAdapter[Sprint]:
    """Return what checks the types of a whole document; its import takes a moment."""
    from pydantic import TypeAdapter

    return TypeAdapter(Sprint)
