"""Input audio in a session of the Realtime protocol: the caller's voice, and the agent's answers.

The first ``input_audio_buffer.append`` opens a call to the server's agent, which decides when the
caller has finished (``server_vad`` and ``semantic_vad`` mean the same here). Its events become the
protocol's: ``speech_started``, ``speech_stopped``, ``committed`` and the transcript of the caller,
then a response. When the caller interrupts, ``speech_started`` comes and the response is cancelled.

With ``turn_detection: null`` the client commits by hand: ``committed`` and the transcript follow,
and ``response.create`` asks for the answer, which ``response.cancel`` ends.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Mapping
from typing import Protocol

import numpy as np

from voicebench.agents import Agent, ManualAgentCall, TakesManualCalls
from voicebench.audio import g711
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
from voicebench.events import AudioChunk, Token
from voicebench.server.call_forms import base64_bytes, pcm_samples
from voicebench.server.inbox import Inbox, Message
from voicebench.server.realtime_answer import ResponseEvents
from voicebench.server.realtime_forms import Dialect
from voicebench.server.refusal import Refusal
from voicebench.server.resampling import PROTOCOL_RATE
from voicebench.server.spoken_calls import CallDesk, OpenCall

TURN_DETECTION = ("server_vad", "semantic_vad")
LEAST_COMMITTED_S = 0.1
MOST_UNCOMMITTED_S = 30.0
"""A client that commits by hand may be so far ahead of real time: an agent keeps no more."""


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
        self._by_hand: ManualAgentCall | None = None
        self._uncommitted = 0
        self._is_committed = False
        """Whether a committed turn waits for ``response.create``."""
        self._has_failed = False
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
        is_manual = kind not in TURN_DETECTION
        if self._call is not None and is_manual != self._is_manual:
            raise Refusal(400, "turn_detection cannot change in a call", param="session")
        self._is_manual = is_manual
        form = fields.get("format", session.get("input_audio_format"))
        self._set_format(form.get("type") if isinstance(form, dict) else form, form)

    async def take(self, event: Mapping[str, object]) -> bool:
        """Take an event of the client; return whether it was about input audio."""
        kind = event.get("type")
        if kind == "input_audio_buffer.append":
            await self._hear(event.get("audio"))
        elif kind == "input_audio_buffer.clear":
            self._clear()
            await self._send("input_audio_buffer.cleared")
        elif kind == "input_audio_buffer.commit":
            self._commit_by_hand()
        elif kind == "response.create" and self._may_respond(event.get("response")):
            assert self._by_hand is not None
            self._by_hand.respond()
        elif kind == "response.cancel" and self._response is not None:
            if self._by_hand is None:
                raise Refusal(400, "the caller's voice ends a response of this session")
            self._by_hand.cancel()
            await self._end_response("client_cancelled")
        else:
            return False
        return True

    async def next(self, inbox: Inbox) -> Message:
        """Return the client's next message; a call whose agent failed gives its place back.

        Raises `Refusal` if the client of a call sends or reads nothing for too long. That ends the
        call, and not the session.
        """
        if self._call is None:
            return await inbox.next()
        try:
            return await self._call.until_over(inbox)
        except Refusal:
            await self.close()
            if not self._has_failed:
                raise
        return await inbox.next()  # the client was told

    async def close(self) -> None:
        """End the call."""
        if self._call is not None:
            call, self._call, self._by_hand = self._call, None, None
            try:
                await call.__aexit__()
            finally:
                self._desk.leave()

    async def _hear(self, audio: object) -> None:
        if self._has_failed:
            raise Refusal(500, "the call has ended")
        if self._call is None:
            call = self._new_call(self._desk.enter())
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
        self._uncommitted += samples.size
        self._call.hear(samples)

    def _new_call(self, agent: Agent) -> OpenCall:
        if not self._is_manual:
            return OpenCall(agent, self._rate, self._give)
        if not isinstance(agent, TakesManualCalls):
            self._desk.leave()
            raise Refusal(
                400,
                f"turn_detection must be {' or '.join(TURN_DETECTION)} for this agent",
                param="session.turn_detection",
            )

        def opened(emit: EmitAgentEvent) -> ManualAgentCall:
            self._by_hand = agent.open_manual_call(emit)
            return self._by_hand

        return OpenCall(
            agent,
            self._rate,
            self._give,
            open_call=opened,
            most_ahead_s=MOST_UNCOMMITTED_S,
            by_hand=True,
        )

    def _clear(self) -> None:
        if self._call is not None and self._by_hand is None:
            raise Refusal(400, "sound that was heard cannot be taken back", param="type")
        if self._by_hand is not None:
            self._by_hand.drop_sound()
        self._uncommitted = 0

    def _commit_by_hand(self) -> None:
        if not self._is_manual:
            raise Refusal(
                400,
                "this session commits when the caller has finished; "
                "set turn_detection to null to commit by hand",
                param="type",
            )
        if self._by_hand is None or self._uncommitted < LEAST_COMMITTED_S * self._rate:
            raise Refusal(
                400,
                f"the input buffer has less than {LEAST_COMMITTED_S * 1000:.0f} ms to commit",
                code="input_audio_buffer_commit_empty",
            )
        self._uncommitted = 0
        self._is_committed = True
        self._by_hand.commit()

    def _may_respond(self, response: object) -> bool:
        """Return whether ``response.create`` asks for the answer to what was committed."""
        has_input = isinstance(response, dict) and response.get("input")
        if self._by_hand is None or has_input or not self._is_committed:
            return False
        self._is_committed = False
        return True

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
        if isinstance(event, SpeechStartSeen):
            await self._speech_started()
        elif isinstance(event, SpeechEndSeen):
            await self._commit()
        elif isinstance(event, CallerTranscript) and event.final:
            await self._send(
                "conversation.item.input_audio_transcription.completed",
                item_id=self._item,
                content_index=0,
                transcript=event.text,
            )
        elif isinstance(event, AgentCleared):
            if self._by_hand is None:
                await self._speech_started()
            if self._response is not None:
                await self._end_response("turn_detected")
        elif isinstance(event, ReplyText):
            await self._answer(Token(event.text))
        elif isinstance(event, AgentAudio):
            await self._answer(AudioChunk(event.pcm, event.sample_rate))
        elif isinstance(event, ReplyComplete):
            await self._complete()
        elif isinstance(event, AgentFailed):
            self._has_failed = True
            error = Refusal(500, event.reason).content()
            await self._send("error", **error)

    async def _speech_started(self) -> None:
        self._item = _new_item()
        await self._send(
            "input_audio_buffer.speech_started",
            audio_start_ms=self._heard_ms,
            item_id=self._item,
        )

    async def _commit(self) -> None:
        if self._by_hand is not None:
            self._item = _new_item()
        place = {"item_id": self._item}
        if self._by_hand is None:
            stopped = "input_audio_buffer.speech_stopped"
            await self._send(stopped, audio_end_ms=self._heard_ms, **place)
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
        response = await self._under_way()
        for kind, fields in response.take(event):
            await self._send(kind, **fields)

    async def _complete(self) -> None:
        response = await self._under_way()
        for kind, fields in response.complete():
            await self._send(kind, **fields)
        self._response = None

    async def _under_way(self) -> ResponseEvents:
        """Return the response under way; begin one if there is none."""
        if self._response is None:
            self._response = ResponseEvents(self._dialect)
            described = self._response.described("in_progress")
            await self._send("response.created", response=described)
        return self._response

    async def _end_response(self, reason: str) -> None:
        response, self._response = self._response, None
        assert response is not None
        await self._send("response.done", **response.cancelled(reason))


def _new_item() -> str:
    return f"item_{secrets.token_hex(8)}"
