"""A run folder as columns: the quick way to the figures of many turns.

The turns themselves (``turns.jsonl``) are what was measured, and up to `FROM_TURNS` of them are
read for every figure. Above that, reading a hundred thousand timelines to compute the same numbers
again takes a minute or more, and ``runs.csv``, which holds each turn's metrics in full, is read
instead: where it has a row for every turn, all the columns that are asked for, and gives what a
sample of the turns gives when computed anew. Where it does not, the turns are read after all.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from voicebench.columns import Columns, columns_of, joined
from voicebench.errors import ResultsError
from voicebench.metrics import BY_NAME, METRICS, Metric
from voicebench.results.batches import map_turns, numbered_lines, turns_of, whole_lines
from voicebench.results.codec import decode_line
from voicebench.results.csv_rows import unquoted
from voicebench.results.folder import CSV, ENVIRONMENT, INCOMPLETE, SETTINGS, TURNS
from voicebench.results.reading import read_document
from voicebench.timeline import Timeline

FROM_TURNS = 2_000
SAMPLE_TURNS = 50


@dataclass(frozen=True, slots=True, eq=False)
class RecordedColumns:
    """One recorded run: what it was measured with, and its figures."""

    path: Path
    settings: dict[str, object]
    environment: dict[str, object]
    columns: Columns
    complete: bool
    cut_line: bool
    """Whether the last line was cut off in the middle of being written."""

    @property
    def name(self) -> str:
        """The run's name; the folder's where the settings do not say."""
        run = self.settings.get("run")
        return str(run.get("name", self.path.name)) if isinstance(run, dict) else self.path.name


def read_columns(
    path: Path, metrics: Sequence[Metric] = METRICS, *, may_be_empty: bool = False
) -> RecordedColumns:
    """Read the run folder at ``path``. Raises `ResultsError` for what is no readable run."""
    turns = path / TURNS
    if not turns.is_file():
        raise ResultsError(
            f"{path} is no results folder: it has no {TURNS}",
            "name a folder that `voicebench run` made",
        )
    count, cut_line, sample = _survey(turns)
    if not count and not may_be_empty:
        raise ResultsError(f"{path} holds no finished turn")
    columns = None
    if count > FROM_TURNS:
        columns = _columns_of_csv(path / CSV, count, sample, metrics)
    if columns is None:
        columns = computed_columns(path, metrics)
    return RecordedColumns(
        path=path,
        settings=read_document(path / SETTINGS),
        environment=read_document(path / ENVIRONMENT),
        columns=columns,
        complete=not (path / INCOMPLETE).exists(),
        cut_line=cut_line,
    )


def computed_columns(path: Path, metrics: Sequence[Metric] = METRICS) -> Columns:
    """Return the columns that the turns of the run folder at ``path`` give, on all cores.

    Raises `ResultsError`.
    """
    names = tuple(metric.name for metric in metrics)
    parts = list(map_turns(path, partial(_columns_of_named, names)))
    return joined(parts or [columns_of((), metrics)])


def _columns_of_named(names: Sequence[str], turns: Sequence[Timeline]) -> Columns:
    """Compute the columns of a batch; metrics go by name, since a function of one cannot travel."""
    return columns_of(turns, [BY_NAME[name] for name in names])


def stream_turns(path: Path) -> Iterator[Timeline]:
    """Yield the whole turns of the run folder at ``path``, one at a time, in order.

    A last line that was cut off is left out. Raises `ResultsError` for a line that is no turn, and
    where turns of several runs stand in one file.
    """
    yield from turns_of(path / TURNS, whole_lines(path / TURNS))


def _survey(path: Path) -> tuple[int, bool, dict[int, bytes]]:
    """Count the whole lines; return also whether the last is cut, and a sample spread over all."""
    count, step = 0, 1
    sample: dict[int, bytes] = {}
    for number, line in numbered_lines(path):
        if not line.endswith(b"\n"):
            return count, True, sample
        count = number
        if (number - 1) % step == 0:
            sample[number] = line
        if len(sample) > 2 * SAMPLE_TURNS:
            step *= 2
            sample = {kept: text for kept, text in sample.items() if (kept - 1) % step == 0}
    return count, False, sample


def _columns_of_csv(
    path: Path, count: int, sample: dict[int, bytes], metrics: Sequence[Metric]
) -> Columns | None:
    """Return the columns in ``runs.csv``; None where it does not stand for the turns."""
    prompts: list[str] = []
    failed: list[bool] = []
    known: dict[str, str] = {}
    rows: dict[str, list[float]] = {metric.name: [] for metric in metrics}
    read = 0
    try:
        with path.open(encoding="utf-8", newline="") as file:
            cells_of_rows = csv.reader(file)
            header = {name: index for index, name in enumerate(next(cells_of_rows))}
            phase, prompt, status = header["phase"], header["prompt"], header["status"]
            wanted = [(rows[metric.name], header[metric.name]) for metric in metrics]
            for read, cells in enumerate(cells_of_rows, start=1):
                if read in sample and not _is_row_of(cells, header, sample[read], metrics):
                    return None
                if cells[phase] != "measured":
                    continue
                text = unquoted(cells[prompt])
                prompts.append(known.setdefault(text, text))
                has_failed = cells[status] != "ok"
                failed.append(has_failed)
                for column, index in wanted:
                    cell = "" if has_failed else cells[index]
                    column.append(float(cell) if cell else np.nan)
    except (OSError, ValueError, KeyError, IndexError, StopIteration, csv.Error):
        return None
    if read != count:
        return None
    return Columns(
        prompts=tuple(prompts),
        failed=np.array(failed, dtype=np.bool_),
        values={name: np.array(column, dtype=np.float64) for name, column in rows.items()},
    )


def _is_row_of(
    cells: list[str], header: dict[str, int], line: bytes, metrics: Sequence[Metric]
) -> bool:
    """Return whether ``cells`` are what the turn in ``line`` gives when it is computed anew."""
    turn = decode_line(line, "runs.csv")
    if cells[header["turn"]] != str(turn.turn) or cells[header["phase"]] != turn.phase:
        return False
    for metric in metrics:
        cell, value = cells[header[metric.name]], metric.of(turn)
        if (float(cell) if cell else None) != value:
            return False
    return True
