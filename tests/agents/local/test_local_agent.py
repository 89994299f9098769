"""The agent in process, whole: real ears, a real language model, a real voice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from voicebench.agents.agent_kinds import agent_kind
from voicebench.agents.local.local_agent import LocalAgent
from voicebench.audio.hearing import hear, unlike_speech
from voicebench.audio.pcm import peak
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    CallerTranscript,
    ReplyComplete,
    SpeechEndSeen,
)
from voicebench.engines.tts.synthesizer import load_synthesizer
from voicebench.events import AudioChunk
from voicebench.settings import load_settings

pytestmark = pytest.mark.models

RATE = 16_000
FRAME = RATE // 50
QUESTION, INTERRUPTION = "What can I cook with rice and eggs?", "Wait, please tell me about bread."


@pytest.fixture(scope="module")
def agent() -> Iterator[LocalAgent]:
    kind = agent_kind("local")
    settings = load_settings().settings
    kind.check("local", settings)
    opened = kind.open("local", settings, lambda _line: None)
    assert isinstance(opened, LocalAgent)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def lines() -> dict[str, np.ndarray[tuple[int], np.dtype[np.int16]]]:
    import soxr

    voice = load_synthesizer("hibari-heart", length_scale=0.9)

    def spoken(text: str) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        pcm = np.concatenate([e.pcm for e in voice.speak(text) if isinstance(e, AudioChunk)])
        heard = soxr.resample(pcm, 21_600, RATE)
        loud = np.flatnonzero(np.abs(heard) > 0.01)
        samples = (heard[loud[0] : loud[-1] + 1] * 32767).astype(np.int16)
        padded: np.ndarray[tuple[int], np.dtype[np.int16]] = np.pad(
            samples, (0, -samples.size % FRAME)
        )
        return padded

    return {text: spoken(text) for text in (QUESTION, INTERRUPTION)}


class Listened:
    """A call in real time, and the events of the agent."""

    def __init__(self, agent: LocalAgent) -> None:
        self.events: list[AgentEvent] = []
        self._lock = threading.Lock()
        self._call = agent.open_call(self._take)
        self._begun = time.perf_counter()
        self._sent = 0

    def _take(self, event: AgentEvent) -> None:
        with self._lock:
            self.events.append(event)

    def say(self, samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> None:
        for begin in range(0, samples.size, FRAME):
            wait = self._begun + self._sent / 50 - time.perf_counter()
            time.sleep(max(wait, 0))
            self._sent += 1
            self._call.hear(samples[begin : begin + FRAME])

    def until(self, kind: type, seconds: float = 15.0) -> None:
        silence = np.zeros(FRAME, np.int16)
        for _ in range(round(seconds * 50)):
            if any(isinstance(event, kind) for event in self.events):
                return
            self.say(silence)
        pytest.fail(f"no {kind.__name__} in {seconds} s")

    def forget_until(self, kind: type) -> None:
        with self._lock:
            kinds = [type(event) for event in self.events]
            self.events = self.events[kinds.index(kind) + 1 :]

    def hang_up(self) -> None:
        self._call.hang_up()
        count = len(self.events)
        self._call.hang_up()
        self._call.hear(np.zeros(FRAME, np.int16))
        assert len(self.events) == count


def test_a_spoken_question_is_answered_and_an_interruption_stops_the_answer(
    agent: LocalAgent, lines: dict[str, np.ndarray[tuple[int], np.dtype[np.int16]]]
) -> None:
    call = Listened(agent)
    call.say(np.zeros(RATE // 2, np.int16))
    call.say(lines[QUESTION])
    call.until(ReplyComplete)
    kinds = [type(event) for event in call.events]
    assert kinds.index(SpeechEndSeen) < kinds.index(AgentAudio)
    final = [e.text for e in call.events if isinstance(e, CallerTranscript) and e.final]
    assert "rice" in final[-1].lower()
    assert "eggs" in final[-1].lower()
    sound = [event for event in call.events if isinstance(event, AgentAudio)]
    rate = sound[0].sample_rate
    whole = np.concatenate([event.pcm for event in sound])
    assert unlike_speech(hear(whole, rate, 0), peak(whole)) is None

    call.hang_up()

    # Interrupted at once: the answer lasts for seconds.
    call = Listened(agent)
    call.say(np.zeros(RATE // 2, np.int16))
    call.say(lines[QUESTION])
    call.until(AgentAudio)
    call.say(lines[INTERRUPTION])
    call.until(AgentCleared)
    call.forget_until(AgentCleared)
    call.until(AgentAudio)
    final = [e.text for e in call.events if isinstance(e, CallerTranscript) and e.final]
    assert "bread" in final[-1].lower()
    call.hang_up()
    found = agent.describe()
    assert found["agent"] == "local"
