"""Is a result still what was measured? Every figure computed anew from the recorded turns.

``turns.jsonl`` is the measurement. Everything else in a run folder follows from it: each row of
``runs.csv``, each figure of ``summary.json``, each gate's verdict. `verify` computes them again and
says where they differ, to the last digit; a figure that this version of voicebench does not know is
named as not checked. The checksums, where the run wrote them, tell of changes that alter no figure.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from voicebench.errors import ResultsError, UsageError
from voicebench.events import Phase
from voicebench.figures.columns import Columns, GrowingColumns, columns_of, joined
from voicebench.figures.intervals import LEVEL, mean_interval
from voicebench.figures.metrics import compute
from voicebench.figures.summary import Summary
from voicebench.judging.final import Taken
from voicebench.judging.gates import GateResult, judge, overall, parse_gate
from voicebench.judging.judgement import planned_turns
from voicebench.results.batches import map_turns, regular
from voicebench.results.checksums import changed_files, read_checksums
from voicebench.results.csv_rows import CSV_COLUMNS, RunCount, cells_of, numbered
from voicebench.results.document import OTHER_PHASES, phases_document
from voicebench.results.document_checks import wrong_documents
from voicebench.results.folder import AUDIO, CSV, INCOMPLETE, SETTINGS, SUMMARY, TURNS
from voicebench.results.judged import Judged
from voicebench.results.reading import check_folder, read_document
from voicebench.turn.timeline import Timeline

MOST_FINDINGS = 1_000
"""Of more differences only the number is kept: the first ones tell what happened."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One place where a file says something else than the turns."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


@dataclass(slots=True)
class Verification:
    """What was checked, what differs, and what could not be checked."""

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
        """Take down a difference."""
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
            "findings": [{"file": one.file, "what": one.what} for one in self.findings],
            "notes": self.notes,
        }


def verify(path: Path) -> Verification:
    """Compute every figure of the run folder anew. Raises `ResultsError` where there is no run."""
    folder = check_folder(path)
    checked = Verification(folder)
    complete = not (folder / INCOMPLETE).exists()
    if not complete:
        checked.notes.append("the run was interrupted; what was finished is checked")
    _check_sums(checked, complete)
    for name, what in wrong_documents(folder):
        checked.differs(name, what)
    try:
        phases = _columns(checked)
    except (ResultsError, TypeError, ValueError, ArithmeticError) as error:
        message = error.message if isinstance(error, ResultsError) else str(error)
        checked.differs(TURNS, f"cannot be read to its end: {message}")
        return checked
    _check_end(checked)
    _check_summary(checked, phases, complete=complete)
    return checked


def _check_sums(checked: Verification, complete: bool) -> None:
    sums = read_checksums(checked.folder)
    if sums is None:
        if complete:
            checked.notes.append("the run wrote no checksums: only figures are checked")
        return
    if not (checked.folder / AUDIO).exists():
        left_out = [name for name in sums if name.startswith(f"{AUDIO}/")]
        if left_out:
            checked.notes.append("the audio was left out, as in a baseline: it is not checked")
        sums = {name: digest for name, digest in sums.items() if name not in left_out}
    for name, what in changed_files(checked.folder, sums):
        checked.differs(name, what)


def _check_end(checked: Verification) -> None:
    with (checked.folder / TURNS).open("rb") as file:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            checked.differs(TURNS, "its last line is cut off")


class _Batch(NamedTuple):
    """What a batch of turns gives: rows of ``runs.csv``, and the columns of each phase."""

    rows: list[list[str]]
    phases: dict[Phase, Columns]


def _computed(turns: Sequence[Timeline]) -> _Batch:
    rows: list[list[str]] = []
    phases: dict[Phase, GrowingColumns] = {}
    for turn in turns:
        values = compute(turn)
        rows.append(cells_of(turn, values))
        phases.setdefault(turn.phase, GrowingColumns()).add(turn, values)
    return _Batch(rows, {phase: found.columns() for phase, found in phases.items()})


