"""What a listener heard of a reply, and what an interruption took from it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from drawn_turns import MS, drawn_turn

from voicebench.turn.cut import Cut, moved_cut
from voicebench.turn.listened import cut_while_playing, heard_until_ns, wasted_s
from voicebench.turn.timeline import Failure

# audio   100 [200 ms]   150 [200 ms]: heard from 100 to 500; the last of it came at 150.
TURN = drawn_turn(audio=((100, 200), (150, 200)), end=160)


def test_a_reply_is_heard_until_playback_ends_or_the_listener_interrupts() -> None:
    assert heard_until_ns(TURN) == 500 * MS
    assert heard_until_ns(replace(TURN, cut=Cut(300 * MS, "complete"))) == 300 * MS
    assert heard_until_ns(replace(TURN, cut=Cut(900 * MS, "asked"))) == 500 * MS
    assert heard_until_ns(replace(TURN, failure=Failure("no", "engine", "tts"))) == 160 * MS
    assert heard_until_ns(drawn_turn(tokens=(1,), end=50)) == 50 * MS


def test_a_reply_that_had_come_before_it_was_interrupted_is_complete() -> None:
    cut = cut_while_playing(TURN, 150 * MS)
    assert cut.cut == Cut(250 * MS, "complete", 160 * MS)
    assert cut.is_whole
    assert wasted_s(cut) == pytest.approx(0.25)


@pytest.mark.parametrize("after_ms", [400, 5000])
def test_a_reply_that_was_heard_out_is_not_interrupted(after_ms: int) -> None:
    assert cut_while_playing(TURN, after_ms * MS) is TURN
    assert wasted_s(TURN) is None


def test_nothing_is_interrupted_twice_or_without_a_plan_or_after_a_failure() -> None:
    asked = replace(TURN, cut=Cut(120 * MS, "asked", 130 * MS))
    failed = replace(TURN, failure=Failure("no", "engine", "tts"))
    assert cut_while_playing(asked, 10 * MS) is asked
    assert cut_while_playing(failed, 10 * MS) is failed
    assert cut_while_playing(TURN, None) is TURN


def test_a_stall_is_no_sound_that_was_wasted() -> None:
    # 100 to 150 is heard, then nothing until 400; interrupted at 300.
    stalled = drawn_turn(audio=((100, 50), (400, 100)), end=400)
    assert wasted_s(replace(stalled, cut=Cut(300 * MS, "asked"))) == pytest.approx(0.1)


def test_an_interruption_moves_with_its_turn() -> None:
    assert moved_cut(Cut(5, "asked", 9), 10) == Cut(15, "asked", 19)
    assert moved_cut(Cut(5, "hung up"), 10) == Cut(15, "hung up")
