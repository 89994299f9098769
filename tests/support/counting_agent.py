"""An agent that answers after a number of frames, whatever they are."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    AgentFailed,
    CallerTranscript,
    EmitAgentEvent,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
    SpeechStartSeen,
)

RATE, VOICE_RATE = 16_000, 24_000
FRAME = RATE // 50
STARTS_AT, ANSWERS_AT, CLEARS_AT, FAILS_AT = 5, 10, 20, 30
SOUND = (0.5 * np.sin(np.arange(VOICE_RATE // 10) * 2 * np.pi * 440 / VOICE_RATE)).astype(
    np.float32
)
ANSWER: tuple[AgentEvent, ...] = (
    SpeechEndSeen(),
    CallerTranscript("What time is it?", final=True),
    ReplyText("Noon."),
    AgentAudio(SOUND, VOICE_RATE),
    ReplyComplete(),
)


class CountingCall:
    """Answers after some frames, whatever they are, and keeps them."""

    def __init__(self, emit: EmitAgentEvent, fails_at: int | None) -> None:
        self.emit = emit
        self.fails_at = fails_at
        self.frames: list[np.ndarray[Any, np.dtype[np.int16]]] = []
        self.is_over = threading.Event()

    def hear(self, frame: np.ndarray[Any, np.dtype[np.int16]]) -> None:
        self.frames.append(frame)
        if len(self.frames) == STARTS_AT:
            self.emit(SpeechStartSeen())
        elif len(self.frames) == ANSWERS_AT:
            for event in ANSWER:
                self.emit(event)
        elif len(self.frames) == CLEARS_AT:
            self.emit(AgentCleared())
        elif len(self.frames) == self.fails_at:
            self.emit(AgentFailed("the model is gone"))

    def hang_up(self) -> None:
        self.is_over.set()


class ManualCall:
    """Transcribes how many frames were committed, and answers when it is asked to."""

    def __init__(self, emit: EmitAgentEvent) -> None:
        self.emit = emit
        self.frames = 0
        self.is_over = threading.Event()

    def hear(self, _frame: np.ndarray[Any, np.dtype[np.int16]]) -> None:
        self.frames += 1

    def commit(self) -> None:
        self.emit(SpeechEndSeen())
        self.emit(CallerTranscript(f"{self.frames} frames"))
        self.frames = 0

    def drop_sound(self) -> None:
        self.frames = 0

    def respond(self) -> None:
        self.emit(ReplyText("Noon."))
        self.emit(AgentAudio(SOUND, VOICE_RATE))

    def cancel(self) -> None:
        self.emit(AgentCleared())

    def hang_up(self) -> None:
        self.is_over.set()


class CountingAgent:
    """Takes calls."""

    sample_rate = RATE

    def __init__(self) -> None:
        self.calls: list[CountingCall] = []
        self.fails_at: int | None = None

    def open_call(self, emit: EmitAgentEvent) -> CountingCall:
        self.calls.append(CountingCall(emit, self.fails_at))
        return self.calls[-1]

    def describe(self) -> dict[str, object]:
        return {"agent": "counting"}

    def close(self) -> None:
        pass


class ManualAgent(CountingAgent):
    """Takes calls whose turns are committed by hand too."""

    def open_manual_call(self, emit: EmitAgentEvent) -> ManualCall:
        return ManualCall(emit)