def _columns(checked: Verification) -> dict[Phase, Columns]:
    """Compute every turn anew, and check its row of ``runs.csv`` on the way."""
    rows, runs = _Rows(checked), RunCount()
    parts: dict[Phase, list[Columns]] = {}
    for batch in map_turns(checked.folder, _computed):
        checked.turns += len(batch.rows)
        for computed in batch.rows:
            rows.check(numbered(computed, runs))
        for phase, columns in batch.phases.items():
            parts.setdefault(phase, []).append(columns)
    rows.check_end()
    return {phase: joined(found) for phase, found in parts.items()}


class _Rows:
    """``runs.csv``, read row by row beside the turns."""

    def __init__(self, checked: Verification) -> None:
        self._checked = checked
        self._rows = self._read(checked.folder / CSV)
        self._header: list[str] | None = next(self._rows, None)
        self._columns: list[tuple[int, str, int]] = []
        if self._header is None:
            checked.differs(CSV, "is missing or holds nothing")
            return
        self._columns = [
            (index, name, CSV_COLUMNS.index(name))
            for index, name in enumerate(self._header)
            if name in CSV_COLUMNS
        ]
        unknown = [name for name in self._header if name not in CSV_COLUMNS]
        missing = [name for name in CSV_COLUMNS if name not in self._header]
        if unknown:
            checked.notes.append(f"{CSV}: columns not checked: {', '.join(unknown)}")
        if missing:
            checked.notes.append(f"{CSV}: columns that it does not have: {', '.join(missing)}")

    def check(self, computed: list[str]) -> None:
        """Compare the next row with what the turn gives: the cells of `CSV_COLUMNS`."""
        if self._header is None:
            return
        turn = computed[0]
        cells = next(self._rows, None)
        if cells is None:
            self._checked.differs(CSV, f"ends before turn {turn}")
            self._header = None
            return
        if len(cells) != len(self._header):
            self._checked.differs(CSV, f"turn {turn} has {len(cells)} cells")
            return
        self._checked.figures += len(self._columns)
        if cells == computed:
            return
        for index, name, own in self._columns:
            if not _same_cell(cells[index], computed[own]):
                self._checked.differs(
                    CSV,
                    f"turn {turn}, {name} is {_cell(cells[index])}, "
                    f"and the turn gives {_cell(computed[own])}",
                )

    def check_end(self) -> None:
        if self._header is not None:
            more = sum(1 for _ in self._rows)
            if more:
                self._checked.differs(CSV, f"has {more} rows more than there are turns")

    def _read(self, path: Path) -> Iterator[list[str]]:
        try:
            with regular(path).open(encoding="utf-8", newline="") as file:
                yield from csv.reader(file)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            self._checked.differs(CSV, f"cannot be read ({error})")


def _same_cell(cell: str, computed: str) -> bool:
    # A reader of CSV gives the line ends of the file's own making back as line feeds.
    if cell.replace("\r\n", "\n") == computed:
        return True
    try:
        return float(cell) == float(computed)
    except ValueError:
        return False


def _check_summary(
    checked: Verification, phases: Mapping[Phase, Columns], *, complete: bool
) -> None:
    measured = phases.get("measured")
    summary = (measured or columns_of(())).summary()
    path = checked.folder / SUMMARY
    if not path.is_file():
        if complete:
            checked.differs(SUMMARY, "is missing")
        return
    try:
        stored = read_document(path)
        gates = _gates(checked, stored, summary)
    except UsageError as error:
        checked.differs(SUMMARY, error.message)
        return
    computed: dict[str, object] = {
        "turns": {
            "measured": summary.turns,
            "failed": summary.failed,
            **{str(phase): _turns(phases.get(phase)) for phase in OTHER_PHASES},
        },
        "metrics": {name: found.as_dict() for name, found in summary.metrics.items()},
        "gates": [
            _with_interval_of_then(result, entry, summary)
            for result, entry in zip(gates, _entries(stored), strict=True)
        ],
        "verdict": overall(gates).value,
    }
    if "exit_code" in stored:  # the final verdict; before it was written, that of the gates alone
        settings = read_document(checked.folder / SETTINGS)
        taken = Taken(summary.turns, summary.failed, planned_turns(settings), complete=complete)
        final = Judged.of(stored).final(taken, [result.verdict for result in gates])
        computed |= final.as_dict()
    if "phases" in stored:  # results of before it was written are no worse for it
        computed["phases"] = phases_document(phases, summary)
    apart = _Apart()
    for key, value in computed.items():
        if key not in stored:
            checked.differs(SUMMARY, f"has no {key}")
            continue
        _compare(checked, key, stored[key], value, apart)
    for found, what in (
        (apart.unchecked, "not checked"),
        (apart.missing, "figures that it does not have"),
    ):
        if found:
            checked.notes.append(f"{SUMMARY}: {what}: {', '.join(found)}")


