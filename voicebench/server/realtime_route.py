"""``/v1/realtime``: the part of OpenAI's Realtime protocol that a turn in text needs.

(Format: OpenAI, "Realtime API: client events, server events", general availability of 2025, and the
beta before it, which a client asks for with ``OpenAI-Beta: realtime=v1``.) A session is created and
may be updated; the user's words come with ``response.create`` or as a conversation item before it;
speech and its transcript go out as they are made. There is no input audio and no history, and the
voice is the server's: whatever asks for more is told so with an ``error`` event.

The protocol's samples have 24 kHz, so the voice's are resampled as they come.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping

from starlette.websockets import WebSocket, WebSocketDisconnect

from voicebench.events import AudioChunk, Event, Reply, Token, TurnFailed, Usage
from voicebench.server.admission import RunningTurn, Turns
from voicebench.server.clock import note_arrival
from voicebench.server.http_answer import refusal_of
from voicebench.server.inbox import Gone, Inbox, Message
from voicebench.server.realtime_forms import BETA, GA, Dialect, error_event, prompt_of, session_of
from voicebench.server.refusal import Refusal
from voicebench.server.resampling import Resampled
from voicebench.server.served import Asked, Served
from voicebench.server.voice_route import prompt_in

ROUTE = "/v1/realtime"
MAX_ERRORS = 20
"""Events that cannot be done, after which a client is given up."""


async def realtime_socket(socket: WebSocket, served: Served, turns: Turns) -> None:
    """Serve one session until its client leaves."""
    offered = socket.scope.get("subprotocols", [])
    await socket.accept("realtime" if "realtime" in offered else None)
    is_beta = "realtime=v1" in socket.headers.get("openai-beta", "")
    inbox = Inbox(socket)
    with contextlib.suppress(Gone, WebSocketDisconnect):
        try:
            await _Session(socket, inbox, served, turns, BETA if is_beta else GA).serve()
            await socket.close(1008)
        finally:
            await inbox.close()


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
        """Answer events until too many of them could not be done. Raises `Gone`."""
        await self._send("session.created", session=self._described())
        while self._errors < MAX_ERRORS:
            try:
                message = await self._inbox.next()
                note_arrival()
                await self._take(_event_in(message))
            except Refusal as refusal:
                await self._tell(refusal)

    async def _take(self, event: Mapping[str, object]) -> None:
        kind = event.get("type")
        if kind == "session.update":
            session = event.get("session")
            if not isinstance(session, dict):
                raise Refusal(400, "session is no object", param="session")
            self._instructions = session_of(session, self._instructions)
            await self._send("session.updated", session=self._described())
        elif kind == "conversation.item.create":
            self._item = prompt_in(prompt_of(event.get("item")))
            item = {"id": f"item_{secrets.token_hex(8)}", **_user_item(self._item)}
            await self._send(self._dialect.item_created, previous_item_id=None, item=item)
        elif kind == "response.create":
            asked = self._asked(event.get("response"))
            response = _Response(self._dialect)
            await self._inbox.listen_during(self._respond(asked, response), self._in_turn)
            if not response.ended:
                await self._send("response.done", **response.cancelled())
        elif kind == "response.cancel":
            raise Refusal(400, "no response is under way", code="response_cancel_not_active")
        else:
            raise Refusal(400, f"{str(kind)[:60]!r} is not done here", param="type")

    def _asked(self, response: object) -> Asked:
        fields = response if isinstance(response, dict) else {}
        items = fields.get("input")
        said = prompt_of(items[-1]) if isinstance(items, list) and items else self._item
        if said is None:
            raise Refusal(400, "nothing was said yet", param="response.input")
        self._item = None
        return Asked(prompt_in(said), system_prompt=session_of(fields, self._instructions))

    async def _in_turn(self, message: Message) -> bool:
        """Take an event that comes while a response is under way; return whether to go on."""
        try:
            if _event_in(message).get("type") == "response.cancel":
                return False
            raise Refusal(400, "a response is under way", code="conversation_already_has_response")
        except Refusal as refusal:
            await self._tell(refusal)
            return self._errors < MAX_ERRORS

    async def _respond(self, asked: Asked, response: _Response) -> None:
        async with self._turns.turn(
            ROUTE, lambda emit, schedule: self._served.answer(asked, emit, schedule)
        ) as turn:
            await self._send("response.created", response=response.described("in_progress"))
            async for event in turn.events():
                async for kind, fields in response.take(event):
                    await self._send(kind, **fields)
            for kind, fields in response.finish(turn):
                await self._send(kind, **fields)
            response.ended = True

    def _described(self) -> dict[str, object]:
        return self._dialect.session(
            self._id, self._served.chat_model, self._served.voice, self._instructions
        )

    async def _tell(self, refusal: Refusal) -> None:
        self._errors += 1
        await self._socket.send_text(json.dumps(error_event(refusal)))

    async def _send(self, kind: str, **fields: object) -> None:
        event = {"type": kind, "event_id": f"event_{secrets.token_hex(8)}", **fields}
        await self._socket.send_text(json.dumps(event, ensure_ascii=False))


Told = tuple[str, dict[str, object]]
"""A server event: its type and its fields."""


class _Response:
    """One response: the pipeline's events as the protocol's."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._id = f"resp_{secrets.token_hex(8)}"
        self._item_id = f"item_{secrets.token_hex(8)}"
        self._place = {"response_id": self._id, "item_id": self._item_id, "output_index": 0}
        self._sound: Resampled | None = None
        self._transcript: list[str] = []
        self._tokens: int | None = None
        self._failed: TurnFailed | None = None
        self._began = False
        self.ended = False

    def described(self, status: str, **more: object) -> dict[str, object]:
        """Return the response as the protocol describes one."""
        return {"id": self._id, "object": "realtime.response", "status": status, **more}

    async def take(self, event: Event) -> AsyncIterator[Told]:
        """Yield what is told of ``event``."""
        if isinstance(event, Token | Reply | AudioChunk) and not self._began:
            self._began = True
            item = {"id": self._item_id, **_spoken_item("", "in_progress")}
            told = {"response_id": self._id, "output_index": 0, "item": item}
            yield "response.output_item.added", told
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
            self._tokens = event.tokens
        elif isinstance(event, TurnFailed):
            self._failed = event

    def finish(self, turn: RunningTurn) -> list[Told]:
        """Return what ends the response."""
        if self._failed is not None or turn.figures.outcome != "finished":
            refusal = refusal_of(self._failed)
            details = {"type": "failed", "error": refusal.content()["error"]}
            return [("response.done", self._done("failed", status_details=details))]
        told: list[Told] = []
        rest = self._sound.finish() if self._sound else b""
        if rest:
            told.append((self._dialect.audio + ".delta", self._part(delta=_base64(rest))))
        text = "".join(self._transcript)
        told.append((self._dialect.audio + ".done", self._part()))
        told.append((self._dialect.transcript + ".done", self._part(transcript=text)))
        item = {"id": self._item_id, **_spoken_item(text, "completed")}
        told.append(("response.output_item.done", {"response_id": self._id, "item": item}))
        # The protocol has no field for it; metadata is for what is beside it, as strings.
        timing = {"server_timing": f"total;dur={turn.elapsed_ms():.3f}"}
        told.append(("response.done", self._done("completed", output=[item], metadata=timing)))
        return told

    def cancelled(self) -> dict[str, object]:
        """Return what ends a response that the client cancelled."""
        details = {"type": "cancelled", "reason": "client_cancelled"}
        return self._done("cancelled", status_details=details)

    def _done(self, status: str, **more: object) -> dict[str, object]:
        if self._tokens is not None:
            details = {"text_tokens": self._tokens}
            more["usage"] = {"output_tokens": self._tokens, "output_token_details": details}
        return {"response": self.described(status, **more)}

    def _part(self, **fields: object) -> dict[str, object]:
        return {**self._place, "content_index": 0, **fields}


def _event_in(message: Message) -> dict[str, object]:
    try:
        event = json.loads(message)
    except (ValueError, RecursionError):
        raise Refusal(400, "a message that is no JSON", code="invalid_json") from None
    if not isinstance(event, dict):
        raise Refusal(400, "a message that is no JSON object", code="invalid_json")
    return event


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
