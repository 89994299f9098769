"""Results as CSV for people who analyse them: one row a turn, a metric or an event.

Columns are stable and documented (``docs/csv.md``); new ones come at the end. Each table begins
with ``result``, the folder's name, so several results fit into one file. Text is written by
`voicebench.results.csv_rows.quoted`, numbers in full, and what was not observed is empty or has no
row, so that ``pandas.read_csv`` needs no options.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TextIO

from voicebench.errors import ResultsError
from voicebench.metrics import METRICS, NS_PER_MS, compute
from voicebench.results.codec import decode_line
from voicebench.results.columns import FROM_TURNS, SAMPLE_TURNS, stream_turns
from voicebench.results.csv_rows import CSV_COLUMNS, quoted, row
from voicebench.results.folder import CSV, TURNS
from voicebench.timeline import TimedText, Timeline

TURN_COLUMNS = ("result", *CSV_COLUMNS)

LONG_COLUMN_DOCS: tuple[tuple[str, str], ...] = (
    ("result", "Name of the results folder."),
    ("turn", "Number of the turn within the run, from 1."),
    ("phase", "cold, warmup, idle or measured."),
    ("status", "ok or failed."),
    ("metric", "Name of the metric, with its unit."),
    ("unit", "ms, s, count, x, per_s or bool."),
    ("value", "The value; a metric that the turn does not show has no row."),
)
EVENT_COLUMN_DOCS: tuple[tuple[str, str], ...] = (
    ("result", "Name of the results folder."),
    ("turn", "Number of the turn within the run, from 1."),
    ("phase", "cold, warmup, idle or measured."),
    (
        "event",
        "turn_started, token, reply, text_chunk, first_byte, audio, speaker, turn_finished or "
        "turn_failed.",
    ),
    ("number", "Which of its kind within the turn, from 1."),
    ("at_ms", "When, in milliseconds after the turn's start."),
    ("text", "The text of a token, reply or chunk; the prompt; the reason of a failure."),
    ("samples", "Samples of a piece of audio; empty for any other event."),
    ("audio_ms", "Their duration; empty for any other event."),
)

Cells = tuple[object, ...]
_quoted = lru_cache(maxsize=4096)(quoted)
"""Tokens repeat."""
_STATUS = CSV_COLUMNS.index("status")
_FIRST_METRIC = CSV_COLUMNS.index(METRICS[0].name)


def check_folder(path: Path) -> Path:
    """Return the run folder that ``path`` names, itself or by its turns.

    Raises `ResultsError` where there is none, or where it holds no turn.
    """
    folder = path.parent if path.name == TURNS else path
    turns = folder / TURNS
    if not turns.is_file():
        raise ResultsError(
            f"{path} is no results folder: it has no {TURNS}",
            "name a folder that `voicebench run` made",
        )
    if turns.stat().st_size == 0:
        raise ResultsError(f"{path} holds no finished turn", "the run was broken off at once")
    return folder


def write_turns(file: TextIO, folders: Iterable[Path]) -> None:
    """Write one row for each turn."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(TURN_COLUMNS)
    for folder in folders:
        name = quoted(folder.resolve().name)
        if stored_rows_stand(folder):
            writer.writerows((name, *cells) for cells in _stored_rows(folder))
        else:
            turns = stream_turns(folder)
            writer.writerows((name, *row(turn).values()) for turn in turns)


def write_long(file: TextIO, folders: Iterable[Path]) -> None:
    """Write one row for each metric that a turn shows."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([name for name, _ in LONG_COLUMN_DOCS])
    for folder in folders:
        name = quoted(folder.resolve().name)
        if stored_rows_stand(folder):
            for cells in _stored_rows(folder):
                writer.writerows(_long_cells(name, cells))
        else:
            for turn in stream_turns(folder):
                writer.writerows(long_rows(name, turn))


def write_events(file: TextIO, folders: Iterable[Path]) -> None:
    """Write one row for each event of each turn, in order of time."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([name for name, _ in EVENT_COLUMN_DOCS])
    for folder in folders:
        name = quoted(folder.resolve().name)
        for turn in stream_turns(folder):
            writer.writerows(event_rows(name, turn))


