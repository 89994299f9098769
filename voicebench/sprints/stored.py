"""``sprint-NNN.json``: the sprint as the next one reads it, to compare itself."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from voicebench.errors import ResultsError
from voicebench.quoting import as_json
from voicebench.results.reading import read_document
from voicebench.sprints.comparing import compare_sprints
from voicebench.sprints.sprint import Sprint

SCHEMA = 2
"""Version 2 added each figure's statistic and its number of values."""


def to_json(sprint: Sprint, before: Sprint | None) -> str:
    """Return the content of ``sprint-NNN.json``."""
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
    """Return the sprint in ``folder`` with the next lower number.

    Raises `ResultsError` if its file cannot be read.
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
        raise ResultsError(f"{path} is not a sprint of voicebench ({'; '.join(why[:3])})") from None


def _key(sprint: Sprint, name: str, result: str) -> str:
    return f"{result}: {name}" if result and sprint.has_several_results() else name


@cache
def _adapter() -> TypeAdapter[Sprint]:
    return TypeAdapter(Sprint)
