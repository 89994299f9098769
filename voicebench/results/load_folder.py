"""The run folder of ``load`` and ``capacity``, while it is being written, and its levels read back.

===================  ===========================================================================
``turns.jsonl``      every finished turn, with its caller, call and due moment (``load``)
``levels.jsonl``     one line for each level that has ended
``load.csv``         the same as a table: one row for each level
``capacity.json``    the answer of ``capacity``; ``load.json`` that of ``load``
``settings.json``, ``environment.json``, ``INCOMPLETE`` as in every run folder
===================  ===========================================================================

Turns are written as they end. They reach the disk (``fsync``) at the end of each block of a level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from voicebench.errors import ResultsError
from voicebench.quoting import as_json
from voicebench.results.checksums import write_checksums
from voicebench.results.codec import check_schema, encode_line
from voicebench.results.folder import INCOMPLETE, LEVELS, TURNS, make_run_folder
from voicebench.results.strict_json import parse_json
from voicebench.results.writing import Appended, csv_line, naming, write_json
from voicebench.turn.timeline import Timeline

LOAD_CSV = "load.csv"
CAPACITY = "capacity.json"
LOAD = "load.json"
MOST_LEVELS = 10_000


class LoadFolder:
    """Writes one run under load; use as a context manager. The marker stays until `finish`."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self._turns = Appended(path / TURNS)
        self._levels = Appended(path / LEVELS)
        self._csv = Appended(path / LOAD_CSV)
        self._csv.append(csv_line(columns))
        self._waiting: list[str] = []

    def __enter__(self) -> LoadFolder:
        """Return the open folder."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Write what waits, and close the files."""
        try:
            self._write_waiting()
        finally:
            for file in (self._turns, self._levels, self._csv):
                file.close()

    def keep(self, turn: Timeline) -> None:
        """Take a finished turn. Raises `CannotMeasure` if it cannot be written."""
        self._waiting.append(encode_line(turn) + "\n")
        if len(self._waiting) >= 256:
            self._write("turns", synced=False)

    def keep_at_once(self, turn: Timeline) -> None:
        """Take a finished turn of real time, and write it now. Raises `CannotMeasure`."""
        self._waiting.append(encode_line(turn) + "\n")
        self._write("turns", synced=False)

    def sync(self) -> None:
        """Put all turns so far on the disk. Raises `CannotMeasure`."""
        self._write("turns", synced=True)

    def add_level(self, level: Mapping[str, object], cells: Iterable[object]) -> None:
        """Put a level on the disk, after its turns. Raises `CannotMeasure`."""
        self._write_waiting()
        with self._naming(f"level {level['level']}"):
            self._turns.append("", synced=True)
            self._levels.append(as_json(level) + "\n", synced=True)
            self._csv.append(csv_line("" if cell is None else cell for cell in cells), synced=True)

    def finish(self, name: str, document: Mapping[str, object], *, complete: bool) -> None:
        """Write the answer as ``name``; for a complete run also the checksums, without the marker.

        Raises `CannotMeasure`.
        """
        self._write_waiting()
        with self._naming(name):
            self._turns.append("", synced=True)
            write_json(self.path / name, document)
            if complete:
                write_checksums(self.path)
                (self.path / INCOMPLETE).unlink()

    def _write_waiting(self) -> None:
        if self._waiting:
            self._write("turns", synced=True)

    def _write(self, what: str, *, synced: bool) -> None:
        with self._naming(what):
            self._turns.append("".join(self._waiting), synced=synced)
            self._waiting.clear()

    def _naming(self, what: str) -> AbstractContextManager[None]:
        kept = f"the levels that ended are kept in {self.path / LEVELS}"
        return naming(what, self._turns, kept)


def create_load_folder(
    results: Path,
    name: str,
    columns: Sequence[str],
    *,
    settings: Mapping[str, object],
    environment: Mapping[str, object],
) -> LoadFolder:
    """Make a new folder under ``results``. Raises `ResultsError` if that fails."""
    return make_run_folder(
        results,
        name,
        settings=settings,
        environment=environment,
        opened=lambda path: LoadFolder(path, columns),
    )


def read_levels(path: Path) -> list[dict[str, object]]:
    """Return the levels of a run folder. Raises `ResultsError` if it has none that can be read."""
    file = path / LEVELS
    levels: list[dict[str, object]] = []
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if number > MOST_LEVELS:
                    raise ResultsError(f"{file} has more than {MOST_LEVELS} levels")
                if line.endswith("\n"):  # the last one may be cut off
                    levels.append(_level_of(line, f"{file}, line {number}"))
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{file} cannot be read ({error})") from None
    return levels


def _level_of(line: str, where: str) -> dict[str, object]:
    try:
        level = parse_json(line)
    except ValueError as error:
        raise ResultsError(f"{where} is not JSON ({error})") from None
    if not isinstance(level, dict):
        raise ResultsError(f"{where} is not a JSON object")
    check_schema(level, where)
    return level
