"""The table of conversations: when a turn answers, by its number within the conversation."""

from __future__ import annotations

from rich.text import Text

from voicebench import format as form
from voicebench.figures.columns import Columns
from voicebench.figures.summary import Distribution, values_needed
from voicebench.figures.turn_numbers import TurnNumberFigures, by_turn_number
from voicebench.report.console.style import QUIET, Column, Sheet

MOST_ROWS = 12
"""Of longer conversations the table has the first turns and the last ones."""
TAIL = 95
_TOKENS = (
    "tokens (medians) are counted by the model or its server; cached are those that it says it did "
    "not compute again"
)


def turn_number_sheet(columns: Columns) -> Sheet | None:
    """Return the table; None if no measured turn is of a conversation."""
    found = by_turn_number(columns)
    if not found:
        return None
    rows = _shown(found)
    sheet = [
        Column("turn of\nconversation", [Text(str(row.number)) for row in rows]),
        Column("n", [Text(str(row.turns), QUIET) for row in rows], spare=2),
        Column(
            "failed", [Text(str(row.failed) if row.failed else "0", QUIET) for row in rows], spare=4
        ),
        Column("first\ntoken p50", [_quantile(row.first_token, 50) for row in rows]),
        Column("first\ntoken p95", [_quantile(row.first_token, TAIL) for row in rows], spare=1),
        Column("first\naudio p50", [_quantile(row.first_audio, 50) for row in rows]),
        Column("first\naudio p95", [_quantile(row.first_audio, TAIL) for row in rows], spare=1),
    ]
    if any(row.prompt_tokens is not None for row in rows):
        cached = [_count(row.cached_tokens) for row in rows]
        sheet += [
            Column("prompt\ntokens", [_count(row.prompt_tokens) for row in rows], spare=3),
            Column("said to be\ncached", cached, spare=3),
        ]
    notes = []
    if len(rows) < len(found):
        left_out = len(found) - len(rows)
        notes.append(f"{form.plural(left_out, 'turn number')} in the middle are not shown")
    if min(len(row.first_audio.values) for row in rows) < values_needed(TAIL):
        notes.append(f"a p95 needs {values_needed(TAIL)} values: with fewer, the maximum is shown")
    if any(row.prompt_tokens is not None for row in rows):
        notes.append(_TOKENS)
    return Sheet("By turn of the conversation, in ms", sheet, [Text(note, QUIET) for note in notes])


def _shown(found: list[TurnNumberFigures]) -> list[TurnNumberFigures]:
    half = MOST_ROWS // 2
    return found if len(found) <= MOST_ROWS else [*found[:half], *found[-half:]]


def _quantile(found: Distribution, q: float) -> Text:
    value, carried = found.quantile(q)
    return Text(form.ms(value), "" if carried else QUIET)


def _count(value: float | None) -> Text:
    return Text(form.NOTHING if value is None else f"{value:.0f}")
