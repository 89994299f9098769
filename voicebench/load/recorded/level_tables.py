"""Runs under load as CSV: one row for each level, or for each figure of a level."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TextIO

from voicebench.load.level_document import LEVEL_COLUMNS, csv_cells
from voicebench.load.recorded.load_run import LoadRun
from voicebench.results.csv_rows import quoted

LEVEL_TABLE_COLUMNS = ("result", *(name for name, _ in LEVEL_COLUMNS))
LONG_LEVEL_COLUMN_DOCS: tuple[tuple[str, str], ...] = (
    ("result", "Name of the run folder."),
    ("level", "Number of the level in its run, from 1."),
    ("purpose", "load; or climb, narrow, ceiling, again, confirm in a search for capacity."),
    ("figure", "Name of the figure: a column of `load.csv`."),
    ("value", "The value; a figure that was not observed has no row."),
)
_NOT_FIGURES = ("level", "purpose", "standing", "seed")


def write_levels(file: TextIO, runs: Sequence[LoadRun]) -> None:
    """Write one row for each level: the columns of ``load.csv``, after the name of the folder."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(LEVEL_TABLE_COLUMNS)
    for run in runs:
        name = quoted(run.path.resolve().name)
        for level in run.levels:
            cells = csv_cells(level.document)
            writer.writerow([name, *("" if cell is None else cell for cell in cells)])


def write_level_figures(file: TextIO, runs: Sequence[LoadRun]) -> None:
    """Write one row for each figure of a level."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([name for name, _ in LONG_LEVEL_COLUMN_DOCS])
    for run in runs:
        name = quoted(run.path.resolve().name)
        for level in run.levels:
            for (column, _), cell in zip(LEVEL_COLUMNS, csv_cells(level.document), strict=True):
                if cell is not None and column not in _NOT_FIGURES:
                    writer.writerow([name, level.number, level.purpose, column, cell])
