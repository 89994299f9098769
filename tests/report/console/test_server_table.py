from __future__ import annotations

from dataclasses import replace

from handmade import make_turn
from outcomes import row_of, shown

from voicebench.events import ServerTiming
from voicebench.figures.summary import summarize
from voicebench.report.console.figure_tables import server_sheet


def told(*timings: ServerTiming, count: int = 3) -> str:
    turns = [replace(make_turn(n), server_timings=timings) for n in range(1, count + 1)]
    sheet = server_sheet(summarize(turns))
    return "" if sheet is None else shown(sheet, 80)


def test_each_servers_word_stands_beside_ours_of_the_same_request() -> None:
    text = told(
        ServerTiming(60, 62.5, "tts"), ServerTiming(8, 20, "tts"), ServerTiming(90, 96, "llm")
    )
    assert row_of(text, "LLM") == "LLM: first token 3 90.0 96.0 6.0"
    assert row_of(text, "voice") == "voice: first sound 3 60.0 62.5 2.5"


def test_of_a_whole_turn_it_is_the_turn() -> None:
    # The turn ends with its last samples, at 300 ms.
    assert row_of(told(ServerTiming(290.0)), "whole turn") == "whole turn 3 290 300 10.0"


def test_where_no_server_speaks_there_is_no_table() -> None:
    assert told() == ""
