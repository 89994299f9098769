"""Agents that misbehave: each is named, and ends in a failed or a censored turn, never in a hang.

They run on a virtual clock, so a call of minutes takes no time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from agent_changes import Change, mute, without_sound
from numpy.typing import NDArray

from voicebench.agents.scripted_agent import AgentScript, ScriptedAgent, ScriptedAgentCall
from voicebench.audio.pcm import from_int16
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentEvent,
    AgentFailed,
    EmitAgentEvent,
)
from voicebench.calls.call_clock import VirtualCallClock
from voicebench.calls.call_script import parse_script
from voicebench.calls.conversation import Manners
from voicebench.calls.line_sound import line_sound
from voicebench.calls.running.placing import CallPlan, place_call
from voicebench.calls.sealing import seal_call
from voicebench.figures.metrics import compute
from voicebench.turn.timeline import Timeline

RATE = 16_000
STEPS = """
[[step]]
say = "one"
limit = "3s"
[[step]]
say = "two"
at = "500ms"
[[step]]
say = "three"
limit = "3s"
"""


class ChangedAgent(ScriptedAgent):
    """A scripted agent whose events go through ``change``."""

    def __init__(self, script: AgentScript, clock: VirtualCallClock, change: Change) -> None:
        super().__init__(script, clock)
        self._change = change

    def open_call(self, emit: EmitAgentEvent) -> ScriptedAgentCall:
        return super().open_call(lambda event: self._change(event, emit))


class EchoingCall(ScriptedAgentCall):
    """Sends back what it hears, 200 ms later."""

    def hear(self, frame: NDArray[np.int16]) -> None:
        now_ns = self._time.now_ns()
        sound = AgentAudio(0.5 * from_int16(frame), RATE)
        self._time.at(now_ns + 200_000_000, lambda: self._emit(sound))


class EchoingAgent(ScriptedAgent):
    """An agent that sends back what it hears."""

    def open_call(self, emit: EmitAgentEvent) -> ScriptedAgentCall:
        return EchoingCall(self._script, self._time, (self._voice, RATE), emit)


def called(
    change: Change | None = None, agent: type[ScriptedAgent] = ScriptedAgent, **delays: float
) -> list[Timeline]:
    clock = VirtualCallClock()
    script = AgentScript(**delays)
    changed = agent(script, clock) if change is None else ChangedAgent(script, clock, change)
    read = parse_script(STEPS, "script")
    sound = line_sound(synthetic_voice(round(0.8 * RATE), RATE), RATE, "line")
    plan = CallPlan(read, [sound] * 3, Manners(patience_ms=3000, longest_answer_ms=20_000))
    turns = list(seal_call(place_call(changed, plan, 1, clock), 1, "measured").turns)
    assert len(turns) == 3
    assert clock.now_ns() < 120e9
    return turns


def reasons(turns: list[Timeline]) -> str:
    return "\n".join(turn.failure.reason for turn in turns if turn.failure is not None)


def silent(event: AgentEvent, emit: EmitAgentEvent) -> None:
    emit(replace(event, pcm=0 * event.pcm) if isinstance(event, AgentAudio) else event)


def noise(event: AgentEvent, emit: EmitAgentEvent) -> None:
    if isinstance(event, AgentAudio):
        pcm = 0.2 * np.random.default_rng(1).standard_normal(event.pcm.size).astype(np.float32)
        event = replace(event, pcm=pcm)
    emit(event)


def other_rate_later() -> Change:
    pieces = 0

    def change(event: AgentEvent, emit: EmitAgentEvent) -> None:
        nonlocal pieces
        if isinstance(event, AgentAudio):
            pieces += 1
            if pieces > 3:
                event = replace(event, sample_rate=8000)
        emit(event)

    return change


def closing_in_mid_word() -> Change:
    pieces = 0

    def change(event: AgentEvent, emit: EmitAgentEvent) -> None:
        nonlocal pieces
        pieces += isinstance(event, AgentAudio)
        if pieces < 4:
            emit(event)
        elif isinstance(event, AgentAudio):
            emit(AgentFailed("ws://agent closed the connection early"))

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (without_sound, "answers in text only"),
        (silent, "sound is silent"),
        (mute, "no answer for 3.0 s"),
        (noise, "noise, not speech"),
        (other_rate_later(), "8000 Hz after sound at 16000 Hz"),
        (closing_in_mid_word(), "closed the connection early"),
    ],
    ids=["text only", "silence", "nothing", "noise", "another rate", "closes in mid-word"],
)
def test_what_is_wrong_is_named_and_no_turn_passes(change: Change, named: str) -> None:
    turns = called(change)
    assert named in reasons(turns)
    assert turns[0].failed
    assert all(turn.failed or (turn.call and turn.call.skipped) for turn in turns)


def test_an_agent_that_answers_for_ever_is_hung_up_on() -> None:
    turns = called(speech_s=500.0, ignore_s=600.0, speed_x=1.0)
    assert "talks on after 20 s" in reasons(turns)
    assert turns[1].failed
    assert turns[2].failed
    # The interruption was never confirmed, and its end was not seen either.
    assert compute(turns[1])["stop_ms"] is None


def test_an_agent_that_sends_without_end_is_stopped() -> None:
    assert "s of sound ahead" in reasons(called(speech_s=500.0, speed_x=100.0))


def test_sound_faster_than_real_time_is_played_in_real_time() -> None:
    slow, fast = called(speed_x=1.0), called(speed_x=50.0)
    for name in ("response_ms", "overlap_ms"):
        one, other = compute(slow[0])[name], compute(fast[0])[name]
        assert one == pytest.approx(other, abs=1.1)
    assert not reasons(fast)


def test_sound_slower_than_real_time_is_named() -> None:
    assert "slower than real time" in reasons(called(speed_x=0.6, ignore_s=600.0))


def test_an_echo_is_not_an_answer() -> None:
    turns = called(agent=EchoingAgent)
    assert "the caller's own voice" in reasons(turns)
    assert turns[0].failed
