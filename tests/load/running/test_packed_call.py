"""A spoken call on its way to the sealing process is what it was when it arrives."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from spoken_levels import AGENT, call_plan

from voicebench.agents.agent_kinds import SimulatedAgent
from voicebench.audio.pcm import AudibleRule
from voicebench.calls.agent_events import AgentAudio
from voicebench.calls.heard import StampedAgentEvent
from voicebench.calls.recorded_call import FRAME_NS, RecordedCall, call_turns, tracks_of
from voicebench.calls.running.placing import place_call
from voicebench.load.running.packed_call import PackedCall
from voicebench.load.running.speaking_callers import in_phase
from voicebench.load.running.turn_sealer import lag_of_step

MS = 1_000_000


def recorded() -> RecordedCall:
    agent = SimulatedAgent(AGENT)
    return place_call(agent, call_plan(), 1, agent.clock)


def test_a_packed_call_comes_out_as_it_was() -> None:
    call = recorded()
    packed = pickle.loads(pickle.dumps(PackedCall.of(call)))
    again = packed.unpacked(tuple(call.sounds))
    assert again.sent_ns == call.sent_ns
    assert [(one.at_ns, one.lag_ns, type(one.event)) for one in again.events] == [
        (one.at_ns, one.lag_ns, type(one.event)) for one in call.events
    ]
    for ours, theirs in zip(again.events, call.events, strict=True):
        if isinstance(theirs.event, AgentAudio):
            assert isinstance(ours.event, AgentAudio)
            assert ours.event.sample_rate == theirs.event.sample_rate
            assert np.array_equal(ours.event.pcm, theirs.event.pcm)
    assert call_turns(again, tracks_of(again)) == call_turns(call, tracks_of(call))


def test_a_call_without_sound_can_be_packed() -> None:
    call = RecordedCall(1, call_plan().script, (), 16_000, (), (), ())
    assert PackedCall.of(call).unpacked(()).events == ()


@pytest.mark.parametrize("after_ns", [0, 400_000, 900_000])
def test_the_sound_of_the_answer_counts_although_the_onset_is_rounded_down(after_ns: int) -> None:
    call = recorded()
    turn = call_turns(call, tracks_of(call))[0]
    answered = next(one.start_ns for one in turn.agent)
    piece = AgentAudio(np.full(1600, 0.3, np.float32), 16_000)
    events = [StampedAgentEvent(answered + after_ns, piece, 9 * MS)]
    assert lag_of_step(turn, events, AudibleRule()) == 9 * MS
    later = [StampedAgentEvent(answered + 50 * MS, piece, 9 * MS)]
    assert lag_of_step(turn, later, AudibleRule()) is None


def test_callers_who_join_at_even_distances_do_not_send_at_the_same_moments() -> None:
    joined = [150 * MS * caller for caller in range(100)]  # two phases of a frame only
    starts = [in_phase(at_ns, caller) for caller, at_ns in enumerate(joined)]
    assert all(0 <= start - at_ns < FRAME_NS for start, at_ns in zip(starts, joined, strict=True))
    phases = np.sort(np.array(starts) % FRAME_NS)
    gaps = np.diff(np.append(phases, phases[0] + FRAME_NS))
    assert gaps.min() > FRAME_NS / 300
    assert gaps.max() < FRAME_NS / 40
    assert in_phase(10**12, 7) % FRAME_NS == in_phase(3 * 10**12 + 5, 7) % FRAME_NS
