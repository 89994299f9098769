"""Agents that misbehave, behind every protocol: what they do comes through it and is named.

Each message is made and read by the real dialects, and each packet by the real codec. The clock is
virtual, so a call of minutes takes no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import pytest
from agent_changes import Change, closing_in_mid_word, mute, without_sound
from numpy.typing import NDArray

from voicebench.agents import AgentCall
from voicebench.agents.livekit_words import LISTENING, SPEAKING, THINKING, RoomWords
from voicebench.agents.opus_sound import MOST_AHEAD_MS, OpusEncoder, OpusSound
from voicebench.agents.opus_sound import RATE as OPUS_RATE
from voicebench.agents.pcm_dialect import PcmDialect
from voicebench.agents.pipecat_dialect import PipecatDialect
from voicebench.agents.realtime_dialect import RealtimeDialect
from voicebench.agents.rtvi import RtviEvents
from voicebench.agents.scripted_agent import AgentScript, ScriptedAgent, ScriptedAgentCall
from voicebench.agents.telephony_dialect import TelephonyDialect
from voicebench.agents.wire_dialect import Answered, WireDialect
from voicebench.audio.pcm import from_int16, to_int16
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentEvent,
    AgentFailed,
    CallerTranscript,
    EmitAgentEvent,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
)
from voicebench.calls.call_clock import VirtualCallClock
from voicebench.calls.call_script import parse_script
from voicebench.calls.conversation import Manners
from voicebench.calls.line_sound import line_sound
from voicebench.calls.running.placing import CallPlan, place_call
from voicebench.calls.sealing import seal_call
from voicebench.checks.agent_wires import AGENT_WIRES, rtvi_message
from voicebench.checks.scripted_livekit_room import text_packets
from voicebench.settings import load_settings
from voicebench.turn.timeline import Timeline

STEPS = '[[step]]\nsay = "one"\nlimit = "3s"\n'
DIALECTS: dict[str, Callable[[], WireDialect]] = {
    "pcm": lambda: PcmDialect(load_settings(None, {"call.speak_rate": 16_000}).settings.call),
    "realtime": RealtimeDialect,
    "telephony": TelephonyDialect,
    "pipecat": PipecatDialect,
}
REAL_TIME = ("webrtc", "livekit", "pipecat")
"""Protocols whose sound is sent as fast as it is heard."""


class Passage(Protocol):
    """What a protocol makes of both sides."""

    hear_rate: int
    speak_rate: int

    def to_agent(self, frame: NDArray[np.int16]) -> Iterable[NDArray[np.int16]]: ...

    def to_caller(self, event: AgentEvent) -> Iterable[AgentEvent]: ...


class WirePassage:
    """A WebSocket's messages, without the socket."""

    def __init__(self, api: str) -> None:
        self._dialect, self._wire = DIALECTS[api](), AGENT_WIRES[api]()
        self.hear_rate, self.speak_rate = self._dialect.hear_rate, self._wire.rate

    def to_agent(self, frame: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
        for message in self._dialect.frame(frame):
            heard = self._wire.heard(message)
            if heard is not None:
                yield heard

    def to_caller(self, event: AgentEvent) -> Iterator[AgentEvent]:
        if isinstance(event, AgentFailed):  # the connection breaks
            yield event
        for message in self._wire.messages(event):
            for taken in self._dialect.take(message):
                if not isinstance(taken, Answered):
                    yield taken


class Words(Protocol):
    """What goes through the data channel."""

    def told(self, event: AgentEvent) -> Iterable[AgentEvent]: ...


class RtviWords:
    """SmallWebRTC's messages."""

    def __init__(self) -> None:
        self._rtvi = RtviEvents()

    def told(self, event: AgentEvent) -> Iterator[AgentEvent]:
        if (said := rtvi_message(event)) is not None:
            yield from self._rtvi.take(said)


class LiveKitWords:
    """The packets and the states of an agent in a room of LiveKit."""

    def __init__(self) -> None:
        self._words = RoomWords("caller")
        self._count = 0

    def told(self, event: AgentEvent) -> Iterator[AgentEvent]:
        match event:
            case CallerTranscript(text, _):
                yield from self._read("caller", [text])
            case ReplyText(text):
                yield from self._read("agent", text.partition(" "))
            case SpeechEndSeen():
                yield from self._words.take_state(THINKING)
                yield from self._words.take_state(SPEAKING)
            case ReplyComplete():
                yield from self._words.take_state(LISTENING)

    def _read(self, speaker: str, pieces: Sequence[str]) -> Iterator[AgentEvent]:
        self._count += 1
        for packet in text_packets(self._count, speaker, pieces):
            yield from self._words.take_packet(packet)


class OpusPassage:
    """WebRTC's packets, and its data channel, without the network."""

    hear_rate = speak_rate = OPUS_RATE

    def __init__(self, clock: VirtualCallClock, words: Words) -> None:
        self._clock, self._words = clock, words
        self._sent, self._heard = OpusEncoder(), OpusSound()
        self._spoken, self._got = OpusEncoder(), OpusSound()
        self._count = 0

    def to_agent(self, frame: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
        for packet in self._sent.packets(frame):
            yield to_int16(self._heard.take(self._next(), bytes(packet), self._now_ms()))

    def to_caller(self, event: AgentEvent) -> Iterator[AgentEvent]:
        if isinstance(event, AgentFailed):
            yield event
        elif isinstance(event, AgentAudio):
            pcm = to_int16(event.pcm)
            for first in range(0, pcm.size - 959, 960):
                for packet in self._spoken.packets(pcm[first : first + 960]):
                    try:
                        sound = self._got.take(self._next(), bytes(packet), self._now_ms())
                    except ValueError as error:
                        yield AgentFailed(f"http://agent {error}")
                        return
                    if sound.size:
                        yield AgentAudio(sound, OPUS_RATE)
        else:
            yield from self._words.told(event)

    def _next(self) -> int:
        self._count += 1
        return self._count % 65_536

    def _now_ms(self) -> float:
        return self._clock.now_ns() / 1e6


CHANNELS: dict[str, Callable[[], Words]] = {"webrtc": RtviWords, "livekit": LiveKitWords}


class EchoingCall(ScriptedAgentCall):
    """Sends back what it hears, 200 ms later."""

    def hear(self, frame: NDArray[np.int16], came_ns: int | None = None) -> None:
        sound = AgentAudio(0.5 * from_int16(frame), self._rate)
        self._time.at(self._time.now_ns() + 200_000_000, lambda: self._emit(sound))


class PassedAgent(ScriptedAgent):
    """A scripted agent behind a passage, whose events go through ``change`` first."""

    def __init__(
        self,
        script: AgentScript,
        clock: VirtualCallClock,
        passage: Passage,
        change: Change,
        *,
        echoes: bool,
    ) -> None:
        super().__init__(script, clock, passage.speak_rate)
        self.sample_rate = passage.hear_rate
        self._passage, self._change, self._echoes = passage, change, echoes

    def open_call(self, emit: EmitAgentEvent) -> AgentCall:  # type: ignore[override]
        def pass_on(event: AgentEvent) -> None:
            for passed in self._passage.to_caller(event):
                emit(passed)

        kind = EchoingCall if self._echoes else ScriptedAgentCall
        voice = (self._voice, self._rate)
        inner = kind(self._script, self._time, voice, lambda event: self._change(event, pass_on))
        return HearingThrough(inner, self._passage)


class HearingThrough:
    """The agent's ear behind the passage."""

    def __init__(self, inner: ScriptedAgentCall, passage: Passage) -> None:
        self._inner, self._passage = inner, passage

    def hear(self, frame: NDArray[np.int16]) -> None:
        for heard in self._passage.to_agent(frame):
            self._inner.hear(heard)

    def hang_up(self) -> None:
        self._inner.hang_up()


def called(api: str, change: Change, *, echoes: bool = False, **delays: float) -> Timeline:
    clock = VirtualCallClock()
    passage: Passage = OpusPassage(clock, CHANNELS[api]()) if api in CHANNELS else WirePassage(api)
    delays.setdefault("speed_x", 1.0 if api in REAL_TIME else 4.0)
    agent = PassedAgent(
        AgentScript(**({"speech_s": 2.0} | delays)), clock, passage, change, echoes=echoes
    )
    rate = agent.sample_rate
    sound = line_sound(synthetic_voice(round(0.8 * rate), rate), rate, "line")
    plan = CallPlan(
        parse_script(STEPS, "script"), [sound], Manners(patience_ms=3000, longest_answer_ms=5000)
    )
    (turn,) = seal_call(place_call(agent, plan, 1, clock), 1, "measured").turns
    assert clock.now_ns() < 60e9
    return turn


def unchanged(event: AgentEvent, emit: EmitAgentEvent) -> None:
    emit(event)


def other_speed(factor: float) -> Change:
    """Sound as it is when the agent takes its rate for another one."""

    def change(event: AgentEvent, emit: EmitAgentEvent) -> None:
        if isinstance(event, AgentAudio):
            places = np.arange(0, event.pcm.size - 1, factor)
            pcm = np.interp(places, np.arange(event.pcm.size), event.pcm).astype(np.float32)
            event = replace(event, pcm=pcm)
        emit(event)

    return change


EVERY = (*DIALECTS, *CHANNELS)


def reason(turn: Timeline) -> str:
    return "" if turn.failure is None else turn.failure.reason


@pytest.mark.parametrize("api", EVERY)
def test_an_agent_that_behaves_is_measured(api: str) -> None:
    assert reason(called(api, unchanged)) == ""


@pytest.mark.parametrize("api", EVERY)
def test_text_only_is_named(api: str) -> None:
    shown = "no answer for 3.0 s" if api == "telephony" else "answers in text only"
    assert shown in reason(called(api, without_sound))


@pytest.mark.parametrize("api", EVERY)
def test_no_answer_is_named(api: str) -> None:
    assert "no answer for 3.0 s" in reason(called(api, mute))


@pytest.mark.parametrize("api", EVERY)
def test_an_answer_without_end_is_cut_and_named(api: str) -> None:
    turn = called(api, unchanged, speech_s=8.0, speed_x=1.0)
    assert "5 s" in reason(turn)


@pytest.mark.parametrize("api", EVERY)
def test_sound_slower_than_real_time_is_named(api: str) -> None:
    assert "slower than real time" in reason(called(api, unchanged, speed_x=0.5))


@pytest.mark.parametrize("api", EVERY)
def test_sound_faster_than_real_time_is_named_where_it_cannot_be(api: str) -> None:
    turn = called(api, unchanged, speech_s=4.0, speed_x=8.0)
    if api in CHANNELS:
        assert f"faster than real time: {MOST_AHEAD_MS / 1000:g} s ahead" in reason(turn)
    else:
        assert reason(turn) == ""


@pytest.mark.parametrize("api", EVERY)
def test_sound_of_another_rate_comes_too_slowly(api: str) -> None:
    # The sound of half its time: what an agent sends that takes its rate for twice what it is.
    turn = called(api, other_speed(2.0), speed_x=1.0)
    assert "is its sample rate really" in reason(turn)


@pytest.mark.parametrize("api", EVERY)
def test_an_end_in_mid_word_is_named(api: str) -> None:
    assert "closed the connection early" in reason(called(api, closing_in_mid_word()))


@pytest.mark.parametrize("api", EVERY)
def test_an_echo_is_named(api: str) -> None:
    assert "the caller's own voice" in reason(called(api, unchanged, echoes=True))
