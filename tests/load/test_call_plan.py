"""The plan: due moments from the end of playback, draws that no other caller changes, ages."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.load.call_plan import (
    Arrivals,
    Behaviour,
    Call,
    CallRate,
    DueTurn,
    LoadPlan,
    Population,
    Trace,
    TracedCall,
    TracedTurn,
    TurnRate,
    cycle_s,
    offered_turns_per_s,
)
from voicebench.load.distributions import read_count, read_duration


def behaviour(
    think: str = "exp:3s", speech: str = "uniform:1s:3s", turns: str = "geometric:4"
) -> Behaviour:
    return Behaviour(
        read_duration(think, "think"), read_duration(speech, "speech"), read_count(turns, "turns")
    )


def plan(arrivals: Arrivals, seed: int = 1, ramp_s: float = 0.0, **kinds: str) -> LoadPlan:
    return LoadPlan(seed, arrivals, behaviour(**kinds), prompts=7, ramp_s=ramp_s)


def turns_of_caller(of: LoadPlan, caller: int, count: int, reply_s: float) -> list[DueTurn]:
    """Return the first turns of a caller whose every reply takes the same time."""
    call = next(call for call in of.calls() if call.caller == caller)
    found = [of.first_turn(call)]
    while len(found) < count:
        following = of.following(found[-1], found[-1].due_s + reply_s)
        assert following is not None
        found.append(following)
    return found


SEEDS = st.integers(0, 2**62 - 1)


@given(SEEDS, st.integers(1, 30), st.integers(0, 29))
def test_more_callers_change_nothing_for_the_others(seed: int, callers: int, more: int) -> None:
    few, many = plan(Population(callers), seed), plan(Population(callers + more), seed)
    for caller in {0, callers - 1}:
        assert turns_of_caller(few, caller, 9, 2.0) == turns_of_caller(many, caller, 9, 2.0)


@given(SEEDS, st.floats(0.1, 60))
def test_the_next_turn_is_due_after_playback_thinking_and_speaking(
    seed: int, reply_s: float
) -> None:
    of = plan(Population(1), seed)
    turns = turns_of_caller(of, 0, 12, reply_s)
    for earlier, later in pairwise(turns):
        pause_s = later.due_s - (earlier.due_s + reply_s)
        assert pause_s >= later.speech_s - 1e-9
        # The pause is the caller's own: a slower reply moves the next turn, and changes no draw.
        slower = of.following(earlier, earlier.due_s + reply_s + 5)
        assert slower is not None
        assert slower.due_s == pytest.approx(later.due_s + 5)
        assert (slower.speech_s, slower.prompt, slower.call.call) == (
            later.speech_s, later.prompt, later.call.call
        )  # fmt: skip


@given(SEEDS)
def test_who_hangs_up_is_replaced_by_a_new_call(seed: int) -> None:
    turns = turns_of_caller(plan(Population(3), seed), 2, 30, 1.0)
    for earlier, later in pairwise(turns):
        if earlier.is_last:
            assert (later.call.call, later.number) == (earlier.call.call + 1, 0)
            assert not later.call.running
        else:
            assert (later.call, later.number) == (earlier.call, earlier.number + 1)
    assert {turn.call.caller for turn in turns} == {2}
    assert turns[-1].call.call > 0


def test_nobody_replaces_a_call_that_arrived_by_itself() -> None:
    of = plan(CallRate(1.0), turns="fixed:2")
    turn = of.first_turn(next(of.calls()))
    last = of.following(turn, turn.due_s + 1)
    assert last is not None
    assert last.is_last
    assert of.following(last, last.due_s + 1) is None


@pytest.mark.parametrize("think", ["exp:3s", "fixed:3s", "uniform:1s:5s", "lognormal:3s:1"])
def test_the_first_pauses_are_those_that_an_observer_meets(think: str) -> None:
    of = plan(Population(4000), think=think, speech="fixed:0s")
    first = np.array([of.first_turn(call).due_s for call in of.calls()])
    pauses = of.behaviour.think
    grid = (np.arange(4000) + 0.5) / 4000
    squares = float(np.mean([pauses.draw(u) ** 2 for u in grid]))
    # The mean residual life of a renewal process: half the second moment over the mean.
    assert first.mean() == pytest.approx(squares / (2 * pauses.mean_s), rel=0.06)
    # No herd: the first second has a rate that the next one does not fall far below of.
    counts, _ = np.histogram(first, [0, 0.5, 1.0])
    assert counts[1] > 0.7 * counts[0]


def test_callers_begin_in_the_middle_of_their_calls() -> None:
    of = plan(Population(3000), turns="fixed:5")
    starts = np.bincount([call.from_turn for call in of.calls()], minlength=5)
    assert starts.size == 5
    assert starts.min() > 500


@given(SEEDS, st.floats(0.1, 100))
def test_a_higher_rate_brings_the_same_calls_closer_together(seed: int, factor: float) -> None:
    slow = list(islice(plan(CallRate(1.0), seed).calls(), 20))
    fast = list(islice(plan(CallRate(factor), seed).calls(), 20))
    assert [call.turns for call in slow] == [call.turns for call in fast]
    for one, other in zip(slow, fast, strict=True):
        assert other.begins_s == pytest.approx(one.begins_s / factor)


def test_poisson_arrivals_have_exponential_gaps() -> None:
    begins = [call.begins_s for call in islice(plan(TurnRate(4.0)).calls(), 8000)]
    gaps = np.diff([0.0, *begins])
    assert gaps.mean() == pytest.approx(0.25, rel=0.04)
    assert gaps.std() == pytest.approx(0.25, rel=0.05)
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 0.04


def test_a_ramp_lets_the_rate_grow_and_then_stay() -> None:
    of = plan(TurnRate(50.0), ramp_s=20.0)
    begins = np.array([call.begins_s for call in islice(of.calls(), 3000)])
    counts, _ = np.histogram(begins, [0, 5, 10, 15, 20, 25, 30, 35])
    expected = [31.25, 93.75, 156.25, 218.75, 250, 250, 250]
    assert np.abs(counts - expected).max() < 60
    joined = [call.begins_s for call in plan(Population(4), ramp_s=20.0).calls()]
    assert joined == [0.0, 5.0, 10.0, 15.0]


def test_single_turns_have_one_turn_that_is_due_at_once() -> None:
    of = plan(TurnRate(2.0))
    for call in islice(of.calls(), 50):
        turn = of.first_turn(call)
        assert (turn.due_s, turn.is_last) == (call.begins_s, True)


def test_a_trace_is_repeated() -> None:
    calls = (
        TracedCall(1.0, (TracedTurn(0.5, 2.0, "Hello"), TracedTurn(1.0, 3.0))),
        TracedCall(2.0, (TracedTurn(0.0, 1.0),)),
    )
    of = plan(Trace(calls))
    first, other = of.calls()
    turn = of.first_turn(first)
    assert (turn.due_s, turn.prompt, turn.speech_s) == (3.5, "Hello", 2.0)
    following = of.following(turn, 10.0)
    assert following is not None
    assert (following.due_s, following.is_last, following.prompt) == (14.0, True, 1)
    assert of.following(following, 20.0) is None
    assert of.first_turn(other).due_s == 3.0


@given(SEEDS)
def test_prompts_differ_between_turns_and_stay_in_the_set(seed: int) -> None:
    prompts = [turn.prompt for turn in turns_of_caller(plan(Population(1), seed), 0, 60, 1.0)]
    assert set(prompts) <= set(range(7))
    assert len(set(prompts)) > 3


def test_what_a_plan_offers() -> None:
    behaves = behaviour("exp:3s", "fixed:2s", "fixed:6")
    assert cycle_s(behaves, 5.0) == 10.0
    assert offered_turns_per_s(LoadPlan(1, Population(40), behaves), 5.0) == 4.0
    assert offered_turns_per_s(LoadPlan(1, CallRate(0.5), behaves), 5.0) == 3.0
    assert offered_turns_per_s(LoadPlan(1, TurnRate(4.0), behaves), 5.0) == 4.0
    trace = Trace((TracedCall(0, (TracedTurn(1, 1), TracedTurn(1, 2))),))
    assert offered_turns_per_s(LoadPlan(1, trace, behaves), 2.5) == pytest.approx(0.2)


def test_a_plan_is_a_value() -> None:
    assert plan(Population(3)) == plan(Population(3))
    assert plan(Population(3)) != plan(Population(3), seed=2)
    assert Call(1, 0, 3, 0.0) == Call(1, 0, 3, 0.0)
