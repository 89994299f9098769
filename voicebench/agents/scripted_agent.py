"""A scripted agent: every delay of its answers is written down.

It tests the instrument. ``sim:wait=500ms,reply=120ms,voice=90ms,stop=250ms`` says when the turn is
taken as over after the caller's last voiced frame, when the reply's text and its sound follow, and
when an interruption takes back what was not played. It hears loudness only: a frame is voiced if
one of its halves is louder than 0.01 of full scale. A voice shorter than ``ignore`` does not
interrupt it. Its speech is synthetic, and looks like speech.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    CallerTranscript,
    EmitAgentEvent,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
)
from voicebench.calls.call_clock import AgentTime
from voicebench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIMULATED = "sim:"
SAMPLE_RATE = 16_000
PIECE_S = 0.1
VOICED_RMS = 0.01
BURST_GAP_NS = 60_000_000
"""Voiced frames less than this apart belong to one burst."""
FRAME_GAP_NS = 25_000_000
"""A frame is due so long after the one before it, at most."""
LOOK_AGAIN_NS = 10_000_000
LONGEST_GAP_NS = 500_000_000
"""A caller who sends nothing for longer is silent."""
TRANSCRIPT = "simulated words"
REPLY = "This is a simulated answer."
_PART = re.compile(r"^(?P<key>[a-z]+)=(?P<number>[0-9]+(\.[0-9]+)?)(?P<unit>ms|s|x)$")


@dataclass(frozen=True, slots=True)
class AgentScript:
    """The delays of a scripted agent, in seconds."""

    wait_s: float = 0.5
    """Last voiced frame to the end of turn."""
    transcript_s: float | None = None
    """End of turn to the transcript; None: it shows none."""
    reply_s: float = 0.1
    """End of turn, or the transcript, to the text of the reply."""
    voice_s: float = 0.1
    """Text of the reply to the first sound."""
    stop_s: float = 0.25
    """First voiced frame of an interruption to the clear, or later: see ``ignore``."""
    ignore_s: float = 0.2
    """A voice shorter than this does not interrupt."""
    speech_s: float = 4.0
    """Length of each answer."""
    speed_x: float = 4.0
    """How fast its sound is sent, against real time; 1 and less is played without a buffer."""


def parse_agent_script(text: str) -> AgentScript:
    """Read ``sim:wait=500ms,…``. Raises `UsageError` naming what is unknown and allowed."""
    keys = {field.name.rpartition("_")[0]: field.name for field in fields(AgentScript)}
    values: dict[str, float] = {}
    for part in filter(None, text.removeprefix(SIMULATED).split(",")):
        match = _PART.match(part.strip())
        if match is None or match["key"] not in keys:
            raise UsageError(
                f"simulated agent {text!r:.80} has an unknown part {part!r:.40}",
                f"use {', '.join(f'{key}=…' for key in keys)}, with ms, s or x",
            )
        name = keys[match["key"]]
        if (match["unit"] == "x") != name.endswith("_x"):
            raise UsageError(
                f"simulated agent {text!r:.80}: {part!r:.40} has another unit",
                "write times with ms or s, and speed with x",
            )
        number = float(match["number"]) * (0.001 if match["unit"] == "ms" else 1)
        if not number <= 600 or (name == "speed_x" and not number >= 0.05):
            raise UsageError(f"simulated agent {text!r:.80}: {part!r:.40} is out of range")
        values[name] = number
    return AgentScript(**values)


class ScriptedAgent:
    """Answers by its script, on the clock ``time``."""

    sample_rate = SAMPLE_RATE

    def __init__(self, script: AgentScript, time: AgentTime, sound_rate: int = SAMPLE_RATE) -> None:
        """``sound_rate`` is the rate of its sound in Hz."""
        self._script = script
        self._time = time
        self._rate = sound_rate
        # Played faster, so that it is not the caller's synthetic voice.
        self._voice = synthetic_voice(round(script.speech_s * sound_rate), round(0.8 * sound_rate))

    def open_call(self, emit: EmitAgentEvent) -> ScriptedAgentCall:
        """Return a call."""
        return ScriptedAgentCall(self._script, self._time, (self._voice, self._rate), emit)

    def describe(self) -> dict[str, object]:
        """Return the script."""
        return {"agent": "simulated", "sample_rate": self.sample_rate} | {
            field.name: getattr(self._script, field.name) for field in fields(AgentScript)
        }

    def close(self) -> None:
        """Do nothing."""


class ScriptedAgentCall:
    """One call of a scripted agent."""

    def __init__(
        self,
        script: AgentScript,
        time: AgentTime,
        voice: tuple[NDArray[np.float32], int],
        emit: EmitAgentEvent,
    ) -> None:
        """``voice`` is the sound of an answer, and its sample rate in Hz."""
        self._voice, self._rate = voice
        self._script = script
        self._time = time
        self._emit_now = emit
        self._lock = threading.Lock()
        self._is_over = False
        self._voice_began: int | None = None
        self._voice_last = 0
        self._heard_until = 0
        """When the last frame came, voiced or not."""
        self._began_into_answer = False
        self._answer = 0
        """Number of the present answer; what an older one scheduled is void."""
        self._playing_until = 0

    def hear(self, frame: NDArray[np.int16], came_ns: int | None = None) -> None:
        """Take 20 ms of the caller, which came at ``came_ns``, by default now.

        All that follows is due by the script from that moment on, however late a step of it is.
        """
        now_ns = self._time.now_ns() if came_ns is None else came_ns
        with self._lock:
            self._heard_until = max(self._heard_until, now_ns)
            if self._is_over or not _is_voiced(frame):
                return
            now_ns = max(now_ns, self._voice_last + 1)  # two frames may have come together
            if self._voice_began is None or now_ns - self._voice_last > BURST_GAP_NS:
                self._voice_began = now_ns
                self._began_into_answer = now_ns < self._playing_until
            self._voice_last = now_ns
            began = self._voice_began
            is_long = now_ns - began >= _ns(self._script.ignore_s)
            if is_long and self._began_into_answer and now_ns < self._playing_until:
                answer, stop_ns = self._answer, max(began + _ns(self._script.stop_s), now_ns)
                self._time.at(stop_ns, lambda: self._stop(answer, stop_ns))
        self._time.at(now_ns + _ns(self._script.wait_s), lambda: self._end_turn(now_ns))

    def hang_up(self) -> None:
        """End the call."""
        with self._lock:
            self._is_over = True

    def _stop(self, answer: int, at_ns: int) -> None:
        """Take back the rest of ``answer``, unless it has ended or was taken back."""
        with self._lock:
            if answer != self._answer or at_ns >= self._playing_until:
                return
            self._answer += 1
            self._playing_until = 0
            self._emit(AgentCleared())

    def _end_turn(self, voiced_ns: int) -> None:
        at_ns = voiced_ns + _ns(self._script.wait_s)
        with self._lock:
            if self._voice_last != voiced_ns or at_ns < self._playing_until:
                return  # The caller went on, or it was no interruption.
            now_ns = self._time.now_ns()
            unread = self._heard_until < at_ns - FRAME_GAP_NS
            if unread and now_ns < self._heard_until + LONGEST_GAP_NS:
                # On a busy machine frames wait to be read, and may be voiced.
                self._time.at(now_ns + LOOK_AGAIN_NS, lambda: self._end_turn(voiced_ns))
                return
            self._answer += 1
            answer, script = self._answer, self._script
            self._emit(SpeechEndSeen())
        if script.transcript_s is not None:
            at_ns += _ns(script.transcript_s)
            self._later(at_ns, answer, CallerTranscript(TRANSCRIPT))
        at_ns += _ns(script.reply_s)
        self._later(at_ns, answer, ReplyText(REPLY))
        speaks_ns = at_ns + _ns(script.voice_s)
        self._time.at(speaks_ns, lambda: self._speak(answer, speaks_ns))

    def _speak(self, answer: int, start_ns: int) -> None:
        with self._lock:
            if answer != self._answer:
                return
            self._playing_until = start_ns + _ns(self._script.speech_s)
        size = round(PIECE_S * self._rate)
        sent_s = 0.0
        for first in range(0, self._voice.size, size):
            piece = self._voice[first : first + size]
            at_ns = start_ns + _ns(sent_s)
            if first:
                self._later(at_ns, answer, AgentAudio(piece, self._rate))
            else:
                self._send(answer, AgentAudio(piece, self._rate))
            sent_s += piece.size / self._rate / self._script.speed_x
        self._later(start_ns + _ns(sent_s), answer, ReplyComplete())

    def _later(self, at_ns: int, answer: int, event: AgentEvent) -> None:
        self._time.at(at_ns, lambda: self._send(answer, event))

    def _send(self, answer: int, event: AgentEvent) -> None:
        with self._lock:
            if answer == self._answer:
                self._emit(event)

    def _emit(self, event: AgentEvent) -> None:
        if not self._is_over:
            self._emit_now(event)


def _is_voiced(frame: NDArray[np.int16]) -> bool:
    halves = frame.astype(np.float64).reshape(2, -1) / 32768
    return bool(np.sqrt(np.mean(np.square(halves), axis=1)).max() > VOICED_RMS)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
