from __future__ import annotations

from dataclasses import replace

from handmade import failed_turn, make_turn, sprint_turns
from outcomes import UNDER_300, lines_of, row_of, shown

from voicebench.judging.digest import digest_of
from voicebench.report.console.run_table import MOST_REASONS, run_sheet


def test_a_run_shows_its_stages_its_first_words_and_whether_it_passed() -> None:
    text = shown(run_sheet(digest_of(sprint_turns()), UNDER_300), 120)
    assert row_of(text, "3 ") == "3 60.0 190 The weather is 62.0 252 282 0 0.0 first audio ✓"
    assert row_of(text, "8 ") == "8 60.0 239 The weather is 122 361 391 0 0.0 first audio ✗"
    assert "3/8 under 300 ms (37.5 %), best 252 ms (run 3)" in text


def test_all_that_is_asked_for_fits_in_80_columns() -> None:
    assert "left out" not in shown(run_sheet(digest_of(sprint_turns()), UNDER_300), 80)


def test_cold_and_warm_up_turns_stand_apart_and_enter_no_figure() -> None:
    fast = make_turn(1, phase="cold", audio=((120, 500),))
    turns = [fast, make_turn(2, phase="warmup"), *sprint_turns()]
    text = shown(run_sheet(digest_of(turns), UNDER_300), 120)
    assert row_of(text, "cold").endswith("–")
    assert row_of(text, "warm-up").endswith("–")
    assert "3/8 under 300 ms (37.5 %), best 252 ms (run 3)" in text


def test_cold_rows_are_dimmed() -> None:
    text = shown(
        run_sheet(digest_of([make_turn(1, phase="cold"), make_turn(2)]), UNDER_300),
        120,
        colour=True,
    )
    [cold] = [line for line in text.splitlines() if "cold" in line]
    [run] = [line for line in text.splitlines() if "audio ✓" in line]
    assert cold.startswith("\x1b[2mcold")
    assert "\x1b[32mfirst audio ✓" in run


def test_a_failed_turn_shows_what_was_observed_and_its_reason() -> None:
    text = shown(run_sheet(digest_of([make_turn(1), failed_turn(2, "no memory")]), UNDER_300), 120)
    assert row_of(text, "2 ") == "2 100 100 The weather is – – – – – ! failed"
    assert "run 2 failed in tts: no memory" in text
    assert "1/2 under 300 ms (50 %)" in text


def test_failures_are_gathered_by_their_reason() -> None:
    turns = [failed_turn(number, "no memory") for number in range(1, 15)]
    text = shown(run_sheet(digest_of([*turns, failed_turn(15, "no text")]), UNDER_300), 120)
    listed = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 4 more"
    assert f"runs {listed} failed in tts: no memory" in text
    assert "run 15 failed in tts: no text" in text


def test_a_hundred_reasons_do_not_flood_the_screen() -> None:
    turns = [failed_turn(number, f"reason {number}") for number in range(1, 101)]
    text = shown(run_sheet(digest_of(turns), UNDER_300), 120)
    assert text.count("failed in tts") == MOST_REASONS
    assert "and 95 other reasons" in text


def test_of_very_many_runs_the_failed_and_slowest_are_listed_and_all_are_counted() -> None:
    turns = [make_turn(number, audio=((200 + number, 500),)) for number in range(1, 101)]
    text = shown(run_sheet(digest_of([*turns, failed_turn(101)]), UNDER_300), 120)
    assert "the 40 slowest of 101 runs; runs.csv has all" in text
    assert [line.split()[0] for line in lines_of(text)[5:45]] == [str(n) for n in range(62, 102)]
    assert "99/101 under 300 ms (98 %), best 201 ms (run 1)" in text


def test_a_long_warm_up_does_not_push_the_runs_off_the_screen() -> None:
    turns = [make_turn(number, phase="warmup") for number in range(1, 101)]
    assert shown(run_sheet(digest_of([*turns, make_turn(101)]), UNDER_300)).count("warm-up") == 10


def test_stalls_are_counted_and_measured() -> None:
    text = shown(run_sheet(digest_of([make_turn(audio=((186, 100), (400, 100)))]), UNDER_300), 120)
    assert row_of(text, "1 ").endswith("1 114 first audio ✓")


def test_a_target_without_tokens_or_chunks_shows_dashes() -> None:
    text = shown(run_sheet(digest_of([make_turn(tokens=(), chunks=())]), UNDER_300), 120)
    assert row_of(text, "1 ") == "1 – – – – 186 206 0 0.0 first audio ✓"


def test_words_of_a_model_cannot_write_to_the_terminal() -> None:
    hostile = "\x1b]0;owned\x07[red]Hi"
    turns = [
        make_turn(1, chunks=((116, hostile),)),
        failed_turn(2, hostile),
        replace(make_turn(3), prompt=hostile),
    ]
    text = shown(run_sheet(digest_of(turns), UNDER_300), 120)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "�]0;owned�[red]Hi" in text


def test_without_measured_turns_the_table_says_so() -> None:
    assert lines_of(shown(run_sheet(digest_of([make_turn(1, phase="cold")]), UNDER_300)))[-1] == (
        "no turn was measured"
    )
