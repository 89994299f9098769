"""One line of a caller in real time, and when the agent answered it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebench.agents.local.local_agent import LocalAgent
from voicebench.audio.pcm import first_audible_sample, to_int16
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentEvent,
    CallerTranscript,
    ReplyText,
    SpeechEndSeen,
)
from voicebench.engines.ears import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME = SAMPLE_RATE // 50
QUIET_S = 0.6
"""Silence before a line."""
PATIENCE_S = 2.5


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a line. Times in milliseconds from its last sample; None never came.

    ``cut_in`` says that the agent took an earlier moment for the end.
    """

    heard: str
    response_ms: float | None
    endpoint_ms: float | None
    transcript_ms: float | None
    reply_text_ms: float | None
    cut_in: bool


def call_with(agent: LocalAgent, line: NDArray[np.float32]) -> Answered:
    """Say ``line``, float32 ``(samples,)`` at 16 kHz, and listen until the agent answers."""
    events: list[tuple[float, AgentEvent]] = []
    lock = threading.Lock()

    def take(event: AgentEvent) -> None:
        with lock:
            events.append((time.perf_counter(), event))

    quiet = round(QUIET_S * SAMPLE_RATE)
    # The last sample is the last of its frame, so that it is sent when it was spoken.
    before = np.zeros(quiet - (quiet + line.size) % FRAME, np.float32)
    frames = to_int16(np.concatenate((before, line))).reshape(-1, FRAME)
    call = agent.open_call(take)
    begun = time.perf_counter()
    ended = begun
    silence = np.zeros(FRAME, np.int16)
    for number in range(len(frames) + round(PATIENCE_S * 50)):
        wait = begun + number / 50 - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        is_line = number < len(frames)
        call.hear(frames[number] if is_line else silence)
        if is_line:
            ended = time.perf_counter()
        with lock:
            has_answer = any(isinstance(event, AgentAudio) and at > ended for at, event in events)
        if not is_line and has_answer:
            break
    call.hang_up()
    return _answered(events, ended)


def _answered(events: Sequence[tuple[float, AgentEvent]], ended: float) -> Answered:
    def first(kind: type) -> float | None:
        found = (at for at, event in events if isinstance(event, kind) and at > ended)
        return next(((at - ended) * 1000 for at in found), None)

    texts = [event for at, event in events if isinstance(event, CallerTranscript) and event.final]
    response_ms = first(AgentAudio)
    if response_ms is not None:
        sound = next(e for at, e in events if isinstance(e, AgentAudio) and at > ended)
        silent = first_audible_sample(sound.pcm, sound.sample_rate) or 0
        response_ms += silent / sound.sample_rate * 1000
    return Answered(
        " ".join(event.text for event in texts),
        response_ms,
        first(SpeechEndSeen),
        first(CallerTranscript),
        first(ReplyText),
        any(isinstance(event, SpeechEndSeen) and at <= ended for at, event in events),
    )