def stored_rows_stand(folder: Path) -> bool:
    """Return whether ``runs.csv`` can be taken for the rows of very many turns.

    Computing a hundred thousand turns anew takes a minute. Above `FROM_TURNS` turns the stored rows
    are taken, if there is one for each turn, with today's columns, and each of a sample of them is
    what its turn gives. `voicebench verify` compares them all.
    """
    try:
        with (folder / TURNS).open("rb") as lines:
            count = sum(1 for line in lines if line.endswith(b"\n"))
        if count <= FROM_TURNS:
            return False
        step = max(1, count // SAMPLE_TURNS)
        rows = _stored_rows(folder)
        with (folder / TURNS).open("rb") as lines:
            for number, line in enumerate(lines):
                cells = next(rows, None)
                if not line.endswith(b"\n"):
                    return False
                if cells is None or (number % step == 0 and cells != _cells_of(line)):
                    return False
        return next(rows, None) is None
    except (OSError, UnicodeDecodeError, ResultsError, csv.Error):
        return False


def _stored_rows(folder: Path) -> Iterator[list[str]]:
    """Yield the rows of ``runs.csv``; none where its header is another."""
    with (folder / CSV).open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) == CSV_COLUMNS:
            yield from rows


def _cells_of(line: bytes) -> list[str]:
    cells = row(decode_line(line.decode("utf-8"), TURNS)).values()
    return ["" if cell is None else str(cell) for cell in cells]


def _long_cells(result: str, cells: list[str]) -> Iterator[Cells]:
    turn, phase, status = cells[0], cells[1], cells[_STATUS]
    for metric, cell in zip(METRICS, cells[_FIRST_METRIC:], strict=True):
        if cell:
            yield result, turn, phase, status, metric.name, metric.unit, float(cell)


def long_rows(result: str, turn: Timeline) -> Iterator[Cells]:
    """Yield a row for each metric that ``turn`` shows."""
    status = "failed" if turn.failed else "ok"
    values = compute(turn)
    for metric in METRICS:
        value = values[metric.name]
        if value is not None:
            yield result, turn.turn, turn.phase, status, metric.name, metric.unit, float(value)


def event_rows(result: str, turn: Timeline) -> Iterator[Cells]:
    """Yield a row for each event of ``turn``, in order of time.

    Events of one stamp keep the order in which a turn goes through them.
    """
    rate = turn.sound.sample_rate if turn.sound else 1
    head = (result, turn.turn, turn.phase)
    events = list(_events(turn))
    for at_ns, place in sorted((event[0], place) for place, event in enumerate(events)):
        _, event, number, text, samples = events[place]
        at_ms = at_ns / NS_PER_MS
        if samples is not None:
            yield *head, event, number, at_ms, None, samples, samples * 1000 / rate
        else:
            yield *head, event, number, at_ms, None if text is None else _quoted(text), None, None


_Event = tuple[int, str, int, str | None, int | None]


def _events(turn: Timeline) -> Iterator[_Event]:
    yield 0, "turn_started", 1, turn.prompt, None
    yield from _texts("token", turn.tokens)
    if turn.whole_reply is not None:
        yield from _texts("reply", (turn.whole_reply,))
    yield from _texts("text_chunk", turn.chunks)
    if turn.first_byte_ns is not None:
        yield turn.first_byte_ns, "first_byte", 1, None, None
    for number, arrival in enumerate(turn.audio, start=1):
        yield arrival.at_ns, "audio", number, None, arrival.samples
    if turn.speaker_ns is not None:
        yield turn.speaker_ns, "speaker", 1, None, None
    if turn.failure is not None:
        yield turn.end_ns, "turn_failed", 1, turn.failure.reason, None
    else:
        yield turn.end_ns, "turn_finished", 1, None, None


def _texts(event: str, texts: Iterable[TimedText]) -> Iterator[_Event]:
    for number, text in enumerate(texts, start=1):
        yield text.at_ns, event, number, text.text, None
