"""One turn as one row of ``runs.csv``, for people who use spreadsheets and pandas.

The columns and their order are stable: new ones are only ever added at the end. What each holds is
said in `COLUMNS`, metrics included, so that the documentation can be printed from it. Numbers are
written in full (a row gives back the very number that the tables round), counts as whole numbers,
and what a turn cannot show is an empty cell.

**Text that could be taken for something else.** A spreadsheet runs a cell that begins with ``=``,
``+``, ``-`` or ``@`` as a formula, and the words of a model or of a server may begin with anything;
pandas reads ``NA`` as a missing value and ``42`` as a number. Such a text is written with one
apostrophe in front, as a spreadsheet's own users do it. A text that begins with an apostrophe gets
one more, so the rule can be undone: take one apostrophe away wherever a text begins with one
(`unquoted`). Metrics are numbers and are never touched: a negative one stays negative. The rule
follows OWASP's page on CSV injection.

**Text that a terminal or a reader would obey.** Control characters become ``�``, and those that
reverse the writing direction are left out (`voicebench.quoting`); line ends and tabs stay.
``turns.jsonl`` holds every text as it was.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import TextIO

from voicebench.figures.metrics import METRICS, Metric, compute
from voicebench.quoting import neutral
from voicebench.turn.timeline import Timeline

TEXT_COLUMNS: tuple[tuple[str, str], ...] = (
    ("turn", "Number of the turn within the run, from 1."),
    ("phase", "cold, warmup, idle or measured; only measured turns enter a statistic."),
    ("prompt", "What the user said."),
    ("status", "ok or failed."),
    ("failure_reason", "Why the turn brought no usable answer; empty where it did."),
    ("failure_stage", "The part of the turn that failed: connect, llm, chunker, tts, audio, …"),
    ("reply_words", "Words of the reply; empty where the reply's text cannot be seen."),
    ("first_chunk_text", "The first text chunk that was handed to the synthesizer."),
    ("first_chunk_words", "Its words."),
)
RUN = (
    "run",
    "Number of the measured turn among the measured ones, from 1, as tables and pictures count; "
    "empty for any other phase.",
)
COLUMNS: tuple[tuple[str, str], ...] = (
    *TEXT_COLUMNS,
    *((metric.name, metric.doc) for metric in METRICS),
    RUN,
)
"""Every column with what it holds."""

CSV_COLUMNS: tuple[str, ...] = tuple(name for name, _ in COLUMNS)
"""The header."""

_PHASE = CSV_COLUMNS.index("phase")
_FORMULA_STARTS = tuple("=+-@＝＋－＠\t\n")
_WITHOUT_SHAPE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
"""Characters before a formula's sign that nobody sees, and some programs pass over."""
_READ_AS_MISSING = ("#n/a", "#na", "<na>", "n/a", "na", "nan", "-nan", "null", "none")
_READ_AS_MISSING_OR_BOOLEAN = frozenset((*_READ_AS_MISSING, "1.#ind", "1.#qnan", "true", "false"))
"""What pandas takes for no value or for a truth value when it reads a column, in lower case."""
_WHOLE_UNITS = ("count", "bool")


class RunCount:
    """Counts the runs: a run is a measured turn, and the first measured turn is run 1."""

    def __init__(self) -> None:
        self._runs = 0

    def of(self, phase: str) -> int | None:
        """Return which run the next turn is; None where it is not measured."""
        if phase != "measured":
            return None
        self._runs += 1
        return self._runs


def row(
    turn: Timeline, run: int | None, values: Mapping[str, float | None] | None = None
) -> dict[str, object]:
    """Return the cells of ``turn`` by column, in the order of `CSV_COLUMNS`; None is empty.

    ``run`` is the turn's number among the measured ones (`RunCount`); ``values`` are the turn's
    metrics, where they are computed already.
    """
    values = compute(turn) if values is None else values
    first_chunk = turn.chunks[0].text if turn.chunks else None
    cells: dict[str, object] = {
        "turn": turn.turn,
        "phase": turn.phase,
        "prompt": quoted(turn.prompt),
        "status": "failed" if turn.failed else "ok",
        "failure_reason": quoted(turn.failure.reason) if turn.failure else None,
        "failure_stage": turn.failure.stage if turn.failure else None,
        "reply_words": len(turn.reply.split()) if turn.reply else None,
        "first_chunk_text": None if first_chunk is None else quoted(first_chunk),
        "first_chunk_words": None if first_chunk is None else len(first_chunk.split()),
    }
    cells |= {metric.name: _cell(metric, values[metric.name]) for metric in METRICS}
    return cells | {RUN[0]: run}


def cells_of(turn: Timeline, values: Mapping[str, float | None] | None = None) -> list[str]:
    """Return what `row` gives, as it is written, but for the run, whose cell is left empty.

    Which run a turn is, only who has seen the turns before it can tell: see `numbered`.
    """
    return ["" if cell is None else str(cell) for cell in row(turn, None, values).values()]


def numbered(cells: list[str], runs: RunCount) -> list[str]:
    """Return ``cells`` (of `cells_of`) with the number of the run, counted by ``runs``."""
    run = runs.of(cells[_PHASE])
    return cells if run is None else [*cells[:-1], str(run)]


def _cell(metric: Metric, value: float | None) -> float | int | None:
    if value is not None and metric.unit in _WHOLE_UNITS and value.is_integer():
        return int(value)
    return value


def write_rows(file: TextIO, turns: Iterable[Timeline]) -> None:
    """Write the header and a row for each turn to ``file`` (opened with ``newline=""``)."""
    writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    runs = RunCount()
    writer.writerows(row(turn, runs.of(turn.phase)) for turn in turns)


def quoted(text: str) -> str:
    """Return ``text`` so that no program takes it for a formula, a number or a missing value.

    An empty text becomes one apostrophe, so that it is not taken for no text. Half a surrogate pair
    and control characters become ``�``; a carriage return, which Python's csv leaves unquoted
    before 3.13, becomes a line feed; characters that change the writing direction are left out.
    """
    writable = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    writable = neutral(writable.replace("\r\n", "\n").replace("\r", "\n"))
    return f"'{writable}" if _taken_for_something_else(writable) else writable


def unquoted(cell: str) -> str:
    """Return the text that was written as ``cell``."""
    return cell.removeprefix("'")


def _taken_for_something_else(text: str) -> bool:
    bare = text.strip().lstrip(_WITHOUT_SHAPE)
    if not bare or bare.startswith(("'", *_FORMULA_STARTS)) or text.startswith(_FORMULA_STARTS):
        return True
    return bare.lower() in _READ_AS_MISSING_OR_BOOLEAN or _is_number(bare)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
