"""The turns of runs under load as CSV: the columns of every run, then those of its level.

``level_phase`` says in which phase of its level a turn was due: ramp, measured or drain. Only
measured turns are in the figures of levels. It is empty for a turn of a level that has not ended.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

from voicebench.load.loaded_turn import outcome_of
from voicebench.results.batches import map_turns
from voicebench.results.csv_rows import cells_of, quoted
from voicebench.results.load_folder import read_levels
from voicebench.results.reading import number_in, object_in
from voicebench.results.tables import LONG_COLUMN_DOCS, TURN_COLUMNS, long_rows
from voicebench.turn.playback import NS_PER_S
from voicebench.turn.timeline import Timeline

LOADED_COLUMN_DOCS: tuple[tuple[str, str], ...] = (
    ("level", "Number of the level in its run, from 1."),
    ("level_phase", "ramp, measured or drain; only measured turns enter a figure of the level."),
    ("caller", "Number of the caller, from 1."),
    ("call", "Number of the call of this caller, from 1."),
    ("call_turn", "Number of the turn in its call, from 1."),
    ("due_s", "When it was due, in seconds on the clock of the level."),
    ("outcome", "answered, failed, refused, unfinished or cut."),
    ("interrupts", "1 if with this turn the caller interrupts the one before, else 0."),
)
"""The columns after those of every run."""

Windows = Mapping[int, tuple[float, float]]


def write_loaded_turns(file: TextIO, folders: Iterable[Path]) -> None:
    """Write one row for each turn."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*TURN_COLUMNS, *(name for name, _ in LOADED_COLUMN_DOCS)])
    for folder in folders:
        name = quoted(folder.resolve().name)
        for rows in map_turns(folder, partial(_turn_rows, name, windows_of(folder))):
            writer.writerows(rows)


def write_loaded_long(file: TextIO, folders: Iterable[Path]) -> None:
    """Write one row for each metric of a turn, with the level and its phase."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*(name for name, _ in LONG_COLUMN_DOCS), "level", "level_phase"])
    for folder in folders:
        name = quoted(folder.resolve().name)
        for rows in map_turns(folder, partial(_metric_rows, name, windows_of(folder))):
            writer.writerows(rows)


def windows_of(folder: Path) -> Windows:
    """Return the measured window, in seconds, of each level that has ended."""
    found: dict[int, tuple[float, float]] = {}
    for level in read_levels(folder):
        window = object_in(level, "window")
        number, start_s, end_s = (
            number_in(level, "level"), number_in(window, "start_s"), number_in(window, "end_s")
        )  # fmt: skip
        if number is not None and start_s is not None and end_s is not None:
            found[int(number)] = start_s, end_s
    return found


def _turn_rows(name: str, windows: Windows, turns: Sequence[Timeline]) -> list[list[object]]:
    return [[name, *cells_of(turn), *_place(turn, windows)] for turn in turns]


def _metric_rows(name: str, windows: Windows, turns: Sequence[Timeline]) -> list[list[object]]:
    rows: list[list[object]] = []
    for turn in turns:
        level = _place(turn, windows)[:2]
        rows += [[name, *cells, *level] for cells in long_rows(cells_of(turn))]
    return rows


def _place(turn: Timeline, windows: Windows) -> list[object]:
    place = turn.load
    if place is None:
        return [""] * len(LOADED_COLUMN_DOCS)
    due_s = place.due_ns / NS_PER_S
    return [
        place.level,
        _phase(due_s, windows.get(place.level)),
        place.caller + 1,
        place.call + 1,
        place.number + 1,
        due_s,
        outcome_of(turn),
        int(place.interrupts),
    ]


def _phase(due_s: float, window: tuple[float, float] | None) -> str:
    if window is None:
        return ""
    start_s, end_s = window
    if due_s < start_s:
        return "ramp"
    return "measured" if due_s < end_s else "drain"
