"""``/tts/socket``: texts in, their sound out, over one WebSocket that stays open.

The client sends ``{"text": "…"}``, and the next one whenever it has it: texts are spoken one after
the other, in the order in which they came. Sound comes in binary messages as it is made, 16-bit
little-endian mono; after each text's sound comes ``{"done": true, "sample_rate": …}`` with this
server's own durations. What cannot be spoken is told as ``{"error": …}`` and ends the connection.

A text may have an ``id``. Then ``{"begin": true, "id": …}`` comes before its sound, and its
``done`` has the id too: the client knows of each sound which text it is of.
"""

from __future__ import annotations

import contextlib
import json
from collections import deque

from starlette.websockets import WebSocket, WebSocketDisconnect

from voicebench.events import AudioChunk, TurnFailed
from voicebench.server.admission import Turns
from voicebench.server.asking import bounded_text
from voicebench.server.clock import note_arrival
from voicebench.server.http_answer import refusal_of
from voicebench.server.inbox import Gone, Inbox, Message
from voicebench.server.refusal import Refusal
from voicebench.server.rendering import NOTHING_TO_SAY, sample_bytes, timings
from voicebench.server.served import Served

ROUTE = "/tts/socket"
MAX_ID_CHARACTERS = 64
MOST_WAITING = 64
"""Texts of one client that wait for those before them."""
POLICY_VIOLATION = 1008


async def speech_socket(socket: WebSocket, served: Served, turns: Turns) -> None:
    """Serve one connection until its client leaves, or asks for what cannot be spoken."""
    await socket.accept()
    inbox = Inbox(socket)
    with contextlib.suppress(Gone, WebSocketDisconnect):
        try:
            await _Reading(socket, inbox, served, turns).read_aloud()
        except Refusal as refusal:
            await socket.send_text(json.dumps(refusal.content()))
            await socket.close(POLICY_VIOLATION)
        finally:
            await inbox.close()


Asked = tuple[str, str | None]
"""A text, and its id where it has one."""


class _Reading:
    """The texts of one client, read aloud in order."""

    def __init__(self, socket: WebSocket, inbox: Inbox, served: Served, turns: Turns) -> None:
        self._socket = socket
        self._inbox = inbox
        self._served = served
        self._turns = turns
        self._waiting: deque[Asked | Refusal] = deque()

    async def read_aloud(self) -> None:
        """Speak what comes. Raises `Refusal`, and `Gone` when the client leaves."""
        while True:
            asked = self._waiting.popleft() if self._waiting else _asked(await self._inbox.next())
            note_arrival()
            if isinstance(asked, Refusal):
                raise asked
            await self._inbox.listen_during(self._speak(*asked), self._keep)
            if len(self._waiting) > MOST_WAITING:
                raise Refusal(400, f"more than {MOST_WAITING} texts are waiting", param="text")

    async def _keep(self, message: Message) -> bool:
        """Keep a text that comes before its turn; return whether there is room for more."""
        self._waiting.append(_asked(message))
        return len(self._waiting) <= MOST_WAITING

    async def _speak(self, text: str, text_id: str | None) -> None:
        named = {} if text_id is None else {"id": text_id}
        if named:
            await self._socket.send_text(json.dumps({"begin": True, **named}))
        sample_rate = None
        async with self._turns.turn(
            ROUTE, lambda emit, schedule: self._served.speak(text, emit, schedule)
        ) as turn:
            async for event in turn.events():
                if isinstance(event, TurnFailed):
                    raise refusal_of(event)
                if isinstance(event, AudioChunk):
                    sample_rate = event.sample_rate
                    await self._socket.send_bytes(sample_bytes(event))
            if turn.figures.outcome != "finished":
                raise refusal_of(None)
            done = {"done": True, **named, "sample_rate": sample_rate, "timings": timings(turn)}
        if sample_rate is None:
            raise NOTHING_TO_SAY
        await self._socket.send_text(json.dumps(done))


def id_in(message: Message) -> str | None:
    """Return the id of a message's text, None where it has none. Raises `Refusal`."""
    text_id = _content_of(message).get("id")
    if text_id is None or (isinstance(text_id, str) and len(text_id) <= MAX_ID_CHARACTERS):
        return text_id
    raise Refusal(400, f"an id is a text of up to {MAX_ID_CHARACTERS} characters", param="id")


def _asked(message: Message) -> Asked | Refusal:
    """Return what a message asks for, or why that cannot be: it is told when it is its turn.

    Read at once, though it may have to wait: a text is small, and a message need not be.
    """
    try:
        return text_in(message), id_in(message)
    except Refusal as refusal:
        return refusal


def text_in(message: Message) -> str:
    """Return the text that a message asks for. Raises `Refusal`."""
    text = _content_of(message).get("text")
    if not isinstance(text, str):
        raise Refusal(400, 'a message is {"text": "…"}', param="text")
    return bounded_text(text, "text", "text")


def _content_of(message: Message) -> dict[str, object]:
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        raise Refusal(400, "a message that is no JSON", code="invalid_json") from None
    return content if isinstance(content, dict) else {}
