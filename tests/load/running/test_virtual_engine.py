"""The virtual engine: its queue is the M/M/c//N queue, its turns are those of the script."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from loaded_turns import rule

from voicebench.figures.metrics import BY_NAME
from voicebench.load.call_plan import Behaviour, LoadPlan, Population, TurnRate
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.holding import Times, hold
from voicebench.load.level_rule import LevelRule, LevelStanding
from voicebench.load.load_gate import load_gates
from voicebench.load.loaded_turn import ANSWERED, UNFINISHED, LevelTurns, columns_of_turns
from voicebench.load.queue_theory import FiniteQueue
from voicebench.load.running.virtual_engine import VirtualEngine
from voicebench.results.codec import decode_line, encode_line
from voicebench.targets.script import parse_script
from voicebench.turn.timeline import Timeline

METRICS = (
    "first_audio_due_ms",
    "first_sound_due_ms",
    "stall_count",
    "turn_ms",
    "audio_s",
    "late_ms",
)
SCRIPT = "sim:ttft=10ms,token=1ms,ttfb=10ms,speed=50x,words=3,slots=2,service=exp:1s"
CALM = Behaviour(
    read_duration("exp:3s", "think"), read_duration("1s", "speech"), read_count("geometric:5", "t")
)


def held(script: str, plan: LoadPlan, until_s: float, drain_s: float = 0.0) -> LevelTurns:
    level = VirtualEngine(parse_script(script), METRICS).start(plan, 1)
    turns = [*level.advance(until_s), *level.drain(until_s, drain_s)]
    return columns_of_turns(turns, METRICS)


def test_waiting_is_that_of_the_formula() -> None:
    turns = held(SCRIPT, LoadPlan(3, Population(8), CALM), 20_000)
    reply = VirtualEngine(parse_script(SCRIPT), METRICS).answered
    first_ms = reply.values(0)["first_audio_due_ms"]
    assert first_ms is not None
    queue = FiniteQueue(2, 1.0, 4.0 + reply.heard_s)
    answered = turns.due_in(100, 19_900)
    values = answered.values["first_audio_due_ms"][answered.outcome == ANSWERED]
    assert values.size > 20_000
    for limit_s in (0.5, 1, 2, 4, 8):
        share = float((values <= 1000 * limit_s + first_ms).mean())
        assert share == pytest.approx(queue.share_within(8, limit_s), abs=0.012)
    # Little's law: turns under way are the rate times the mean time in the system.
    rate = answered.n / 19_800
    mean = sum(k * p for k, p in enumerate(queue.in_system(8)))
    assert rate * values.mean() / 1000 == pytest.approx(mean, rel=0.03)


def test_every_turn_is_the_script_moved_by_its_wait() -> None:
    kept: list[Timeline] = []
    engine = VirtualEngine(parse_script(SCRIPT), METRICS, keep=kept.append, prompts=("One", "Two"))
    level = engine.start(LoadPlan(3, Population(6), CALM, prompts=2), 4)
    turns = level.advance(120.0)
    assert len(kept) == len(turns) > 50
    for turn, timeline in zip(turns, kept, strict=True):
        for name in METRICS:
            expected = BY_NAME[name].of(timeline)
            exact = name in ("first_audio_due_ms", "late_ms", "stall_count", "audio_s")
            wanted = expected if exact else pytest.approx(expected, rel=1e-12)
            assert turn.values[name] == wanted
        place = timeline.load
        assert place is not None
        assert (place.level, place.caller, place.call) == (4, turn.caller, turn.call)
        assert place.due_ns == round(turn.due_s * 1e9)
    assert {timeline.prompt for timeline in kept} == {"One", "Two"}
    assert [timeline.turn for timeline in kept] == list(range(1, len(kept) + 1))
    again = decode_line(encode_line(kept[-1]), "line 1")
    assert again == kept[-1]


def test_one_caller_is_heard_out_before_the_next_turn() -> None:
    script = "sim:ttft=100ms,token=1ms,ttfb=100ms,speed=10x,words=40"
    reply = VirtualEngine(parse_script(script), METRICS).answered
    assert reply.heard_s > 5 > reply.length_s  # faster than real time: bytes end long before
    turns = held(script, LoadPlan(1, Population(1), CALM), 500)
    gaps = np.diff(turns.due_s)
    assert gaps.min() > reply.heard_s + 1.0


def test_what_is_open_at_the_end_is_unfinished_and_nothing_is_lost() -> None:
    plan = LoadPlan(1, TurnRate(20.0), CALM)
    engine = VirtualEngine(parse_script("sim:slots=1,service=10s"), METRICS)
    level = engine.start(plan, 1)
    done = list(level.advance(100.0))
    waiting = len(level.open_due_s())
    assert waiting > 1800
    left = level.drain(100.0, 5.0)
    unfinished = [turn for turn in left if turn.outcome == "unfinished"]
    assert len(unfinished) >= waiting - 2
    total = len(done) + len(left)
    arrived = sum(call.begins_s <= 105.0 for call in islice(plan.calls(), total + 1))
    assert total >= arrived - 1
    assert level.open_due_s() == []
    turns = columns_of_turns([*done, *left], METRICS)
    assert (turns.outcome == UNFINISHED).sum() == len(unfinished)


def test_scripted_failures_are_failed_turns() -> None:
    turns = held("sim:fail=4,ttft=10ms", LoadPlan(1, Population(4), CALM), 300)
    share = (turns.outcome == 1).mean()
    assert share == pytest.approx(0.25, abs=0.02)


def test_the_same_plan_gives_the_same_level() -> None:
    plan = LoadPlan(9, Population(5), CALM)
    one, other = held(SCRIPT, plan, 200), held(SCRIPT, plan, 200)
    assert one.due_s.tolist() == other.due_s.tolist()
    assert rule().metrics()


@pytest.mark.parametrize("per_s", [2.6, 3.0, 6.0])
@pytest.mark.parametrize("seed", range(4))
def test_an_open_load_above_the_slots_fails_though_no_turn_has_an_error(
    per_s: float, seed: int
) -> None:
    errors = LevelRule(load_gates(["errors.rate <= 1%"]), 30.0, 0.05)
    engine = VirtualEngine(parse_script(SCRIPT), METRICS)
    level = engine.start(LoadPlan(seed, TurnRate(per_s), CALM), 1)
    judged = hold(level, errors, Times(10.0, 240.0, 60.0)).judgement
    assert judged.saturated
    assert judged.standing is LevelStanding.FAILS
