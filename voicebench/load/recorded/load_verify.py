"""Check the folder of a run under load: every level and the answer are computed again.

``turns.jsonl`` is the measurement. Every line is read in full, and none may be missing. Each level
is judged again from its turns; its window must be the one that the rule gives; the search is
replayed. ``levels.jsonl``, ``load.csv`` and the answer's document are compared with that.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from voicebench.errors import UsageError
from voicebench.load.level_document import LEVEL_COLUMNS, csv_cells
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.load_run import LoadRun, read_load_run
from voicebench.load.recorded.window_check import wrong_times, wrong_window
from voicebench.results.batches import is_cut, regular
from voicebench.results.folder import LEVELS, SETTINGS, TURNS
from voicebench.results.load_folder import CAPACITY, LOAD, LOAD_CSV
from voicebench.results.reading import check_load_folder, object_in
from voicebench.results.summary_check import SummaryCheck, shown
from voicebench.results.verify import Verification, check_files, is_same_cell


def verify_load(path: Path) -> Verification:
    """Compute a run under load again. Raises `ResultsError` if it is not one."""
    folder = check_load_folder(path)
    checked = Verification(folder)
    complete = check_files(checked)
    try:
        run = read_load_run(folder, whole_lines=True)
    except (UsageError, TypeError, ValueError, ArithmeticError) as error:
        message = error.message if isinstance(error, UsageError) else str(error)
        checked.differs(TURNS, f"cannot be read to its end: {message}")
        return checked
    checked.turns = run.turns.count
    for missing in run.turns.missing:
        checked.differs(TURNS, missing)
    for name in (TURNS, LEVELS):
        if is_cut(folder / name):
            checked.differs(name, "its last line is cut off")
    _check_levels(checked, run, complete=complete)
    _check_answer(checked, run, complete=complete)
    _check_csv(checked, run)
    return checked


def _check_levels(checked: Verification, run: LoadRun, *, complete: bool) -> None:
    load = object_in(run.settings, "load")
    is_virtual = run.environment.get("clock") == "virtual"
    for place, level in enumerate(run.levels, start=1):
        named = f"level {level.stored.get('level')}"
        if level.number != place:
            checked.differs(LEVELS, f"line {place} is of {named}")
        compared = SummaryCheck()
        compared.compare(named, dict(level.stored), dict(level.document))
        _take(checked, LEVELS, compared)
        try:
            for wrong in wrong_times(load, level):
                checked.differs(LEVELS, f"{named}: {wrong}")
            for wrong in wrong_window(load, level):
                _of_window(checked, f"{named}: {wrong}", is_virtual=is_virtual)
        except UsageError as error:
            checked.differs(SETTINGS, error.message)
    known = {level.number for level in run.levels}
    for number in run.turns.levels:
        if number not in known and complete:
            checked.differs(LEVELS, f"has no line for level {number}, whose turns are in {TURNS}")
        elif number not in known:
            checked.notes.append(f"level {number} did not come to its end: no figure is of it")
    if run.is_search and complete and run.replay.contradiction:
        checked.differs(LEVELS, f"is not of a search: {run.replay.contradiction}")


def _of_window(checked: Verification, wrong: str, *, is_virtual: bool) -> None:
    """Take a wrong window. On a real clock a turn may be known a moment after it ended."""
    if is_virtual:
        checked.differs(LEVELS, wrong)
    else:
        checked.notes.append(f"{LEVELS}: {wrong}")


def _check_answer(checked: Verification, run: LoadRun, *, complete: bool) -> None:
    name = CAPACITY if run.is_search else LOAD
    if not run.stored:
        if complete:
            checked.differs(name, "is missing")
        return
    compared = SummaryCheck()
    computed = run.answer_document()
    for key, value in computed.items():
        if key in run.stored:
            compared.compare(key, run.stored[key], value)
        elif complete or key != "max_callers":
            compared.differences.append(f"has no {key}")
    compared.unchecked += [key for key in run.stored if key not in computed]
    _take(checked, name, compared)


def _take(checked: Verification, name: str, compared: SummaryCheck) -> None:
    checked.figures += compared.figures
    for what in compared.differences:
        checked.differs(name, what)
    for said, places in (
        ("not checked", compared.unchecked),
        ("figures that it does not have", compared.missing),
    ):
        if places:
            checked.notes.append(f"{name}: {said}: {', '.join(places)}")


def _check_csv(checked: Verification, run: LoadRun) -> None:
    rows = _rows(checked)
    header = next(rows, [])
    if not header:
        checked.differs(LOAD_CSV, "is missing or empty")
        return
    known = [name for name, _ in LEVEL_COLUMNS]
    unknown = [name for name in header if name not in known]
    if unknown:
        checked.notes.append(f"{LOAD_CSV}: columns not checked: {', '.join(unknown)}")
    for level, cells in zip_longest(run.levels, rows):
        if level is None:
            checked.differs(LOAD_CSV, "has more rows than there are levels")
            return
        if cells is None or len(cells) != len(header):
            checked.differs(LOAD_CSV, f"has no whole row for level {level.number}")
            return
        _check_row(checked, level, dict(zip(header, cells, strict=True)))


def _check_row(checked: Verification, level: RecordedLevel, row: dict[str, str]) -> None:
    computed = csv_cells(level.document)
    for (name, _), cell in zip(LEVEL_COLUMNS, computed, strict=True):
        if name not in row:
            continue
        checked.figures += 1
        own = "" if cell is None else str(cell)
        if not is_same_cell(row[name], own):
            checked.differs(
                LOAD_CSV,
                f"level {level.number}, {name} is {shown(row[name])}, and the turns give "
                f"{shown(own)}",
            )


def _rows(checked: Verification) -> Iterator[list[str]]:
    try:
        with regular(checked.folder / LOAD_CSV).open(encoding="utf-8", newline="") as file:
            yield from csv.reader(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        checked.differs(LOAD_CSV, f"cannot be read ({error})")
