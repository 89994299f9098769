"""The list of what a finished folder of the cache holds, kept in the folder itself.

`manifest.json` records the size and SHA-256 of every file at the moment the folder was finished.
Sizes can be compared in well under a millisecond, so that is done at every use: it finds a folder
that was cut, emptied or half deleted. The sums take about a second for the default models, so
they are only compared when somebody asks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

NAME = "manifest.json"
SCHEMA = 1


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(folder: Path, about: Mapping[str, object]) -> None:
    """Record every file below ``folder``, and ``about`` (where it came from), in its manifest."""
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    document = {"schema": SCHEMA, "about": dict(about), "files": files}
    (folder / NAME).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def damage(folder: Path, *, hashes: bool = False) -> str | None:
    """Say what is wrong with a finished folder, or None if it is whole.

    Compares sizes; with ``hashes`` also the SHA-256 of every file.
    """
    try:
        document = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            return f"{NAME} has schema {document['schema']!r}, not {SCHEMA}"
        recorded = {
            str(name): (int(file["bytes"]), str(file["sha256"]))
            for name, file in document["files"].items()
        }
    except FileNotFoundError:
        return f"{NAME} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{NAME} cannot be read"
    for name, (bytes_, sha256) in recorded.items():
        if difference := _difference(folder / name, bytes_, sha256 if hashes else None):
            return f"{name} {difference}"
    return None


def _difference(path: Path, size: int, sha256: str | None) -> str | None:
    if not path.is_file():
        return "is missing"
    if (found := path.stat().st_size) != size:
        return f"has {found} bytes instead of {size}"
    if sha256 is not None and (found_sha256 := file_sha256(path)) != sha256:
        return f"has SHA-256 {found_sha256} instead of {sha256}"
    return None


def size(folder: Path) -> int:
    """Return the bytes that the files below a folder take."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
