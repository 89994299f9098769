"""The scripted agent tells how late it was, and its lateness is no error of the instrument."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from voicebench.agents.agent_kinds import SimulatedAgent
from voicebench.agents.scripted_agent import AgentScript, ScriptedAgent
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    ReplyText,
    SpeechEndSeen,
)
from voicebench.calls.running.placing import place_call
from voicebench.calls.sealing import seal_call
from voicebench.checks.agent_acts import ActsOfCall, AgentAct
from voicebench.checks.call_transports import (
    AGENT,
    CALL_TRANSPORTS,
    CallTransport,
    call_errors_ms,
    plan_of,
)
from voicebench.checks.scripted_agent_server import answering_calls
from voicebench.checks.timed_agent import TimedAgent
from voicebench.errors import CannotMeasure
from voicebench.turn.timeline import Timeline

MS = 1_000_000
RATE = 16_000
SOUND = AgentAudio(np.zeros(1600, np.float32), RATE)
PCM = CallTransport("call, PCM socket", "pcm")


def test_an_answer_begins_with_its_first_sound_and_a_clear_is_an_act() -> None:
    acts = ActsOfCall()
    events: list[AgentEvent] = [SOUND, SpeechEndSeen(), ReplyText("Hi"), SOUND, SOUND]
    events += [AgentCleared(), SpeechEndSeen(), SOUND]
    found = [acts.act_of(event) for event in events]
    assert found == [None, None, None, "answer", None, "clear", None, "answer"]
    for at_ns, kind in enumerate(found):
        acts.add(kind, at_ns, at_ns + 1)
    assert [act.kind for act in acts.done] == ["answer", "clear", "answer"]
    assert acts.done[0] == AgentAct("answer", 3, 4)


def scripted(rounds: int) -> list[Timeline]:
    agent = SimulatedAgent(AGENT, RATE)
    call = place_call(agent, plan_of(agent, rounds), 1, agent.clock)
    return list(seal_call(call, 1, "measured").turns)


def on_time(rounds: int) -> list[AgentAct]:
    return [AgentAct("answer", 0, 0), AgentAct("clear", 0, 0), AgentAct("answer", 0, 0)] * rounds


def test_the_lateness_of_the_agent_is_taken_from_the_error() -> None:
    turns = scripted(2)
    assert call_errors_ms(turns, turns, PCM, on_time(2)) == pytest.approx([0] * 6)
    acts = on_time(2)
    acts[2] = AgentAct("answer", 10 * MS, 13 * MS)
    acts[4] = AgentAct("clear", 10 * MS, 17 * MS)
    # Recorded as scripted though the agent was late: so the instrument errs by as much.
    assert call_errors_ms(turns, turns, PCM, acts) == pytest.approx([0, -3, 0, 0, 0, -7])


def test_an_agent_that_did_something_else_than_was_recorded_is_no_measurement() -> None:
    turns = scripted(1)
    with pytest.raises(CannotMeasure, match="shows response_ms 2 times, and its agent did it 1"):
        call_errors_ms(turns, turns, PCM, on_time(1)[:2])


@pytest.mark.parametrize("transport", CALL_TRANSPORTS, ids=lambda one: one.name)
def test_twenty_turns_bring_enough_figures_for_a_p95(transport: CallTransport) -> None:
    rounds = transport.rounds_for(20)
    figures = rounds * (1 + len(transport.figures))  # two answers, and maybe a stop
    assert 20 <= figures <= 22


class LateTime:
    """A clock on which everything happens 7 ms after it is due."""

    def __init__(self) -> None:
        self.now = 0
        self.due: list[tuple[int, int, Callable[[], None]]] = []

    def now_ns(self) -> int:
        return self.now

    def at(self, at_ns: int, action: Callable[[], None]) -> None:
        self.due.append((at_ns, len(self.due), action))

    def run(self) -> list[int]:
        """Do all that is due, and return when each action was due."""
        done = []
        while self.due:
            done.append(self.step())
        return done

    def step(self) -> int:
        """Do what is due first, and return when that was."""
        self.due.sort()
        at_ns, _, action = self.due.pop(0)
        self.now = max(self.now, at_ns) + 7 * MS
        action()
        return at_ns


def test_no_delay_of_a_scripted_agent_adds_up_and_frames_may_come_together() -> None:
    script = AgentScript(wait_s=0.2, reply_s=0.03, voice_s=0.04, speech_s=0.1)
    clock, seen = LateTime(), list[AgentEvent]()
    call = ScriptedAgent(script, clock, RATE).open_call(seen.append)
    frame = np.full(RATE // 50, 3000, np.int16)
    for _ in range(2):
        call.hear(frame, 1000 * MS)  # read 40 ms after it came
    clock.now = 1040 * MS
    due_ms = [round(at_ns / MS) for at_ns in clock.run()]
    assert sum(isinstance(event, SpeechEndSeen) for event in seen) == 1
    # End of turn, text, sound, and the end of the sound: by the script, from the frame on.
    assert due_ms[-3:] == [1230, 1270, 1295]
    assert isinstance(seen[-2], AgentAudio)


def test_a_turn_does_not_end_while_frames_of_the_caller_wait_to_be_read() -> None:
    script = AgentScript(wait_s=0.2, reply_s=0, voice_s=0, speech_s=0.1)
    clock, seen = LateTime(), list[AgentEvent]()
    call = ScriptedAgent(script, clock, RATE).open_call(seen.append)
    voiced, silent = np.full(RATE // 50, 3000, np.int16), np.zeros(RATE // 50, np.int16)
    call.hear(voiced, 1000 * MS)
    # The agent stood still. Two voiced frames came meanwhile, and nobody has read them yet.
    clock.now = 1230 * MS
    clock.step()
    call.hear(voiced, 1020 * MS)
    call.hear(voiced, 1040 * MS)
    for at_ms in range(1060, 1260, 20):
        call.hear(silent, at_ms * MS)
    due_ms = [round(at_ns / MS) for at_ns in clock.run()]
    assert sum(isinstance(event, SpeechEndSeen) for event in seen) == 1
    assert {1240, 1265} <= set(due_ms)  # the sound, and its end


def test_a_caller_who_sends_no_more_is_answered_all_the_same() -> None:
    script = AgentScript(wait_s=0.2, reply_s=0, voice_s=0, speech_s=0.1)
    clock, seen = LateTime(), list[AgentEvent]()
    call = ScriptedAgent(script, clock, RATE).open_call(seen.append)
    call.hear(np.full(RATE // 50, 3000, np.int16), 1000 * MS)
    clock.run()
    assert any(isinstance(event, AgentAudio) for event in seen)
    assert 1500 * MS <= clock.now < 1600 * MS


def test_an_agent_hears_a_frame_when_it_came_and_not_when_it_was_read() -> None:
    from voicebench.agents.agent_kinds import agent_kind
    from voicebench.settings import load_settings

    taken: list[list[AgentAct]] = []
    with answering_calls(
        lambda: TimedAgent(AgentScript(wait_s=0.05, reply_s=0, voice_s=0, speech_s=0.1), RATE),
        "pcm",
        lambda acts: taken.append(list(acts)),
    ) as url:
        settings = load_settings(None, {"call.url": url, "call.speak_rate": RATE}).settings
        agent = agent_kind(url).open(url, settings, lambda _line: None)
        events: list[AgentEvent] = []
        call = agent.open_read_call(events.append)  # type: ignore[attr-defined]
        call.hear(np.full(RATE // 50, 3000, np.int16))
        while not any(isinstance(event, AgentAudio) for event in events):
            assert call.wait(5.0)
            assert call.read()
        call.hang_up()
    while not taken:
        pass
    (act,) = taken[0]
    assert act.kind == "answer"
    assert 0 <= act.sent_ns - act.due_ns < 1000 * MS
