"""Levels whose callers interrupt, on the virtual clock: every figure is the script's."""

from __future__ import annotations

from itertools import pairwise

import pytest
from loaded_turns import rule

from voicebench.load.call_plan import Behaviour, LoadPlan, Population
from voicebench.load.distributions import DurationDistribution, read_count, read_duration
from voicebench.load.holding import HeldFor, Times, hold
from voicebench.load.interruption import Interruption
from voicebench.load.level_document import level_figures
from voicebench.load.level_rule import LevelStanding
from voicebench.load.loaded_turn import ANSWERED, CUT
from voicebench.load.running.virtual_engine import VirtualEngine
from voicebench.results.codec import decode_line, encode_line
from voicebench.targets.script import parse_script
from voicebench.turn.timeline import Timeline

# The voice is as fast as it is heard: a piece of 0.1 s comes every 0.1 s, for 4.8 s.
PACED = "sim:ttft=100ms,token=1ms,ttfb=50ms,speed=1x,words=16"


def level(
    script: str, interruption: Interruption | None, *gates: str, callers: int = 20
) -> tuple[HeldFor, list[Timeline]]:
    """Hold a level; return it, and the timelines of its turns."""
    kept: list[Timeline] = []
    judged = rule(*gates)
    engine = VirtualEngine(parse_script(script), judged.metrics(), keep=kept.append)
    calls = Behaviour(
        read_duration("exp:2s", "think"),
        read_duration("1s", "speech"),
        read_count("geometric:8", "turns"),
        interruption,
    )
    plan = LoadPlan(5, Population(callers), calls)
    held = hold(engine.start(plan, 1), judged, Times(10.0, 300.0, 30.0, whole=True))
    return held, kept


def fixed(share: float, after_s: float) -> Interruption:
    return Interruption(share, DurationDistribution("fixed", after_s))


def test_a_cut_stops_the_sound_after_the_scripts_time() -> None:
    script = PACED.replace("words=16", "words=3")  # one text chunk, 0.9 s of sound
    held, kept = level(script + ",stop=240ms", fixed(0.5, 0.43))
    turns = held.measured
    cut = turns.outcome == CUT
    assert 0.4 < cut.mean() < 0.6
    assert set(turns.outcome.tolist()) == {ANSWERED, CUT}
    # First audio, then a piece each 100 ms: the last one before 430 + 240 comes at 600.
    assert turns.values["stop_ms"][cut] == pytest.approx(170.0)
    # 0.43 s of the 0.7 s that came were heard.
    assert turns.values["wasted_audio_s"][cut] == pytest.approx(0.27)
    whole = turns.outcome == ANSWERED
    assert turns.values["audio_s"][whole] == pytest.approx(0.9)
    assert turns.values["audio_s"][cut] == pytest.approx(0.7)
    for turn in kept:
        assert decode_line(encode_line(turn), "line 1") == turn


def test_the_turn_that_interrupts_is_due_when_its_speech_has_ended() -> None:
    _, kept = level(PACED, fixed(0.5, 1.0), callers=1)
    interrupting = 0
    ordered = sorted(kept, key=lambda turn: turn.load.due_ns if turn.load else 0)
    for before, turn in pairwise(ordered):
        place, earlier = turn.load, before.load
        assert place is not None
        assert earlier is not None
        if not place.interrupts:
            continue
        interrupting += 1
        assert before.cut is not None
        assert place.due_ns == earlier.due_ns + before.cut.at_ns + 1_000_000_000
    assert interrupting > 10


def test_a_reply_that_has_come_is_not_stopped_and_counts_as_answered() -> None:
    # 4.8 s of sound come within 0.1 s of first audio.
    held, _ = level(PACED.replace("speed=1x", "speed=50x"), fixed(0.5, 2.0))
    turns = held.measured
    assert set(turns.outcome.tolist()) == {ANSWERED}
    wasted = turns.values["wasted_audio_s"][turns.to_be_cut]
    assert wasted == pytest.approx(2.8)
    interruptions = level_figures(rule(), held)["interruptions"]
    assert isinstance(interruptions, dict)
    assert interruptions["complete before"] == interruptions["planned"] > 0
    assert interruptions["stopped"] == interruptions["cut"] == 0


def test_a_reply_that_is_heard_out_before_is_a_full_turn() -> None:
    held, kept = level(PACED, fixed(1.0, 6.0))
    assert set(held.measured.outcome.tolist()) == {ANSWERED}
    assert all(turn.cut is None for turn in kept)


def test_no_level_holds_on_turns_that_were_cut_off() -> None:
    # Every turn stalls in its third second; every caller interrupts in the second.
    stalling = PACED.replace("speed=1x", "speed=0.8x")
    held, _ = level(stalling, fixed(1.0, 0.2), "stall_count.within(0) >= 95%")
    assert held.judgement.standing is LevelStanding.UNDECIDED
    assert held.judgement.gates[0].bounds.n == 0
    assert held.judgement.rates["good.rate"] is None
    held, _ = level(stalling, fixed(0.5, 0.2), "stall_count.within(0) >= 95%")
    assert held.judgement.standing is LevelStanding.FAILS


def test_first_audio_is_judged_with_the_turns_that_are_interrupted_later() -> None:
    held, _ = level(PACED, fixed(1.0, 0.5), "first_audio_due.p95 < 300ms")
    assert held.judgement.standing is LevelStanding.HOLDS
    slow = PACED.replace("ttft=100ms", "ttft=400ms")
    held, _ = level(slow, fixed(1.0, 0.5), "first_audio_due.p95 < 300ms")
    assert held.judgement.standing is LevelStanding.FAILS


def test_stopping_is_judged_by_the_turns_that_were_cut() -> None:
    held, _ = level(PACED + ",stop=900ms", fixed(0.5, 1.0), "stop.p95 < 500ms")
    assert held.judgement.standing is LevelStanding.FAILS
    held, _ = level(PACED + ",stop=200ms", fixed(0.5, 1.0), "stop.p95 < 500ms")
    assert held.judgement.standing is LevelStanding.HOLDS
    assert held.judgement.gates[0].bounds.n == int((held.measured.outcome == CUT).sum())


def test_the_first_audio_of_interrupting_turns_has_a_gate() -> None:
    gate = "interrupting_first_audio.p95 < 300ms"
    held, _ = level(PACED, fixed(0.5, 1.0), gate)
    assert held.judgement.standing is LevelStanding.HOLDS
    assert 0 < held.judgement.gates[0].bounds.n == int(held.measured.interrupts.sum())


def test_a_level_without_interruptions_says_nothing_of_them() -> None:
    held, _ = level(PACED, None)
    assert level_figures(rule(), held)["interruptions"] is None
