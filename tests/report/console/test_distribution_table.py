from __future__ import annotations

from dataclasses import replace

from handmade import failed_turn, make_turn, ns, sprint_turns
from outcomes import row_of, shown

from voicebench.figures.summary import summarize
from voicebench.report.console.figure_tables import distribution_sheet
from voicebench.turn.timeline import TimedText, Timeline


def table(turns: list[Timeline], width: int = 100) -> str:
    sheet = distribution_sheet(summarize(turns))
    assert sheet is not None
    return shown(sheet, width)


def test_each_observed_metric_has_its_figures_and_unit() -> None:
    turns = [make_turn(number, audio=((180 + number, 500),)) for number in range(1, 21)]
    text = table(turns)
    assert row_of(text, "first_audio") == "first_audio ms 20 0 190 190 199 200"
    assert row_of(text, "audio_s") == "audio_s s 20 0 0.5 0.5 0.5 0.5"


def test_a_p95_of_too_few_turns_is_not_shown_as_one() -> None:
    text = table(sprint_turns())
    assert row_of(text, "first_audio") == "first_audio ms 8 0 306 301 max of 8 361"
    assert "p95 needs 20 values" in text


def test_failed_turns_are_in_n_and_missing() -> None:
    assert row_of(table([make_turn(1), make_turn(2), failed_turn(3)]), "first_audio").startswith(
        "first_audio ms 3 1 186"
    )


def test_what_no_turn_shows_has_no_row() -> None:
    text = table(sprint_turns())
    assert "server" not in text
    assert "speaker" not in text


def test_without_any_figure_there_is_no_table() -> None:
    assert distribution_sheet(summarize([failed_turn(1)])) is None


def test_of_replies_in_one_piece_the_table_says_what_was_not_observable() -> None:
    whole = TimedText(ns(150), "The weather is fine.")
    turns = [replace(make_turn(n, tokens=()), whole_reply=whole) for n in (1, 2)]
    text = " ".join(table([*turns, make_turn(3)]).split())
    assert "in 2 turns the reply came in one piece, not streamed" in text
    assert "first token (llm_ttft) and the gaps between tokens were not observable" in text
    assert "one piece" not in table([make_turn(1)])
