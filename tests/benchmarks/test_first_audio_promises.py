from __future__ import annotations

from dataclasses import replace

import pytest
from handmade import make_turn

from benchmarks.first_audio.promises import judge_all
from benchmarks.first_audio.rounds import Turns
from benchmarks.promised import Judged
from voicebench.turn.timeline import Timeline

REPLY = "Water boils at a hundred degrees when you are at the level of the sea."
WORDS = [f"{' ' * bool(place)}{word}" for place, word in enumerate(REPLY.split())]


def turn(
    first_audio_ms: float, later_ms: float = 10.0, ttfb_ms: float | None = None, **kind: object
) -> Timeline:
    """Return a turn whose audio comes in two pieces; ``later_ms`` is when the second is there.

    ``ttfb_ms`` is the part of first audio that the voice takes; by default half of it.
    """
    begins = first_audio_ms / 4
    tokens = [(begins + place, word) for place, word in enumerate(WORDS)]
    return make_turn(
        tokens=tokens,
        chunks=[(first_audio_ms - (ttfb_ms or first_audio_ms / 2), REPLY)],
        audio=[(first_audio_ms, 100), (first_audio_ms + later_ms, 900)],
        **{"silence_ms": 5, **kind},  # type: ignore[arg-type]
    )


def run(**first_audio_ms: float) -> Turns:
    """Return a run of 20 prompts in which each row always takes the same."""
    return {
        (row, condition): [turn(ms)] * 20
        for row, ms in first_audio_ms.items()
        for condition in ("back", "rested")
    }


def found(judged: list[Judged], words: str) -> Judged:
    [one] = [one for one in judged if words in one.promise and "stretch" not in one.promise]
    return one


GOOD = run(a=500, b=120, c=75, d3=28, d2=25)


def test_a_run_that_keeps_all_of_it_is_said_to_hold_all_of_it() -> None:
    startup = {"first_audio_s": 2.0, "first_measured_s": 3.0, "memory_gb": 0.4, "cold_ms": 60.0}
    good = {name: [turn(28, ttfb_ms=5)] * 20 for name in GOOD if name[0] == "d3"}
    judged = judge_all(GOOD | good, startup)
    assert [one for one in judged if one.held is not True] == []


@pytest.mark.parametrize(("row", "limit"), [("a", 12), ("b", 3), ("c", 1.8)])
def test_a_ratio_is_held_from_its_limit_on(row: str, limit: float) -> None:
    for factor, held in ((0.9, False), (1.1, True)):
        judged = judge_all(GOOD | run(**{row: factor * limit * 28}))
        assert found(judged, f"better than ({row})").held is held


@pytest.mark.parametrize(
    ("first_audio_ms", "wide", "p50", "p95"),
    [(38, False, True, True), (38, True, False, True), (50, False, False, True)],
)
def test_the_limits_differ_by_the_processor(
    first_audio_ms: float, wide: bool, p50: bool, p95: bool
) -> None:
    judged = judge_all(run(d3=first_audio_ms), wide=wide)
    assert found(judged, "`first_audio` p50 ≤ 3").held is p50
    assert found(judged, "`first_audio` p95 ≤").held is p95


@pytest.mark.parametrize(("later", "held"), [(8.0, True), (9.0, False)])
def test_silence_may_cost_eight_milliseconds(later: float, held: bool) -> None:
    turns = {("d3", "back"): [turn(30)] * 20, ("d3", "rested"): [turn(30 + later)] * 20}
    assert found(judge_all(turns), "after 0.7 s of silence").held is held


@pytest.mark.parametrize(("ttfb_ms", "held"), [(7, True), (7.5, False)])
def test_the_voice_has_a_limit_of_its_own(ttfb_ms: float, held: bool) -> None:
    judged = judge_all({("d3", "back"): [turn(30, ttfb_ms=ttfb_ms)] * 20})
    assert found(judged, "`tts_ttfb`").held is held


@pytest.mark.parametrize(("cold_ms", "held"), [(80.0, True), (80.1, False)])
def test_the_first_turn_after_loading_has_a_limit(cold_ms: float, held: bool) -> None:
    assert found(judge_all({}, {"cold_ms": cold_ms}), "after loading").held is held


def test_sound_and_gapless_start_are_held_against_the_first_audio() -> None:
    late = {("d3", "back"): [turn(50, later_ms=150, silence_ms=30)] * 20}
    judged = judge_all(late)
    assert found(judged, "`first_sound`").found == "30 ms"
    assert found(judged, "`first_sound`").held is False
    assert found(judged, "`gapless_start`").found == "50 ms"
    assert found(judged, "`gapless_start`").held is False
    assert found(judged, "no stall").held is False


def test_one_stall_in_a_hundred_turns_is_allowed_and_two_are_not() -> None:
    smooth, stalling = turn(50), turn(50, later_ms=150)
    for stalls, held in ((1, True), (2, False)):
        turns = [smooth] * (100 - stalls) + [stalling] * stalls
        assert found(judge_all({("d3", "back"): turns}), "no stall").held is held


def test_a_reply_that_is_cut_in_its_sentence_is_found() -> None:
    cut = replace(turn(50), tokens=turn(50).tokens[:-1])
    judged = judge_all({("d3", "back"): [turn(50), cut]})
    assert found(judged, "whole sentences").found == "1 of 2"
    assert found(judged, "whole sentences").held is False


def test_what_was_not_measured_is_neither_held_nor_missed() -> None:
    judged = judge_all({})
    assert {one.held for one in judged} == {None}
    assert {one.word for one in judged} == {"not measured"}
    assert found(judge_all(GOOD), "resident memory").held is None
