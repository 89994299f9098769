"""The table of conversations, as people read it."""

from __future__ import annotations

from dataclasses import replace

from handmade import make_turn
from outcomes import row_of, shown

from voicebench.figures.columns import columns_of
from voicebench.report.console.turn_number_table import MOST_ROWS, turn_number_sheet
from voicebench.turn.timeline import Timeline


def talk(conversation: int, turns: int, *, cached: int | None = None) -> list[Timeline]:
    return [
        replace(
            make_turn(number, audio=((180 + 10 * number, 500),)),
            conversation=conversation,
            conversation_turn=number,
            prompt_tokens=None if cached is None else 30 * number,
            cached_tokens=cached,
        )
        for number in range(1, turns + 1)
    ]


def text_of(turns: list[Timeline], width: int = 100) -> str:
    sheet = turn_number_sheet(columns_of(turns))
    assert sheet is not None
    return shown(sheet, width)


def test_each_turn_number_is_a_row() -> None:
    text = text_of([*talk(1, 3, cached=23), *talk(2, 2, cached=43)])
    assert row_of(text, "1") == "1 2 0 100 100 190 190 30 33"
    assert row_of(text, "3") == "3 1 0 100 100 210 210 90 23"
    assert "with fewer, the maximum is shown" in text
    assert "that it says it did not compute again" in " ".join(text.split())


def test_tokens_that_nobody_counted_are_no_column() -> None:
    text = text_of(talk(1, 2))
    assert "cached" not in text
    assert row_of(text, "2") == "2 1 0 100 100 200 200"


def test_of_a_long_conversation_the_first_and_the_last_turns_are_shown() -> None:
    text = text_of(talk(1, 40))
    assert row_of(text, "40").startswith("40 1")
    assert "28 turn numbers in the middle are not shown" in text
    rows = [line for line in text.splitlines() if line.strip()[:1].isdigit() and "100" in line]
    assert len(rows) == MOST_ROWS


def test_turns_that_stand_alone_have_no_table() -> None:
    assert turn_number_sheet(columns_of([make_turn()])) is None
