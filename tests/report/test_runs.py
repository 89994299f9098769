from __future__ import annotations

import pytest
from handmade import failed_turn, make_turn, sprint_turns
from outcomes import UNDER_300

from voicebench.figures.columns import columns_of
from voicebench.figures.summary import summarize
from voicebench.judging.digest import digest_of
from voicebench.judging.gates import judge, parse_gate
from voicebench.report.runs import TurnLimit, first_audio_limit, tally


def limit_of(*gates: str) -> TurnLimit:
    summary = summarize([])
    return first_audio_limit([judge(parse_gate(gate), summary) for gate in gates])


def test_the_sprint_of_reference_gives_its_own_success_rate_and_best_run() -> None:
    sentence = tally(columns_of(sprint_turns()), UNDER_300).sentence()
    assert sentence == "3/8 under 300 ms (37.5 %), best 252 ms (run 3)"


def test_runs_are_numbered_from_one_whatever_came_before() -> None:
    turns = [make_turn(1, phase="cold"), make_turn(2, phase="warmup"), make_turn(3), make_turn(4)]
    assert [(run.number, run.turn.turn) for run in digest_of(turns).runs] == [(1, 3), (2, 4)]


def test_a_failed_run_counts_and_does_not_pass() -> None:
    counted = tally(columns_of([*sprint_turns(), failed_turn(9)]), UNDER_300)
    assert (counted.kept, counted.runs) == (3, 9)


def test_a_failed_run_is_never_the_best_even_with_early_audio() -> None:
    broken = failed_turn(1)
    early = make_turn(2, audio=((10, 500),), failure=broken.failure)
    assert tally(columns_of([early, make_turn(3)]), UNDER_300).best_run == 2


def test_first_audio_at_the_limit_is_not_under_it() -> None:
    assert tally(columns_of([make_turn(audio=((300, 500),))]), UNDER_300).kept == 0


def test_first_audio_at_a_limit_that_may_be_reached_keeps_it() -> None:
    counted = tally(columns_of([make_turn(audio=((300, 500),))]), TurnLimit(300, at_most=True))
    assert counted.sentence() == "1/1 within 300 ms (100 %), best 300 ms (run 1)"


def test_without_any_audio_there_is_no_best_run() -> None:
    assert tally(columns_of([failed_turn(1)]), UNDER_300).sentence() == "0/1 under 300 ms (0 %)"


def test_a_best_run_just_over_the_limit_does_not_read_like_the_limit() -> None:
    sentence = tally(columns_of([make_turn(audio=((300.2, 500),))]), UNDER_300).sentence()
    assert sentence == "0/1 under 300 ms (0 %), best 300.2 ms (run 1)"


@pytest.mark.parametrize(
    ("gates", "limit"),
    [
        ((), UNDER_300),
        (("llm_total.mean < 200ms",), UNDER_300),
        (("first_audio.p95 < 250ms", "first_audio.mean < 100ms"), TurnLimit(250)),
        (("first_audio.under(200ms) >= 90%",), TurnLimit(200)),
        (("first_audio.within(200ms) >= 90%",), TurnLimit(200, at_most=True)),
        (("first_audio.stdev < 5ms", "first_audio.max <= 1s"), TurnLimit(1000, at_most=True)),
        (("first_audio.min > 5ms",), UNDER_300),
    ],
)
def test_a_run_is_held_to_the_first_gate_on_first_audio(
    gates: tuple[str, ...], limit: TurnLimit
) -> None:
    assert limit_of(*gates) == limit
