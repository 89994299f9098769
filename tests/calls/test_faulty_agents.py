"""Agents that misbehave: each is named, and ends in a failed or a censored turn, never in a hang.

They run on a virtual clock, so a call of minutes takes no time.
"""

from __future__ import annotations

import heapq
from dataclasses import replace

import numpy as np
import pytest
from agent_changes import Change, closing_in_mid_word, mute, without_sound
from numpy.typing import NDArray

from voicebench.agents.scripted_agent import AgentScript, ScriptedAgent, ScriptedAgentCall
from voicebench.audio.pcm import from_int16
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentEvent,
    EmitAgentEvent,
)
from voicebench.calls.call_clock import VirtualCallClock
from voicebench.calls.call_script import parse_script
from voicebench.calls.conversation import Manners
from voicebench.calls.line_sound import line_sound
from voicebench.calls.running.placing import CallPlan, place_call
from voicebench.calls.sealing import seal_call
from voicebench.figures.columns import columns_of
from voicebench.figures.metrics import compute
from voicebench.judging.call_noise import find_call_noise
from voicebench.turn.timeline import Failure, Timeline

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

    def hear(self, frame: NDArray[np.int16], came_ns: int | None = None) -> None:
        now_ns = self._time.now_ns()
        sound = AgentAudio(0.5 * from_int16(frame), RATE)
        self._time.at(now_ns + 200_000_000, lambda: self._emit(sound))


class EchoingAgent(ScriptedAgent):
    """An agent that sends back what it hears."""

    def open_call(self, emit: EmitAgentEvent) -> ScriptedAgentCall:
        return EchoingCall(self._script, self._time, (self._voice, RATE), emit)


def called(
    change: Change | None = None,
    agent: type[ScriptedAgent] = ScriptedAgent,
    clock: VirtualCallClock | None = None,
    steps: str = STEPS,
    **delays: float,
) -> list[Timeline]:
    clock = clock or VirtualCallClock()
    script = AgentScript(**delays)
    changed = agent(script, clock) if change is None else ChangedAgent(script, clock, change)
    read = parse_script(steps, "script")
    sound = line_sound(synthetic_voice(round(0.8 * RATE), RATE), RATE, "line")
    plan = CallPlan(
        read, [sound] * len(read.steps), Manners(patience_ms=3000, longest_answer_ms=20_000)
    )
    turns = list(seal_call(place_call(changed, plan, 1, clock), 1, "measured").turns)
    assert len(turns) == len(read.steps)
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


class FreezingClock(VirtualCallClock):
    """The clock of a process that stands still for 0.9 s while the agent answers."""

    def wait_until(self, at_ns: int) -> None:
        froze_ns, for_ns = 1_800_000_000, 900_000_000
        if self._now_ns < froze_ns <= at_ns:
            self._now_ns = froze_ns + for_ns
            while self._due and self._due[0][0] <= self._now_ns:
                _, _, action = heapq.heappop(self._due)
                action()  # it happened meanwhile, and is seen only now
        super().wait_until(max(at_ns, self._now_ns))


def test_a_wait_that_is_our_own_is_not_the_agents_fault() -> None:
    line = '[[step]]\nsay = "one"\n'
    turns = called(
        clock=FreezingClock(),
        steps=line,
        wait_s=0.2,
        reply_s=0.0,
        voice_s=0.0,
        speech_s=0.8,
        speed_x=1.0,
    )
    assert not reasons(turns)
    assert compute(turns[0])["caller_late_ms"] == pytest.approx(900, abs=21)
    # One such turn among others, which are on time, invalidates the run too; failed turns count.
    call = turns[0].call
    assert call is not None
    on_time = replace(turns[0], call=replace(call, late_ns=1_000_000))
    late = replace(turns[0], failure=Failure("no answer", "timeout", "audio"))
    assert not find_call_noise(columns_of([on_time] * 30))
    (noise,) = find_call_noise(columns_of([*[on_time] * 29, late]))
    assert noise.invalidates
    assert "in 1 of 30 turns" in noise.finding
    assert not find_call_noise(columns_of([*[on_time] * 120, late]))  # less than 1 %


def test_an_echo_is_not_an_answer() -> None:
    turns = called(agent=EchoingAgent)
    assert "the caller's own voice" in reasons(turns)
    assert turns[0].failed
