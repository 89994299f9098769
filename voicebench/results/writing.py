"""Write files of a run folder. Each is whole or missing, even if the process is killed."""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path

from voicebench.errors import CannotMeasure, UsageError
from voicebench.format import HALF_PAIRS
from voicebench.quoting import as_json


class Appended:
    """A file that grows by whole texts. If the disk is full, it stays as it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._length = 0

    def append(self, text: str, *, synced: bool = False) -> None:
        """Write ``text`` at the end; ``synced`` waits until it is on the disk. Raises `OSError`."""
        content = memoryview(text.encode("utf-8", HALF_PAIRS))
        length = self._length + len(content)
        try:
            while content:
                content = content[self._file.write(content) :]
            if synced:
                os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):
                self._file.truncate(self._length)
            raise
        self._length = length

    def is_in_place(self) -> bool:
        """Return whether the file is still at its path: not removed, moved or replaced."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def close(self) -> None:
        """Close the file. Everything appended is in it already."""
        with suppress(OSError):
            self._file.close()


@contextmanager
def naming(what: str, turns: Appended, kept: str) -> Iterator[None]:
    """Raise errors of the disk as `CannotMeasure` that names ``what`` could not be written.

    ``turns`` is a file of the run folder, which must be in its place. ``kept`` says what is left.
    """
    folder = turns.path.parent
    if not turns.is_in_place():
        raise CannotMeasure(
            f"{what} cannot be written: the run's folder {folder} was removed or moved "
            "during the run",
            "leave it in its place until the run has ended, and measure again",
        )
    try:
        yield
    except (OSError, UsageError) as error:
        why = error.strerror if isinstance(error, OSError) else error.message
        raise CannotMeasure(
            f"{what} cannot be written to {folder} ({why})", f"free space there; {kept}"
        ) from None


def csv_line(cells: Iterable[object]) -> str:
    """Return a line of CSV with its end."""
    line = StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def write_whole(path: Path, text: str) -> None:
    """Write a file to the disk, replacing the old one. Raises `OSError`.

    If the process is killed meanwhile, the old file stays whole.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with unfinished.open("x", encoding="utf-8", errors=HALF_PAIRS, newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write a JSON document as `write_whole` does."""
    write_whole(path, as_json(document, indent=2) + "\n")
