"""``/tts/socket``: texts in, their sound out, over one WebSocket that stays open.

The client sends ``{"text": "…"}``, and further texts at any time. They are spoken one after the
other, in the order in which they arrived. Sound is sent in binary messages as it is made, 16-bit
little-endian mono. After each text's sound the server sends ``{"done": true, "sample_rate": …}``
with its own durations. A text that cannot be spoken is answered with ``{"error": …}``, which ends
the connection.

A text may have an ``id``. Then ``{"begin": true, "id": …}`` is sent before its sound, and its
``done`` repeats the id, so that the client knows which text a sound belongs to.
"""

from __future__ import annotations

import json
from collections import deque
from functools import partial

from starlette.websockets import WebSocket

from voicebench.events import AudioChunk, TurnFailed
from voicebench.server.admission import Turns
from voicebench.server.clock import note_arrival
from voicebench.server.http_answer import refusal_of
from voicebench.server.inbox import Inbox, Message, accepted, json_object
from voicebench.server.refusal import Refusal
from voicebench.server.rendering import NOTHING_TO_SAY, sample_bytes, timings
from voicebench.server.request_bodies import spoken_text
from voicebench.server.served import Served

ROUTE = "/tts/socket"
MAX_ID_CHARACTERS = 64
MOST_WAITING = 64
"""How many texts of one client may wait for those before them."""
POLICY_VIOLATION = 1008


async def speech_socket(socket: WebSocket, served: Served, turns: Turns) -> None:
    """Serve one connection until its client leaves, or sends what cannot be spoken."""
    async with accepted(socket) as inbox:
        try:
            await _Reading(socket, inbox, served, turns).read_aloud()
        except Refusal as refusal:
            await socket.send_text(json.dumps(refusal.content()))
            await socket.close(POLICY_VIOLATION)


IdentifiedText = tuple[str, str | None]
"""A text and its id, if it has one."""


class _Reading:
    """The texts of one client, read aloud in order."""

    def __init__(self, socket: WebSocket, inbox: Inbox, served: Served, turns: Turns) -> None:
        self._socket = socket
        self._inbox = inbox
        self._served = served
        self._turns = turns
        self._waiting: deque[IdentifiedText | Refusal] = deque()

    async def read_aloud(self) -> None:
        """Speak each text. Raises `Refusal`, and `Gone` when the client leaves."""
        while True:
            text = (
                self._waiting.popleft()
                if self._waiting
                else _text_or_refusal(await self._inbox.next())
            )
            note_arrival()
            if isinstance(text, Refusal):
                raise text
            await self._inbox.listen_during(self._speak(*text), self._keep)
            if len(self._waiting) > MOST_WAITING:
                raise Refusal(400, f"more than {MOST_WAITING} texts are waiting", param="text")

    async def _keep(self, message: Message) -> bool:
        """Keep a text until its turn; return whether more may wait."""
        self._waiting.append(_text_or_refusal(message))
        return len(self._waiting) <= MOST_WAITING

    async def _speak(self, text: str, text_id: str | None) -> None:
        named = {} if text_id is None else {"id": text_id}
        if named:
            await self._socket.send_text(json.dumps({"begin": True, **named}))
        sample_rate = None
        async with self._turns.turn(ROUTE, partial(self._served.speak, text)) as turn:
            async for event in turn.events():
                if isinstance(event, TurnFailed):
                    raise refusal_of(event)
                if isinstance(event, AudioChunk):
                    sample_rate = event.sample_rate
                    await self._socket.send_bytes(sample_bytes(event.pcm))
            if turn.figures.outcome != "finished":
                raise refusal_of(None)
            done = {"done": True, **named, "sample_rate": sample_rate, "timings": timings(turn)}
        if sample_rate is None:
            raise NOTHING_TO_SAY
        await self._socket.send_text(json.dumps(done))


def _text_or_refusal(message: Message) -> IdentifiedText | Refusal:
    """Return the text in a message with its id, or why it is refused when its turn comes.

    A message is read at once, even if its text must wait: the text is small, the message may not
    be.
    """
    try:
        content = json_object(message)
        return _text_in(content), _id_in(content)
    except Refusal as refusal:
        return refusal


def _id_in(content: dict[str, object]) -> str | None:
    text_id = content.get("id")
    if text_id is None or (isinstance(text_id, str) and len(text_id) <= MAX_ID_CHARACTERS):
        return text_id
    raise Refusal(400, f"an id is a text of up to {MAX_ID_CHARACTERS} characters", param="id")


def _text_in(content: dict[str, object]) -> str:
    text = content.get("text")
    if not isinstance(text, str):
        raise Refusal(400, 'a message is {"text": "…"}', param="text")
    return spoken_text(text, "text")
