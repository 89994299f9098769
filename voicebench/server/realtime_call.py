"""Input audio in a session of the Realtime protocol: the caller's voice, and the agent's answers.

The first ``input_audio_buffer.append`` opens a call to the server's agent, which decides when the
caller has finished (``server_vad`` and ``semantic_vad`` mean the same here). Its events become the
protocol's: ``speech_stopped``, ``committed`` and the transcript of the caller, then a response.
When the caller interrupts, ``speech_started`` comes and the response is cancelled. Committing by
hand is not supported.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Mapping
from typing import Protocol

import numpy as np

from voicebench.audio import g711
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    AgentFailed,
    CallerTranscript,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
)
from voicebench.events import AudioChunk, Token
from voicebench.server.call_forms import base64_bytes, pcm_samples
from voicebench.server.realtime_answer import ResponseEvents
from voicebench.server.realtime_forms import Dialect
from voicebench.server.refusal import Refusal
from voicebench.server.resampling import PROTOCOL_RATE
from voicebench.server.spoken_calls import CallDesk, OpenCall

TURN_DETECTION = ("server_vad", "semantic_vad")


class Sending(Protocol):
    """Sends an event of the server."""

    def __call__(self, kind: str, **fields: object) -> Awaitable[None]:
        """Send the event ``kind``."""
        ...


class RealtimeCall:
    """The spoken side of one session."""

    def __init__(self, desk: CallDesk, dialect: Dialect, send: Sending) -> None:
        self._desk = desk
        self._dialect = dialect
        self._send = send
        self._call: OpenCall | None = None
        self._is_mulaw = False
        self._is_manual = False
        """Whether the client wants to commit by hand. Sessions without a voice say so too."""
        self._heard = 0
        self._item = _new_item()
        self._response: ResponseEvents | None = None

    def configure(self, session: Mapping[str, object]) -> None:
        """Take what a session says of its input. Raises `Refusal` for what is not supported."""
        audio = session.get("audio")
        given = audio.get("input") if isinstance(audio, dict) else None
        fields = given if isinstance(given, dict) else {}
        detection = fields.get("turn_detection", session.get("turn_detection", {}))
        kind = detection.get("type", TURN_DETECTION[0]) if isinstance(detection, dict) else None
        self._is_manual = kind not in TURN_DETECTION
        form = fields.get("format", session.get("input_audio_format"))
        self._set_format(form.get("type") if isinstance(form, dict) else form, form)

    async def take(self, event: Mapping[str, object]) -> bool:
        """Take an event of the client; return whether it was about input audio."""
        kind = event.get("type")
        if kind == "input_audio_buffer.append":
            if self._is_manual:
                raise Refusal(
                    400,
                    f"turn_detection must be {' or '.join(TURN_DETECTION)} for input audio",
                    param="session.turn_detection",
                )
            await self._hear(event.get("audio"))
            return True
        if kind == "input_audio_buffer.clear":
            raise Refusal(400, "sound that was heard cannot be taken back", param="type")
        if kind == "input_audio_buffer.commit":
            raise Refusal(400, "this server commits when the caller has finished", param="type")
        return False

    async def close(self) -> None:
        """End the call."""
        if self._call is not None:
            call, self._call = self._call, None
            try:
                await call.__aexit__()
            finally:
                self._desk.leave()

    async def _hear(self, audio: object) -> None:
        if self._call is None:
            agent = self._desk.enter()
            call = OpenCall(agent, self._rate, self._give)
            try:
                await call.__aenter__()
            except BaseException:
                self._desk.leave()
                raise
            self._call = call
        content = base64_bytes(audio, "audio")
        if self._is_mulaw:
            samples = g711.decode(np.frombuffer(content, np.uint8), "mulaw")
        else:
            samples = pcm_samples(content)
        self._heard += samples.size
        self._call.hear(samples)

    def _set_format(self, name: object, form: object) -> None:
        rate = form.get("rate", PROTOCOL_RATE) if isinstance(form, dict) else PROTOCOL_RATE
        is_mulaw = name in ("audio/pcmu", "g711_ulaw")
        if not is_mulaw and (name not in (None, "audio/pcm", "pcm16") or rate != PROTOCOL_RATE):
            raise Refusal(
                400,
                f"input audio is 16-bit PCM at {PROTOCOL_RATE} Hz, or µ-law",
                param="session.audio.input.format",
            )
        if self._call is not None and is_mulaw != self._is_mulaw:
            raise Refusal(400, "the format cannot change in a call", param="session")
        self._is_mulaw = is_mulaw

    @property
    def _rate(self) -> int:
        return g711.SAMPLE_RATE if self._is_mulaw else PROTOCOL_RATE

    @property
    def _heard_ms(self) -> int:
        return self._heard * 1000 // self._rate

    async def _give(self, event: AgentEvent) -> None:
        """Send what an event of the agent means."""
        if isinstance(event, SpeechEndSeen):
            await self._commit()
        elif isinstance(event, CallerTranscript) and event.final:
            await self._send(
                "conversation.item.input_audio_transcription.completed",
                item_id=self._item,
                content_index=0,
                transcript=event.text,
            )
        elif isinstance(event, AgentCleared):
            self._item = _new_item()
            await self._send(
                "input_audio_buffer.speech_started",
                audio_start_ms=self._heard_ms,
                item_id=self._item,
            )
            if self._response is not None:
                await self._end_response("turn_detected")
        elif isinstance(event, ReplyText):
            await self._answer(Token(event.text))
        elif isinstance(event, AgentAudio):
            await self._answer(AudioChunk(event.pcm, event.sample_rate))
        elif isinstance(event, ReplyComplete) and self._response is not None:
            for kind, fields in self._response.complete():
                await self._send(kind, **fields)
            self._response = None
        elif isinstance(event, AgentFailed):
            error = Refusal(500, event.reason).content()
            await self._send("error", **error)

    async def _commit(self) -> None:
        place = {"item_id": self._item}
        await self._send("input_audio_buffer.speech_stopped", audio_end_ms=self._heard_ms, **place)
        await self._send("input_audio_buffer.committed", previous_item_id=None, **place)
        item = {
            "id": self._item,
            "object": "realtime.item",
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        await self._send(self._dialect.item_created, previous_item_id=None, item=item)

    async def _answer(self, event: Token | AudioChunk) -> None:
        if self._response is None:
            self._response = ResponseEvents(self._dialect)
            described = self._response.described("in_progress")
            await self._send("response.created", response=described)
        for kind, fields in self._response.take(event):
            await self._send(kind, **fields)

    async def _end_response(self, reason: str) -> None:
        response, self._response = self._response, None
        assert response is not None
        await self._send("response.done", **response.cancelled(reason))


def _new_item() -> str:
    return f"item_{secrets.token_hex(8)}"
