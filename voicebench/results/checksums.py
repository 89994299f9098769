"""``SHA256SUMS``: the checksum of every file of a run at its end.

The format is that of ``sha256sum``, so ``sha256sum --check SHA256SUMS`` in the folder finds the
same changes. Computing the figures again shows changed numbers; checksums also show changed words.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from voicebench.errors import ResultsError
from voicebench.results.writing import write_whole

NAME = "SHA256SUMS"
_LINE = re.compile(r"^([0-9a-f]{64}) [ *](.+)$")
_NOT_SUMMED = (NAME, "INCOMPLETE")


def write_checksums(folder: Path) -> None:
    """Write the checksum of every file of the run in ``folder``. Raises `OSError`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{_digest(path)}  {path.relative_to(folder).as_posix()}\n"
        for path in files
        if path.name not in _NOT_SUMMED
    ]
    write_whole(folder / NAME, "".join(lines))


def read_checksums(folder: Path) -> dict[str, str] | None:
    """Return each file's checksum by its name; None if none were written.

    Raises `ResultsError` for a file of another form.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    found = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            match = _LINE.match(line)
            if match is None:
                raise ResultsError(f"{path} has a line that is not a checksum")
            found[match[2]] = match[1]
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path} cannot be read ({error})") from None
    return found


def changed_files(folder: Path, checksums: dict[str, str]) -> list[tuple[str, str]]:
    """Return each file that is missing or changed, with what is wrong."""
    found = []
    for name, digest in checksums.items():
        path = folder / name
        inside = os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep)
        if not inside or not path.is_file():
            found.append((name, "is missing"))
        elif _digest(path) != digest:
            found.append((name, "has changed since the run ended"))
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