def _turns(columns: Columns | None) -> int:
    return columns.turns if columns else 0


def _gates(
    checked: Verification, stored: Mapping[str, object], summary: Summary
) -> Sequence[GateResult]:
    """Judge the gates of the settings anew; they have to be those of the summary."""
    settings = read_document(checked.folder / SETTINGS)
    named = settings.get("gates")
    gates = [str(gate) for gate in named] if isinstance(named, list) else []
    entries = _entries(stored)
    held = [str(entry.get("gate")) for entry in entries]
    judged = [" ".join(gate.split()) for gate in gates]
    for gate in judged:
        if gate not in held:
            checked.differs(SUMMARY, f"says nothing of the gate {gate!r} that {SETTINGS} names")
    for gate in held:
        if gate not in judged:
            checked.differs(SUMMARY, f"judges a gate {gate!r} that {SETTINGS} does not name")
    judging = settings.get("judge")
    decide = isinstance(judging, dict) and bool(
        judging.get("decide") or judging.get("until_decided")
    )
    return [
        judge(parse_gate(gate), summary, decide=decide, level=level)
        for gate, level in zip(held, _levels(entries), strict=True)
    ]


def _entries(stored: Mapping[str, object]) -> list[dict[str, object]]:
    """Return what the summary says of each gate. Raises `UsageError` where it is no such list."""
    entries = stored.get("gates")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError("its gates are none")
    return entries


def _with_interval_of_then(
    result: GateResult, stored: Mapping[str, object], summary: Summary
) -> dict[str, object]:
    """Return the entry of ``result``; with the interval that it had before means had bounds."""
    entry = result.as_dict()
    gate, interval = result.gate, stored.get("interval")
    if gate.metric is None or gate.statistic != "mean" or result.interval is None:
        return entry
    values = summary.metrics[gate.metric.name].values
    unbounded = mean_interval(values, result.interval.level)
    if unbounded is not None and interval == unbounded.as_dict():
        entry["interval"] = interval
    return entry


def _levels(entries: Sequence[Mapping[str, object]]) -> list[float]:
    """Return the level of each gate's interval; sampling until decided takes wider ones."""
    levels = []
    for entry in entries:
        interval = entry.get("interval")
        level = interval.get("level") if isinstance(interval, dict) else None
        levels.append(level if isinstance(level, float) and 0.5 <= level < 1 else LEVEL)
    return levels


@dataclass(slots=True)
class _Apart:
    """What only the file has, or only the turns give."""

    unchecked: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def _compare(
    checked: Verification, where: str, stored: object, computed: object, apart: _Apart
) -> None:
    """Compare what is in both, and name in ``apart`` what is not."""
    if isinstance(stored, dict) and isinstance(computed, dict):
        apart.missing += [f"{where}.{key}" for key in computed if key not in stored]
        for key, value in stored.items():
            if key in computed:
                _compare(checked, f"{where}.{key}", value, computed[key], apart)
            else:
                apart.unchecked.append(f"{where}.{key}")
        return
    if isinstance(stored, list) and isinstance(computed, list) and len(stored) == len(computed):
        for number, (one, other) in enumerate(zip(stored, computed, strict=True), start=1):
            _compare(checked, f"{where}[{number}]", one, other, apart)
        return
    checked.figures += 1
    if not _same(stored, computed):
        checked.differs(
            SUMMARY, f"{where} is {_cell(stored)}, and the turns give {_cell(computed)}"
        )


def _same(stored: object, computed: object) -> bool:
    if isinstance(stored, float) and isinstance(computed, int | float):
        # Sums may be taken in another order by another version of numpy.
        return math.isclose(stored, computed, rel_tol=1e-12, abs_tol=1e-12)
    return stored == computed and isinstance(stored, bool) == isinstance(computed, bool)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "nothing"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
