"""``/v1/realtime``: the part of OpenAI's Realtime protocol that a turn in text needs.

(Format: OpenAI, "Realtime API: client events, server events", general availability of 2025, and the
beta before it, which a client asks for with ``OpenAI-Beta: realtime=v1``.) A session is created and
may be updated. The prompt comes with ``response.create`` or as a conversation item before it.
Speech and its transcript are sent as they are made. Input audio, a history and another voice are
not supported; a client that asks for them gets an ``error`` event.

The protocol's samples have 24 kHz, so the voice is resampled piece by piece.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from functools import partial

from starlette.websockets import WebSocket

from voicebench.events import AudioChunk, Event, Reply, Token, TurnFailed, Usage
from voicebench.server.admission import RunningTurn, Turns
from voicebench.server.clock import note_arrival
from voicebench.server.http_answer import refusal_of
from voicebench.server.inbox import Inbox, Message, accepted, json_object
from voicebench.server.realtime_forms import (
    BETA,
    GA,
    Dialect,
    error_event,
    prompt_of,
    session_of,
    usage_of,
)
from voicebench.server.refusal import Refusal
from voicebench.server.request_bodies import spoken_text
from voicebench.server.resampling import Resampled
from voicebench.server.served import AnswerRequest, Served

ROUTE = "/v1/realtime"
MAX_ERRORS = 20
"""After so many refused events the connection is closed."""


async def realtime_socket(socket: WebSocket, served: Served, turns: Turns) -> None:
    """Serve one session until its client leaves."""
    is_beta = "realtime=v1" in socket.headers.get("openai-beta", "")
    async with accepted(socket, "realtime") as inbox:
        await _Session(socket, inbox, served, turns, BETA if is_beta else GA).serve()
        await socket.close(1008)


class _Session:
    """One connection."""

    def __init__(
        self, socket: WebSocket, inbox: Inbox, served: Served, turns: Turns, dialect: Dialect
    ) -> None:
        self._socket = socket
        self._inbox = inbox
        self._served = served
        self._turns = turns
        self._dialect = dialect
        self._id = f"sess_{secrets.token_hex(8)}"
        self._instructions: str | None = None
        self._item: str | None = None
        self._errors = 0

    async def serve(self) -> None:
        """Answer events until too many were refused. Raises `Gone`."""
        await self._send("session.created", session=self._described())
        while self._errors < MAX_ERRORS:
            try:
                message = await self._inbox.next()
                note_arrival()
                await self._take(json_object(message))
            except Refusal as refusal:
                await self._refuse(refusal)

    async def _take(self, event: Mapping[str, object]) -> None:
        kind = event.get("type")
        if kind == "session.update":
            session = event.get("session")
            if not isinstance(session, dict):
                raise Refusal(400, "session is not an object", param="session")
            self._instructions = session_of(session, self._instructions)
            await self._send("session.updated", session=self._described())
        elif kind == "conversation.item.create":
            self._item = spoken_text(prompt_of(event.get("item")), "prompt")
            item = {"id": f"item_{secrets.token_hex(8)}", **_user_item(self._item)}
            await self._send(self._dialect.item_created, previous_item_id=None, item=item)
        elif kind == "response.create":
            request = self._request_of(event.get("response"))
            response = _Response(self._dialect)
            await self._inbox.listen_during(self._respond(request, response), self._in_turn)
            if not response.ended:
                await self._send("response.done", **response.cancelled())
        elif kind == "response.cancel":
            # The response may have ended while the message was on its way: no misbehaviour.
            nothing = Refusal(400, "no response is under way", code="response_cancel_not_active")
            await self._socket.send_text(json.dumps(error_event(nothing)))
        elif kind == "conversation.item.truncate":
            # Nothing is remembered, so there is nothing to cut.
            place = {key: event.get(key) for key in ("item_id", "content_index", "audio_end_ms")}
            await self._send("conversation.item.truncated", **place)
        else:
            raise Refusal(400, f"{str(kind)[:60]!r} is not supported", param="type")

    def _request_of(self, response: object) -> AnswerRequest:
        fields = response if isinstance(response, dict) else {}
        items = fields.get("input")
        said = prompt_of(items[-1]) if isinstance(items, list) and items else self._item
        if said is None:
            raise Refusal(400, "there is no prompt yet", param="response.input")
        self._item = None
        instructions = session_of(fields, self._instructions)
        return AnswerRequest(spoken_text(said, "prompt"), system_prompt=instructions)

    async def _in_turn(self, message: Message) -> bool:
        """Handle an event that arrives during a response; return whether to go on."""
        try:
            if json_object(message).get("type") == "response.cancel":
                return False
            raise Refusal(400, "a response is under way", code="conversation_already_has_response")
        except Refusal as refusal:
            await self._refuse(refusal)
            return self._errors < MAX_ERRORS

    async def _respond(self, request: AnswerRequest, response: _Response) -> None:
        async with self._turns.turn(ROUTE, partial(self._served.answer, request)) as turn:
            await self._send("response.created", response=response.described("in_progress"))
            async for event in turn.events():
                for kind, fields in response.take(event):
                    await self._send(kind, **fields)
            for kind, fields in response.finish(turn):
                await self._send(kind, **fields)
            response.ended = True

    def _described(self) -> dict[str, object]:
        return self._dialect.session(
            self._id, self._served.chat_model, self._served.voice, self._instructions
        )

    async def _refuse(self, refusal: Refusal) -> None:
        self._errors += 1
        await self._socket.send_text(json.dumps(error_event(refusal)))

    async def _send(self, kind: str, **fields: object) -> None:
        event = {"type": kind, "event_id": f"event_{secrets.token_hex(8)}", **fields}
        await self._socket.send_text(json.dumps(event, ensure_ascii=False))


ServerEvent = tuple[str, dict[str, object]]
"""Its type and its fields."""


class _Response:
    """One response: the pipeline's events as the protocol's."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._id = f"resp_{secrets.token_hex(8)}"
        self._item_id = f"item_{secrets.token_hex(8)}"
        self._place = {"response_id": self._id, "item_id": self._item_id, "output_index": 0}
        self._sound: Resampled | None = None
        self._transcript: list[str] = []
        self._counted: Usage | None = None
        self._failed: TurnFailed | None = None
        self._began = False
        self.ended = False

    def described(self, status: str, **more: object) -> dict[str, object]:
        """Return the response as the protocol describes one."""
        return {"id": self._id, "object": "realtime.response", "status": status, **more}

    def take(self, event: Event) -> Iterator[ServerEvent]:
        """Yield the server events for ``event``."""
        if isinstance(event, Token | Reply | AudioChunk) and not self._began:
            self._began = True
            item = {"id": self._item_id, **_spoken_item("", "in_progress")}
            fields = {"response_id": self._id, "output_index": 0, "item": item}
            yield "response.output_item.added", fields
        if isinstance(event, Token | Reply):
            self._transcript.append(event.text)
            yield self._dialect.transcript + ".delta", self._part(delta=event.text)
        elif isinstance(event, AudioChunk):
            if self._sound is None:
                self._sound = Resampled(event.sample_rate)
            data = self._sound.feed(event.pcm)
            if data:
                yield self._dialect.audio + ".delta", self._part(delta=_base64(data))
        elif isinstance(event, Usage):
            self._counted = event
        elif isinstance(event, TurnFailed):
            self._failed = event

    def finish(self, turn: RunningTurn) -> Iterator[ServerEvent]:
        """Yield the server events that end the response."""
        timing = {"server_timing": f"total;dur={turn.elapsed_ms():.3f}"}
        if self._failed is not None or turn.figures.outcome != "finished":
            refusal = refusal_of(self._failed)
            details = {"type": "failed", "error": refusal.content()["error"]}
            yield "response.done", self._done("failed", status_details=details)
            return
        rest = self._sound.finish() if self._sound else b""
        if rest:
            yield self._dialect.audio + ".delta", self._part(delta=_base64(rest))
        text = "".join(self._transcript)
        yield self._dialect.audio + ".done", self._part()
        yield self._dialect.transcript + ".done", self._part(transcript=text)
        item = {"id": self._item_id, **_spoken_item(text, "completed")}
        yield "response.output_item.done", {"response_id": self._id, "item": item}
        # The protocol has no field for durations; metadata holds any strings.
        yield "response.done", self._done("completed", output=[item], metadata=timing)

    def cancelled(self) -> dict[str, object]:
        """Return what ends a response that the client cancelled."""
        details = {"type": "cancelled", "reason": "client_cancelled"}
        return self._done("cancelled", status_details=details)

    def _done(self, status: str, **more: object) -> dict[str, object]:
        if self._counted is not None:
            more["usage"] = usage_of(self._counted)
        return {"response": self.described(status, **more)}

    def _part(self, **fields: object) -> dict[str, object]:
        return {**self._place, "content_index": 0, **fields}


def _user_item(text: str) -> dict[str, object]:
    return {
        "object": "realtime.item",
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text}],
    }


def _spoken_item(text: str, status: str) -> dict[str, object]:
    return {
        "object": "realtime.item",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [{"type": "output_audio", "transcript": text}] if text else [],
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
