"""One turn as one row of ``runs.csv``, for spreadsheets and pandas.

The columns and their order are stable; new ones are added at the end. `COLUMNS` describes each of
them, and the documentation is printed from it. Numbers are written in full, counts as whole
numbers. What a turn does not show is an empty cell.

**Text that could be misread.** A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or
``@`` as a formula, and text of a model or a server may begin with anything. pandas reads ``NA`` as
a missing value and ``42`` as a number. Such a text is written with an apostrophe in front, and so
is a text that begins with an apostrophe. To undo the rule, remove one apostrophe from the beginning
of a text. Metrics are numbers and are never changed. The rule follows OWASP's page on CSV
injection.

**Text that a terminal would obey.** Control characters become ``�``, and characters that change the
writing direction are removed (`voicebench.quoting`). Line ends and tabs stay. ``turns.jsonl`` has
every text as it was.
"""

from __future__ import annotations

from collections.abc import Mapping

from voicebench.figures.metrics import METRICS, Metric, compute
from voicebench.quoting import neutral
from voicebench.turn.timeline import Timeline

TEXT_COLUMNS: tuple[tuple[str, str], ...] = (
    ("turn", "Number of the turn within the run, from 1."),
    ("phase", "cold, warmup, idle or measured; only measured turns enter a statistic."),
    ("prompt", "What the user said."),
    ("status", "ok or failed."),
    ("failure_reason", "Why the turn failed; empty where it did not."),
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
LAST_COLUMNS: tuple[tuple[str, str], ...] = (
    ("conversation", "Number of the conversation, from 1; empty for a turn that stands alone."),
    ("conversation_turn", "Number of the turn within its conversation, from 1."),
    (
        "prompt_tokens",
        "Tokens of the prompt with all messages before it, as the model or its server counts them.",
    ),
    (
        "cached_tokens",
        "Those of them that were not computed again, as the model or its server says.",
    ),
)
COLUMNS: tuple[tuple[str, str], ...] = (
    *TEXT_COLUMNS,
    *((metric.name, metric.doc) for metric in METRICS),
    RUN,
    *LAST_COLUMNS,
)
"""Every column with its description."""

CSV_COLUMNS: tuple[str, ...] = tuple(name for name, _ in COLUMNS)
"""The header."""

_PHASE = CSV_COLUMNS.index("phase")
_RUN = CSV_COLUMNS.index(RUN[0])
_FORMULA_STARTS = tuple("=+-@＝＋－＠\t\n")
_WITHOUT_SHAPE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
"""Invisible characters, which some programs skip before the sign of a formula."""
_READ_AS_MISSING = ("#n/a", "#na", "<na>", "n/a", "na", "nan", "-nan", "null", "none")
_READ_AS_MISSING_OR_BOOLEAN = frozenset((*_READ_AS_MISSING, "1.#ind", "1.#qnan", "true", "false"))
"""What pandas reads as a missing value or a truth value, in lower case."""
_WHOLE_UNITS = ("count", "bool")


class RunCount:
    """Numbers the runs: a run is a measured turn, and the first one is run 1."""

    def __init__(self) -> None:
        self._runs = 0

    def of(self, phase: str) -> int | None:
        """Return the run number of the next turn; None if it is not measured."""
        if phase != "measured":
            return None
        self._runs += 1
        return self._runs


def row(
    turn: Timeline, run: int | None, values: Mapping[str, float | None] | None = None
) -> dict[str, object]:
    """Return the cells of ``turn`` by column, in the order of `CSV_COLUMNS`; None is empty.

    ``run`` is the turn's number among the measured ones (`RunCount`). ``values`` are the turn's
    metrics, if they are computed already.
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
    return cells | {RUN[0]: run} | {name: getattr(turn, name) for name, _ in LAST_COLUMNS}


def cells_of(
    turn: Timeline, run: int | None = None, values: Mapping[str, float | None] | None = None
) -> list[str]:
    """Return the cells of `row` as text."""
    return ["" if cell is None else str(cell) for cell in row(turn, run, values).values()]


def numbered(cells: list[str], runs: RunCount) -> list[str]:
    """Return ``cells`` (of `cells_of`, without run) with the number that ``runs`` counts next."""
    run = runs.of(cells[_PHASE])
    return cells if run is None else [*cells[:_RUN], str(run), *cells[_RUN + 1 :]]


def _cell(metric: Metric, value: float | None) -> float | int | None:
    if value is not None and metric.unit in _WHOLE_UNITS and value.is_integer():
        return int(value)
    return value


def quoted(text: str) -> str:
    """Return ``text`` such that no program reads it as a formula, a number or a missing value.

    An empty text becomes one apostrophe, because an empty cell means no text. Half a surrogate pair
    and control characters become ``�``. A carriage return, which Python's csv leaves unquoted
    before 3.13, becomes a line feed. Characters that change the writing direction are removed.
    """
    writable = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    writable = neutral(writable.replace("\r\n", "\n").replace("\r", "\n"))
    return f"'{writable}" if _could_be_misread(writable) else writable


def _could_be_misread(text: str) -> bool:
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
