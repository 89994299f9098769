"""Check a run folder: every figure is computed again from the recorded turns.

``turns.jsonl`` is the measurement. Everything else in a run folder follows from it: each row of
``runs.csv``, each figure of ``summary.json``, each gate's verdict. `verify` computes them again and
reports where they differ, to the last digit. Figures that this version of voicebench does not know
are listed as not checked. The checksums, if the run wrote them, also show changes that alter no
figure.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from voicebench.errors import ResultsError, UsageError
from voicebench.events import Phase
from voicebench.figures.columns import Columns, GrowingColumns, columns_of, joined
from voicebench.figures.intervals import LEVEL, mean_interval
from voicebench.figures.metrics import compute
from voicebench.figures.summary import Summary
from voicebench.judging.final import Taken
from voicebench.judging.gates import GateResult, judge, parse_gate, worst
from voicebench.judging.judgement import planned_turns
from voicebench.results.batches import is_cut, map_turns, regular
from voicebench.results.checksums import changed_files, read_checksums
from voicebench.results.csv_rows import CSV_COLUMNS, RunCount, cells_of, numbered
from voicebench.results.document import OTHER_PHASES, phases_document
from voicebench.results.document_checks import wrong_documents
from voicebench.results.folder import AUDIO, CSV, INCOMPLETE, SETTINGS, SUMMARY, TURNS
from voicebench.results.judged import Judged
from voicebench.results.reading import check_folder, object_in, read_document
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
    complete = not (folder / INCOMPLETE).exists()
    if not complete:
        checked.notes.append("the run was interrupted; what was finished is checked")
    _check_sums(checked, complete)
    for name, what in wrong_documents(folder):
        checked.differs(name, what)
    try:
        phases = _check_rows(checked)
    except (ResultsError, TypeError, ValueError, ArithmeticError) as error:
        message = error.message if isinstance(error, ResultsError) else str(error)
        checked.differs(TURNS, f"cannot be read to its end: {message}")
        return checked
    if is_cut(folder / TURNS):
        checked.differs(TURNS, "its last line is cut off")
    _check_summary(checked, phases, complete=complete)
    return checked


def _check_sums(checked: Verification, complete: bool) -> None:
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
        if not _is_same_cell(cells[index], computed[own]):
            checked.differs(
                CSV,
                f"turn {computed[0]}, {name} is {_shown(cells[index])}, "
                f"and the turn gives {_shown(computed[own])}",
            )


def _is_same_cell(cell: str, computed: str) -> bool:
    # The reader of CSV keeps the line ends that the text was written with.
    if cell.replace("\r\n", "\n") == computed:
        return True
    try:
        return float(cell) == float(computed)
    except ValueError:
        return False


def _check_summary(
    checked: Verification, phases: Mapping[Phase, Columns], *, complete: bool
) -> None:
    path = checked.folder / SUMMARY
    if not path.is_file():
        if complete:
            checked.differs(SUMMARY, "is missing")
        return
    try:
        stored = read_document(path)
        computed = _computed_summary(checked, stored, phases, complete=complete)
    except UsageError as error:
        checked.differs(SUMMARY, error.message)
        return
    comparison = _Comparison(checked)
    for key, value in computed.items():
        if key in stored:
            comparison.compare(key, stored[key], value)
        else:
            checked.differs(SUMMARY, f"has no {key}")
    if comparison.unchecked:
        checked.notes.append(f"{SUMMARY}: not checked: {', '.join(comparison.unchecked)}")
    if comparison.missing:
        missing = ", ".join(comparison.missing)
        checked.notes.append(f"{SUMMARY}: figures that it does not have: {missing}")


def _computed_summary(
    checked: Verification,
    stored: Mapping[str, object],
    phases: Mapping[Phase, Columns],
    *,
    complete: bool,
) -> dict[str, object]:
    """Return what ``summary.json`` should hold; entries of later versions only if it has them."""
    settings = read_document(checked.folder / SETTINGS)
    summary = (phases.get("measured") or columns_of(())).summary()
    entries = _gate_entries(stored)
    gates = _judge_again(checked, settings, entries, summary)
    turns = {str(one): phases[one].turns if one in phases else 0 for one in OTHER_PHASES}
    computed: dict[str, object] = {
        "turns": {"measured": summary.turns, "failed": summary.failed, **turns},
        "metrics": {name: found.as_dict() for name, found in summary.metrics.items()},
        "gates": [
            _with_stored_interval(result, entry, summary)
            for result, entry in zip(gates, entries, strict=True)
        ],
        "verdict": worst([gate.verdict for gate in gates]).value,
    }
    if "exit_code" in stored:  # else the verdict is of the gates alone, as in older results
        taken = Taken(summary.turns, summary.failed, planned_turns(settings), complete=complete)
        final = Judged.of(stored).final(taken, [result.verdict for result in gates])
        computed |= final.as_dict()
    if "phases" in stored:
        computed["phases"] = phases_document(phases, summary)
    return computed


def _judge_again(
    checked: Verification,
    settings: Mapping[str, object],
    entries: Sequence[Mapping[str, object]],
    summary: Summary,
) -> list[GateResult]:
    """Judge the stored gates again, and check that they are those of the settings."""
    named = settings.get("gates")
    gates = [" ".join(str(gate).split()) for gate in named] if isinstance(named, list) else []
    judged = [str(entry.get("gate")) for entry in entries]
    for gate in gates:
        if gate not in judged:
            checked.differs(SUMMARY, f"does not judge the gate {gate!r} that {SETTINGS} names")
    for gate in judged:
        if gate not in gates:
            checked.differs(SUMMARY, f"judges a gate {gate!r} that {SETTINGS} does not name")
    asked = object_in(settings, "judge")
    decide = bool(asked.get("decide") or asked.get("until_decided"))
    return [
        judge(parse_gate(gate), summary, decide=decide, level=_level_of(entry))
        for gate, entry in zip(judged, entries, strict=True)
    ]


def _gate_entries(stored: Mapping[str, object]) -> list[dict[str, object]]:
    """Return what the summary says about each gate. Raises `UsageError` if that is not a list."""
    entries = stored.get("gates")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError("gates is not a list of objects")
    return entries


def _level_of(entry: Mapping[str, object]) -> float:
    """Return the level of a gate's interval; with ``--until-decided`` it is higher than usual."""
    level = object_in(entry, "interval").get("level")
    return level if isinstance(level, float) and 0.5 <= level < 1 else LEVEL


