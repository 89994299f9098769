"""Results as CSV for analysis: one row per turn, per metric or per event.

Columns are stable and documented (``docs/reference/csv.md``); new ones are added at the end. The
first column is ``result``, the folder's name, so that several results fit into one file. Text is
written by `voicebench.results.csv_rows.quoted`, numbers in full. What was not observed is empty or
has no row, so that ``pandas.read_csv`` needs no options.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from operator import itemgetter
from pathlib import Path
from typing import TextIO

import orjson

from voicebench.errors import ResultsError
from voicebench.figures.metrics import METRICS, NS_PER_MS
from voicebench.results.batches import map_turns, regular
from voicebench.results.codec import decode_line
from voicebench.results.csv_rows import CSV_COLUMNS, RunCount, cells_of, numbered, quoted
from voicebench.results.folder import CSV, TURNS
from voicebench.turn.timeline import TimedText, Timeline

TURN_COLUMNS = ("result", *CSV_COLUMNS)

LONG_COLUMN_DOCS: tuple[tuple[str, str], ...] = (
    ("result", "Name of the run folder."),
    ("turn", "Number of the turn within the run, from 1."),
    ("phase", "cold, warmup, idle or measured."),
    ("status", "ok or failed."),
    ("metric", "Name of the metric, with its unit."),
    ("unit", "ms, s, count, x, per_s or bool."),
    ("value", "The value; a metric that the turn does not show has no row."),
)
EVENT_COLUMN_DOCS: tuple[tuple[str, str], ...] = (
    ("result", "Name of the run folder."),
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

FROM_TURNS = 2_000
SAMPLE_TURNS = 50
_PHASE = CSV_COLUMNS.index("phase")
_STATUS = CSV_COLUMNS.index("status")
_FIRST_METRIC = CSV_COLUMNS.index(METRICS[0].name)


def write_turns(file: TextIO, folders: Iterable[Path]) -> None:
    """Write one row for each turn."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(TURN_COLUMNS)
    for folder in folders:
        name = quoted(folder.resolve().name)
        writer.writerows((name, *cells) for cells in _rows_of(folder))


def write_long(file: TextIO, folders: Iterable[Path]) -> None:
    """Write one row for each metric that a turn shows."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([name for name, _ in LONG_COLUMN_DOCS])
    for folder in folders:
        name = quoted(folder.resolve().name)
        for cells in _rows_of(folder):
            writer.writerows((name, *long_cells) for long_cells in long_rows(cells))


def write_events(file: TextIO, folders: Iterable[Path]) -> None:
    """Write one row for each event of each turn, in order of time."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([name for name, _ in EVENT_COLUMN_DOCS])
    for folder in folders:
        name = quoted(folder.resolve().name)
        for text in map_turns(folder, partial(_events_as_text, csv_cell(name))):
            file.write(text)


def _rows_of(folder: Path) -> Iterator[list[str]]:
    """Yield the row of each turn as in ``runs.csv``: the stored row if it is right, else anew."""
    if stored_rows_stand(folder):
        yield from _stored_rows(folder)
        return
    runs = RunCount()
    for rows in map_turns(folder, _computed_rows):
        yield from (numbered(cells, runs) for cells in rows)


def _computed_rows(turns: Sequence[Timeline]) -> list[list[str]]:
    return [cells_of(turn) for turn in turns]


def _events_as_text(result: str, turns: Sequence[Timeline]) -> str:
    return "".join(event_lines(result, turn) for turn in turns)


def stored_rows_stand(folder: Path) -> bool:
    """Return whether the rows of ``runs.csv`` can be used instead of computing them again.

    That saves time with very many turns. It needs more than `FROM_TURNS` turns, one row for each,
    today's columns, and a sample of rows that equal the computed ones. `voicebench verify` compares
    all of them.
    """
    try:
        with (folder / TURNS).open("rb") as lines:
            count = sum(1 for line in lines if line.endswith(b"\n"))
        if count <= FROM_TURNS:
            return False
        step = max(1, count // SAMPLE_TURNS)
        rows, runs = _stored_rows(folder), RunCount()
        with (folder / TURNS).open("rb") as lines:
            for number, line in enumerate(lines):
                cells = next(rows, None)
                if cells is None or not line.endswith(b"\n"):
                    return False
                run = runs.of(cells[_PHASE])
                if number % step == 0 and cells != cells_of(decode_line(line, TURNS), run):
                    return False
        return next(rows, None) is None
    except (OSError, UnicodeDecodeError, ResultsError, csv.Error, IndexError):
        return False


def _stored_rows(folder: Path) -> Iterator[list[str]]:
    """Yield the rows of ``runs.csv``; none if its columns are not today's."""
    with regular(folder / CSV).open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) == CSV_COLUMNS:
            yield from rows


