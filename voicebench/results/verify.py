"""Check a run folder: every figure is computed again from the recorded turns.

``turns.jsonl`` is the measurement. Everything else in a run folder follows from it: each row of
``runs.csv``, each figure of ``summary.json``, each gate's verdict. `verify` computes them again and
reports where they differ, to the last digit. Figures that this version of voicebench does not know
are listed as not checked. The checksums, if the run wrote them, also show changes that alter no
figure.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from voicebench.errors import ResultsError
from voicebench.events import Phase
from voicebench.figures.columns import Columns, GrowingColumns, joined
from voicebench.figures.metrics import compute
from voicebench.results.batches import is_cut, map_turns, regular
from voicebench.results.checksums import changed_files, read_checksums
from voicebench.results.csv_rows import CSV_COLUMNS, RunCount, cells_of, numbered
from voicebench.results.document_checks import wrong_documents
from voicebench.results.folder import AUDIO, CSV, INCOMPLETE, SUMMARY, TURNS
from voicebench.results.reading import check_folder
from voicebench.results.summary_check import check_summary, shown
from voicebench.turn.timeline import Timeline

MOST_FINDINGS = 1_000
"""Further differences are only counted."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One place where a file contradicts the turns."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


@dataclass(slots=True)
class Verification:
    """Result of a check: files that were checked, that differ, and that could not be checked."""

    folder: Path
    turns: int = 0
    figures: int = 0
    differences: int = 0
    findings: list[Mismatch] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return self.differences == 0

    def differs(self, file: str, what: str) -> None:
        """Add a difference."""
        self.differences += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Mismatch(file, what))

    def as_dict(self) -> dict[str, object]:
        """Return what ``--json`` prints."""
        return {
            "schema": 1,
            "result": str(self.folder),
            "holds": self.holds,
            "turns": self.turns,
            "figures": self.figures,
            "differences": self.differences,
            "findings": [asdict(finding) for finding in self.findings],
            "notes": self.notes,
        }


def verify(path: Path) -> Verification:
    """Compute every figure of the run folder again. Raises `ResultsError` if it is not one."""
    folder = check_folder(path)
    checked = Verification(folder)
    complete = check_files(checked)
    try:
        phases = _check_rows(checked)
    except (ResultsError, TypeError, ValueError, ArithmeticError) as error:
        message = error.message if isinstance(error, ResultsError) else str(error)
        checked.differs(TURNS, f"cannot be read to its end: {message}")
        return checked
    if is_cut(folder / TURNS):
        checked.differs(TURNS, "its last line is cut off")
    summary = check_summary(folder, phases, complete=complete)
    checked.figures += summary.figures
    checked.notes += summary.notes
    for what in summary.differences:
        checked.differs(SUMMARY, what)
    return checked


def check_files(checked: Verification) -> bool:
    """Check the sums and documents of the folder; return whether the run came to its end."""
    complete = not (checked.folder / INCOMPLETE).exists()
    if not complete:
        checked.notes.append("the run was interrupted; what was finished is checked")
    _check_sums(checked, complete)
    for name, what in wrong_documents(checked.folder):
        checked.differs(name, what)
    return complete


def _check_sums(checked: Verification, complete: bool) -> None:
    """Compare the files of a folder with their checksums."""
    sums = read_checksums(checked.folder)
    if sums is None:
        if complete:
            checked.notes.append("the run wrote no checksums: only figures are checked")
        return
    if not (checked.folder / AUDIO).exists():
        kept = {name: digest for name, digest in sums.items() if not name.startswith(f"{AUDIO}/")}
        if len(kept) < len(sums):
            checked.notes.append("the audio was left out, as in a baseline: it is not checked")
        sums = kept
    for name, what in changed_files(checked.folder, sums):
        checked.differs(name, what)


class _Batch(NamedTuple):
    """Values that are computed from a batch of turns."""

    rows: list[list[str]]
    """Rows of ``runs.csv``."""
    phases: dict[Phase, Columns]


def _compute_batch(turns: Sequence[Timeline]) -> _Batch:
    rows: list[list[str]] = []
    phases: dict[Phase, GrowingColumns] = {}
    for turn in turns:
        values = compute(turn)
        rows.append(cells_of(turn, values=values))
        phases.setdefault(turn.phase, GrowingColumns()).add(turn, values)
    return _Batch(rows, {phase: found.columns() for phase, found in phases.items()})


def _check_rows(checked: Verification) -> dict[Phase, Columns]:
    """Compare ``runs.csv`` with the turns row by row; return the figures of each phase."""
    stored = _stored_rows(checked)
    header = next(stored, [])
    known = [
        (index, name, CSV_COLUMNS.index(name))
        for index, name in enumerate(header)
        if name in CSV_COLUMNS
    ]
    if header:
        _note_columns(checked, header)
    else:
        checked.differs(CSV, "is missing or empty")
        stored = iter(())
    parts: dict[Phase, list[Columns]] = {}
    left_over, has_ended = 0, not header
    for computed, cells in zip_longest(_computed_rows(checked, parts), stored):
        if computed is None:
            left_over += 1
        elif cells is None:
            if not has_ended:
                checked.differs(CSV, f"ends before turn {computed[0]}")
            has_ended = True
        elif len(cells) != len(header):
            checked.differs(CSV, f"turn {computed[0]} has {len(cells)} cells")
        else:
            _check_row(checked, cells, computed, known)
    if left_over:
        checked.differs(CSV, f"has {left_over} rows more than there are turns")
    return {phase: joined(found) for phase, found in parts.items()}


def _computed_rows(checked: Verification, parts: dict[Phase, list[Columns]]) -> Iterator[list[str]]:
    """Yield the row of each turn, and add the figures of each phase to ``parts``."""
    runs = RunCount()
    for batch in map_turns(checked.folder, _compute_batch):
        checked.turns += len(batch.rows)
        for phase, columns in batch.phases.items():
            parts.setdefault(phase, []).append(columns)
        yield from (numbered(cells, runs) for cells in batch.rows)


def _stored_rows(checked: Verification) -> Iterator[list[str]]:
    try:
        with regular(checked.folder / CSV).open(encoding="utf-8", newline="") as file:
            yield from csv.reader(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        checked.differs(CSV, f"cannot be read ({error})")


def _note_columns(checked: Verification, header: Sequence[str]) -> None:
    unknown = [name for name in header if name not in CSV_COLUMNS]
    missing = [name for name in CSV_COLUMNS if name not in header]
    if unknown:
        checked.notes.append(f"{CSV}: columns not checked: {', '.join(unknown)}")
    if missing:
        checked.notes.append(f"{CSV}: missing columns: {', '.join(missing)}")


def _check_row(
    checked: Verification,
    cells: list[str],
    computed: list[str],
    columns: Sequence[tuple[int, str, int]],
) -> None:
    """Compare a stored row with the computed one. ``columns`` are (place, name, our place)."""
    checked.figures += len(columns)
    if cells == computed:
        return
    for index, name, own in columns:
        if not is_same_cell(cells[index], computed[own]):
            checked.differs(
                CSV,
                f"turn {computed[0]}, {name} is {shown(cells[index])}, "
                f"and the turn gives {shown(computed[own])}",
            )


def is_same_cell(cell: str, computed: str) -> bool:
    """Return whether a cell of a CSV has the computed text or number."""
    # The reader of CSV keeps the line ends that the text was written with.
    if cell.replace("\r\n", "\n") == computed:
        return True
    try:
        return float(cell) == float(computed)
    except ValueError:
        return False
