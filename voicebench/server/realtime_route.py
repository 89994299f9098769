"""``/v1/realtime``: the part of OpenAI's Realtime protocol that turns in text and in speech need.

(Format: OpenAI, "Realtime API: client events, server events", general availability of 2025, and the
beta before it, which a client asks for with ``OpenAI-Beta: realtime=v1``.) A session is created and
may be updated. The prompt comes with ``response.create`` or as a conversation item before it.
Speech and its transcript are sent as they are made. Input audio begins a spoken call
(`voicebench.server.realtime_call`) if the server has ears. A history and another voice are not
supported; a client that asks for them gets an ``error`` event.

The protocol's samples have 24 kHz, so the voice is resampled piece by piece.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from functools import partial

from starlette.websockets import WebSocket

from voicebench.server.admission import Turns
from voicebench.server.clock import note_arrival
from voicebench.server.inbox import Inbox, Message, accepted, json_object
from voicebench.server.realtime_answer import ResponseEvents
from voicebench.server.realtime_call import RealtimeCall
from voicebench.server.realtime_forms import (
    BETA,
    GA,
    Dialect,
    error_event,
    prompt_of,
    session_of,
)
from voicebench.server.refusal import Refusal
from voicebench.server.request_bodies import spoken_text
from voicebench.server.served import AnswerRequest, Served
from voicebench.server.spoken_calls import CallDesk

ROUTE = "/v1/realtime"
MAX_ERRORS = 20
"""After so many refused events the connection is closed."""


async def realtime_socket(socket: WebSocket, served: Served, turns: Turns, desk: CallDesk) -> None:
    """Serve one session until its client leaves."""
    is_beta = "realtime=v1" in socket.headers.get("openai-beta", "")
    async with accepted(socket, "realtime") as inbox:
        session = _Session(socket, inbox, served, turns, BETA if is_beta else GA)
        call = RealtimeCall(desk, session.dialect, session.send)
        try:
            await session.serve(call)
        finally:
            await call.close()
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
        self.dialect = dialect
        self._id = f"sess_{secrets.token_hex(8)}"
        self._instructions: str | None = None
        self._item: str | None = None
        self._errors = 0

    async def serve(self, call: RealtimeCall) -> None:
        """Answer events until too many were refused. Raises `Gone`."""
        await self.send("session.created", session=self._described())
        while self._errors < MAX_ERRORS:
            try:
                message = await call.next(self._inbox)
                note_arrival()
                await self._take(json_object(message), call)
            except Refusal as refusal:
                await self._refuse(refusal)

    async def _take(self, event: Mapping[str, object], call: RealtimeCall) -> None:
        kind = event.get("type")
        if await call.take(event):
            return
        if kind == "session.update":
            session = event.get("session")
            if not isinstance(session, dict):
                raise Refusal(400, "session is not an object", param="session")
            self._instructions = session_of(session, self._instructions)
            call.configure(session)
            await self.send("session.updated", session=self._described())
        elif kind == "conversation.item.create":
            self._item = spoken_text(prompt_of(event.get("item")), "prompt")
            item = {"id": f"item_{secrets.token_hex(8)}", **_user_item(self._item)}
            await self.send(self.dialect.item_created, previous_item_id=None, item=item)
        elif kind == "response.create":
            request = self._request_of(event.get("response"))
            response = ResponseEvents(self.dialect)
            await self._inbox.listen_during(self._respond(request, response), self._in_turn)
            if not response.ended:
                await self.send("response.done", **response.cancelled())
        elif kind == "response.cancel":
            # The response may have ended while the message was on its way: no misbehaviour.
            nothing = Refusal(400, "no response is under way", code="response_cancel_not_active")
            await self._socket.send_text(json.dumps(error_event(nothing)))
        elif kind == "conversation.item.truncate":
            # Nothing is remembered, so there is nothing to cut.
            place = {key: event.get(key) for key in ("item_id", "content_index", "audio_end_ms")}
            await self.send("conversation.item.truncated", **place)
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

    async def _respond(self, request: AnswerRequest, response: ResponseEvents) -> None:
        async with self._turns.turn(ROUTE, partial(self._served.answer, request)) as turn:
            await self.send("response.created", response=response.described("in_progress"))
            async for event in turn.events():
                for kind, fields in response.take(event):
                    await self.send(kind, **fields)
            for kind, fields in response.finish(turn):
                await self.send(kind, **fields)
            response.ended = True

    def _described(self) -> dict[str, object]:
        return self.dialect.session(
            self._id, self._served.chat_model, self._served.voice, self._instructions
        )

    async def _refuse(self, refusal: Refusal) -> None:
        self._errors += 1
        await self._socket.send_text(json.dumps(error_event(refusal)))

    async def send(self, kind: str, **fields: object) -> None:
        """Send an event."""
        event = {"type": kind, "event_id": f"event_{secrets.token_hex(8)}", **fields}
        await self._socket.send_text(json.dumps(event, ensure_ascii=False))


def _user_item(text: str) -> dict[str, object]:
    return {
        "object": "realtime.item",
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text}],
    }