def long_rows(cells: list[str]) -> Iterator[tuple[object, ...]]:
    """Yield a row for each metric in ``cells``, the row of a turn; without the result's name."""
    turn, phase, status = cells[0], cells[_PHASE], cells[_STATUS]
    of_metrics = cells[_FIRST_METRIC : _FIRST_METRIC + len(METRICS)]
    for metric, cell in zip(METRICS, of_metrics, strict=True):
        if cell:
            yield turn, phase, status, metric.name, metric.unit, float(cell)


def event_lines(result: str, turn: Timeline) -> str:
    """Return a line of CSV for each event of ``turn``, in order of time.

    Events with the same stamp stay in the order of a turn. The lines are not written by `csv`,
    which would be slower: a turn has about seventy. ``result`` is a cell (`csv_cell`).
    """
    head = f"{result},{turn.turn},{turn.phase}"
    lines = [(0, f"{head},turn_started,1,0.0,{_text_cell(turn.prompt)},,\n")]
    lines += _texts(head, "token", turn.tokens)
    if turn.whole_reply is not None:
        lines += _texts(head, "reply", (turn.whole_reply,))
    lines += _texts(head, "text_chunk", turn.chunks)
    if turn.first_byte_ns is not None:
        lines.append((turn.first_byte_ns, f"{head},first_byte,1,{_ms(turn.first_byte_ns)},,,\n"))
    lines += _pieces(f"{head},audio", turn)
    if turn.speaker_ns is not None:
        lines.append((turn.speaker_ns, f"{head},speaker,1,{_ms(turn.speaker_ns)},,,\n"))
    if turn.failure is not None:
        end = f"turn_failed,1,{_ms(turn.end_ns)},{_text_cell(turn.failure.reason)}"
    else:
        end = f"turn_finished,1,{_ms(turn.end_ns)},"
    lines.append((turn.end_ns, f"{head},{end},,\n"))
    lines.sort(key=itemgetter(0))
    return "".join([line for _, line in lines])


def _texts(head: str, event: str, texts: Sequence[TimedText]) -> list[tuple[int, str]]:
    stamps = _numbers([at_ns / NS_PER_MS for at_ns, _ in texts])
    return [
        (at_ns, f"{head},{event},{number},{at_ms},{_text_cell(text)},,\n")
        for number, ((at_ns, text), at_ms) in enumerate(zip(texts, stamps, strict=True), start=1)
    ]


def _pieces(head: str, turn: Timeline) -> list[tuple[int, str]]:
    """Return the lines of the audio. Most pieces have the same length."""
    if turn.sound is None:
        return []
    sizes = {samples for _, samples in turn.audio}
    length = {size: f"{size},{size * 1000 / turn.sound.sample_rate}" for size in sizes}
    stamps = _numbers([at_ns / NS_PER_MS for at_ns, _ in turn.audio])
    return [
        (at_ns, f"{head},{number},{at_ms},,{length[samples]}\n")
        for number, ((at_ns, samples), at_ms) in enumerate(
            zip(turn.audio, stamps, strict=True), start=1
        )
    ]


def _numbers(values: list[float]) -> list[str]:
    """Return ``values`` in full. orjson is six times as fast as `repr`."""
    return orjson.dumps(values).decode()[1:-1].split(",") if values else []


def _ms(at_ns: int) -> float:
    return at_ns / NS_PER_MS


def csv_cell(text: str) -> str:
    """Return ``text`` as `csv` writes it: in quotes if it contains a separator."""
    if any(character in text for character in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text


@lru_cache(maxsize=4096)
def _text_cell(text: str) -> str:
    """Return a text of a turn as a cell. Cached, because tokens repeat."""
    return csv_cell(quoted(text))
