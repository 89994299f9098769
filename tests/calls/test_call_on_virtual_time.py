"""Whole calls on a virtual clock: the recorded figures equal the script of the agent."""

from __future__ import annotations

import numpy as np
import pytest

from voicebench.agents.scripted_agent import AgentScript, ScriptedAgent
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.call_clock import VirtualCallClock
from voicebench.calls.call_script import CallScript, CallStep, parse_script
from voicebench.calls.line_sound import LineSound, line_sound
from voicebench.calls.noises import noise_named
from voicebench.calls.running.placing import CallPlan, place_call
from voicebench.calls.sealing import seal_call
from voicebench.figures.metrics import compute
from voicebench.turn.timeline import Timeline

RATE = 16_000
PIECE_S = 0.8


def sound_of(step: CallStep) -> LineSound:
    """Return 0.8 s of a synthetic voice for each text, and the pauses between them."""
    if step.noise is not None:
        return line_sound(noise_named(step.noise, RATE), RATE, "noise")
    parts = [
        np.zeros(round(piece * RATE / 1000), dtype=np.float32)
        if isinstance(piece, float)
        else synthetic_voice(round(PIECE_S * RATE), RATE)
        for piece in step.pieces
    ]
    return line_sound(np.concatenate(parts), RATE, "line")


def called(steps: str, **delays: float) -> list[Timeline]:
    clock = VirtualCallClock()
    script: CallScript = parse_script(steps, "script")
    agent = ScriptedAgent(AgentScript(**delays), clock)
    plan = CallPlan(script, [sound_of(step) for step in script.steps])
    return list(seal_call(place_call(agent, plan, 1, clock), 1, "measured").turns)


def shown(turn: Timeline) -> dict[str, float]:
    return {name: value for name, value in compute(turn).items() if value is not None}


TWO_LINES = '[[step]]\nsay = "one"\n[[step]]\nsay = "two"\n'


def test_the_response_is_the_sum_of_the_scripted_delays() -> None:
    turns = called(TWO_LINES, wait_s=0.5, transcript_s=0.08, reply_s=0.12, voice_s=0.0905)
    assert [turn.failure for turn in turns] == [None, None]
    for turn in turns:
        found = shown(turn)
        assert found["endpoint_ms"] == pytest.approx(500, abs=1e-6)
        assert found["transcript_ms"] == pytest.approx(580, abs=1e-6)
        assert found["reply_text_ms"] == pytest.approx(700, abs=1e-6)
        # The grid of the audible rule is 1 ms.
        assert found["response_ms"] == pytest.approx(790.5, abs=1.1)
        assert found["voice_ms"] == pytest.approx(90.5, abs=1.1)
        assert found["call_unattributed_ms"] == pytest.approx(0, abs=1e-6)
        assert (found["missed"], found["cut_in"], found["talk_over_ms"]) == (0, 0, 0)
        assert found["caller_late_ms"] == 0
        assert "stop_ms" not in found
        assert "false_stop" not in found


def test_an_interruption_stops_the_agent_at_the_scripted_time() -> None:
    steps = TWO_LINES.replace('say = "two"', 'say = "two"\nat = "700ms"')
    _, turn = called(steps, stop_s=0.333)
    found = shown(turn)
    assert found["stop_ms"] == pytest.approx(333, abs=1.1)
    assert found["stopped"] == 1
    assert found["response_ms"] == pytest.approx(700, abs=1.1)
    assert found["talk_over_ms"] == pytest.approx(333, abs=21)
    assert found["cut_in"] == 0


def test_an_agent_that_talks_on_is_censored_and_has_no_stop_time() -> None:
    steps = TWO_LINES.replace('say = "two"', 'say = "two"\nat = "700ms"')
    _, turn = called(steps, ignore_s=60.0)
    found = shown(turn)
    assert found["stopped"] == 0
    assert "stop_ms" not in found
    assert found["missed"] == 1
    assert turn.failure is not None
    assert "no answer" in turn.failure.reason


def test_a_cough_does_not_stop_it_unless_it_stops_at_everything() -> None:
    steps = '[[step]]\nsay = "one"\n[[step]]\nnoise = "cough"\nat = "600ms"\n'
    assert shown(called(steps)[1])["false_stop"] == 0
    assert shown(called(steps, ignore_s=0.05, stop_s=0.1)[1])["false_stop"] == 1


def test_a_pause_inside_a_line_longer_than_the_wait_is_a_cut_in() -> None:
    steps = '[[step]]\nsay = "one [pause 900ms] two"\n'
    (turn,) = called(steps, wait_s=0.3, reply_s=0.1, voice_s=0.1)
    found = shown(turn)
    assert found["cut_in"] == 1
    # 900 ms of pause and 800 ms of words follow the first words; it answers 500 ms after them.
    assert found["response_ms"] == pytest.approx(500 - 1700, abs=2)
    assert found["talk_over_ms"] > 300
    (patient,) = called(steps, wait_s=1.0)
    assert shown(patient)["cut_in"] == 0


def test_an_agent_that_never_answers_is_missed() -> None:
    (turn,) = called('[[step]]\nsay = "one"\nlimit = "2s"\n', wait_s=500)
    found = shown(turn)
    assert found["missed"] == 1
    assert "response_ms" not in found
    assert turn.failure is not None
    assert turn.failure.fault == "timeout"


def test_a_step_that_finds_no_answer_to_interrupt_is_skipped_and_shows_nothing() -> None:
    steps = TWO_LINES.replace('say = "two"', 'say = "two"\nat = "5s"')
    _, turn = called(steps, speech_s=1.0)
    assert turn.call is not None
    assert "ended after" in turn.call.skipped
    assert turn.failure is None
    assert shown(turn) == {}
