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
from pathlib import Path

import numpy as np

from voicebench.columns import Columns, columns_of
from voicebench.errors import ResultsError
from voicebench.metrics import METRICS, Metric
from voicebench.results.codec import decode_line
from voicebench.results.csv_rows import unquoted
from voicebench.results.folder import CSV, ENVIRONMENT, INCOMPLETE, SETTINGS, TURNS
from voicebench.results.reading import read_document
from voicebench.timeline import Timeline

FROM_TURNS = 2_000
SAMPLE_TURNS = 50
MAX_LINE_BYTES = 16_000_000
"""A longer line is no turn; reading stops there, so that a foreign file fills no memory."""


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


def read_columns(path: Path, metrics: Sequence[Metric] = METRICS) -> RecordedColumns:
    """Read the run folder at ``path``. Raises `ResultsError` for what is no readable run."""
    turns = path / TURNS
    if not turns.is_file():
        raise ResultsError(
            f"{path} is no results folder: it has no {TURNS}",
            "name a folder that `voicebench run` made",
        )
    count, cut_line, sample = _survey(turns)
    if not count:
        raise ResultsError(f"{path} holds no finished turn")
    columns = None
    if count > FROM_TURNS:
        columns = _columns_of_csv(path / CSV, count, sample, metrics)
    if columns is None:
        columns = columns_of(stream_turns(path), metrics)
    return RecordedColumns(
        path=path,
        settings=read_document(path / SETTINGS),
        environment=read_document(path / ENVIRONMENT),
        columns=columns,
        complete=not (path / INCOMPLETE).exists(),
        cut_line=cut_line,
    )


def stream_turns(path: Path) -> Iterator[Timeline]:
    """Yield the whole turns of the run folder at ``path``, one at a time, in order.

    A last line that was cut off is left out. Raises `ResultsError` for a line that is no turn, and
    where turns of several runs stand in one file.
    """
    last = 0
    for number, line in _lines(path / TURNS):
        if not line.endswith(b"\n"):
            return
        turn = decode_line(_text(line, path / TURNS), f"{path / TURNS}, line {number}")
        if turn.turn <= last:
            raise ResultsError(
                f"{path / TURNS}, line {number}: turn {turn.turn} comes after turn {last}",
                "the file holds the turns of several runs; compare their own folders",
            )
        last = turn.turn
        yield turn


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise ResultsError(
                        f"{path}, line {number} is longer than any turn",
                        "name a folder that `voicebench run` made",
                    )
                yield number, line
    except OSError as error:
        raise ResultsError(f"{path} cannot be read ({error.strerror})") from None


def _text(line: bytes, path: Path) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise ResultsError(f"{path} is not UTF-8 text") from None


def _survey(path: Path) -> tuple[int, bool, dict[int, bytes]]:
    """Count the whole lines; return also whether the last is cut, and a sample spread over all."""
    count, step = 0, 1
    sample: dict[int, bytes] = {}
    for number, line in _lines(path):
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
    turn = decode_line(line.decode("utf-8"), "runs.csv")
    if cells[header["turn"]] != str(turn.turn) or cells[header["phase"]] != turn.phase:
        return False
    for metric in metrics:
        cell, value = cells[header[metric.name]], metric.of(turn)
        if (float(cell) if cell else None) != value:
            return False
    return True
