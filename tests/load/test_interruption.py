"""Which turns callers interrupt: read, drawn, and followed by the next turn."""

from __future__ import annotations

import pytest

from voicebench.errors import UsageError
from voicebench.load.call_plan import (
    Behaviour,
    LoadPlan,
    Population,
    Trace,
    TracedCall,
    TracedTurn,
    TurnRate,
)
from voicebench.load.distributions import DurationDistribution, read_count, read_duration
from voicebench.load.interruption import Interruption, read_interruption

FIFTH = Interruption(0.2, DurationDistribution("exp", 1.5))


def behaviour(interruption: Interruption | None) -> Behaviour:
    return Behaviour(
        read_duration("exp:3s", "think"),
        read_duration("lognormal:2s:0.5", "speech"),
        read_count("fixed:400", "turns"),
        interruption,
    )


def test_a_share_and_a_moment_are_read() -> None:
    assert read_interruption("20% exp:1.5s", "it") == FIFTH
    assert read_interruption(" 0.5%  2s ", "it") == Interruption(
        0.005, DurationDistribution("fixed", 2.0)
    )


@pytest.mark.parametrize("text", ["", "20", "0% 2s", "101% 2s", "20%2s", "-5% 2s", "x% 2s"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"write for example '20% exp:1\.5s'"):
        read_interruption(text, "it")


@pytest.mark.parametrize("text", ["20%", "20% soon", "20% 2s 3s"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write for example '2s'"):
        read_interruption(text, "it")


def test_the_drawn_share_and_moments_are_those_of_the_distribution() -> None:
    drawn = [FIFTH.drawn(7, caller, 0, turn) for caller in range(200) for turn in range(50)]
    moments = [moment for moment in drawn if moment is not None]
    assert len(moments) / len(drawn) == pytest.approx(0.2, abs=0.02)
    assert sum(moments) / len(moments) == pytest.approx(1.5, rel=0.08)
    assert drawn == [FIFTH.drawn(7, caller, 0, turn) for caller in range(200) for turn in range(50)]
    assert drawn != [FIFTH.drawn(8, caller, 0, turn) for caller in range(200) for turn in range(50)]


def test_a_larger_share_interrupts_the_same_turns_and_more() -> None:
    more = Interruption(0.5, FIFTH.moment)
    for turn in range(500):
        moment = FIFTH.drawn(1, 0, 0, turn)
        assert moment is None or moment == more.drawn(1, 0, 0, turn)


def test_interruptions_move_no_other_draw() -> None:
    plans = [LoadPlan(3, Population(5), behaviour(one)) for one in (None, FIFTH)]
    without, with_cuts = ([plan.first_turn(call) for call in plan.calls()] for plan in plans)
    for one, other in zip(without, with_cuts, strict=True):
        assert (one.due_s, one.speech_s, one.prompt) == (other.due_s, other.speech_s, other.prompt)


def test_who_interrupts_does_not_think_and_speaks_from_there() -> None:
    plan = LoadPlan(3, Population(1), behaviour(FIFTH))
    (call,) = plan.calls()
    turn = plan.first_turn(call)
    after, cut = plan.following(turn, 100.0), plan.following(turn, 100.0, cut=True)
    assert after is not None
    assert cut is not None
    assert not after.interrupts
    assert cut.interrupts
    assert cut.due_s == 100.0 + cut.speech_s
    assert after.due_s > cut.due_s
    assert (cut.number, cut.prompt, cut.cut_after_s) == (
        after.number,
        after.prompt,
        after.cut_after_s,
    )


def test_turns_of_a_trace_and_single_turns_are_interrupted_too() -> None:
    always = Interruption(1.0, DurationDistribution("fixed", 0.7))
    traced = TracedTurn(think_s=2.0, speech_s=1.0)
    trace = Trace((TracedCall(0.0, (traced, traced)),))
    plan = LoadPlan(1, trace, behaviour(always))
    (call,) = plan.calls()
    first = plan.first_turn(call)
    assert first.cut_after_s == 0.7
    second = plan.following(first, 10.0, cut=True)
    assert second is not None
    assert second.due_s == 11.0
    single = LoadPlan(1, TurnRate(1.0), behaviour(always))
    assert single.first_turn(next(single.calls())).cut_after_s == 0.7


def test_who_interrupts_the_last_reply_hangs_up() -> None:
    once = Behaviour(
        read_duration("2s", "think"), read_duration("1s", "speech"), read_count("1", "turns"), FIFTH
    )
    plan = LoadPlan(3, Population(1), once)
    turn = plan.first_turn(next(plan.calls()))
    following = plan.following(turn, 50.0, cut=True)
    assert following is not None
    assert following.call.call == turn.call.call + 1
    assert not following.interrupts
    assert following.due_s == 53.0