def _with_stored_interval(
    result: GateResult, stored: Mapping[str, object], summary: Summary
) -> dict[str, object]:
    """Return the entry of ``result``. In older results the interval of a mean may go below 0."""
    entry = result.as_dict()
    gate = result.gate
    if gate.metric is None or gate.statistic != "mean" or result.interval is None:
        return entry
    values = summary.metrics[gate.metric.name].values
    unbounded = mean_interval(values, result.interval.level)
    if unbounded is not None and stored.get("interval") == unbounded.as_dict():
        entry["interval"] = stored["interval"]
    return entry


class _Comparison:
    """Compares the stored summary with the computed one, value by value."""

    def __init__(self, checked: Verification) -> None:
        self._checked = checked
        self.unchecked: list[str] = []
        """What only the file has."""
        self.missing: list[str] = []
        """What only the computed summary has."""

    def compare(self, where: str, stored: object, computed: object) -> None:
        """Compare two values, and all values in them."""
        if isinstance(stored, dict) and isinstance(computed, dict):
            self.missing += [f"{where}.{key}" for key in computed if key not in stored]
            for key, value in stored.items():
                if key in computed:
                    self.compare(f"{where}.{key}", value, computed[key])
                else:
                    self.unchecked.append(f"{where}.{key}")
        elif (
            isinstance(stored, list) and isinstance(computed, list) and len(stored) == len(computed)
        ):
            for number, (value, own) in enumerate(zip(stored, computed, strict=True), start=1):
                self.compare(f"{where}[{number}]", value, own)
        else:
            self._checked.figures += 1
            if not _is_same(stored, computed):
                what = f"{where} is {_shown(stored)}, and the turns give {_shown(computed)}"
                self._checked.differs(SUMMARY, what)


def _is_same(stored: object, computed: object) -> bool:
    if isinstance(stored, float) and isinstance(computed, int | float):
        # Another version of numpy may add in another order.
        return math.isclose(stored, computed, rel_tol=1e-12, abs_tol=1e-12)
    return stored == computed and isinstance(stored, bool) == isinstance(computed, bool)


def _shown(value: object) -> str:
    if value is None or value == "":
        return "nothing"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
