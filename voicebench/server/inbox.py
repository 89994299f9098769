"""Messages from a WebSocket's client, read also while the server is sending.

Otherwise the server would notice that a client left only when the next send fails, and the turn
would go on without a client.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from voicebench.server.refusal import Refusal

Message = str | bytes


class Gone(Exception):
    """The client closed the socket, or it broke."""


@asynccontextmanager
async def accepted(socket: WebSocket, subprotocol: str | None = None) -> AsyncIterator[Inbox]:
    """Accept ``socket``, with ``subprotocol`` if the client offers it, and give its messages.

    The block ends without an error when the client leaves.
    """
    offered = socket.scope.get("subprotocols", [])
    await socket.accept(subprotocol if subprotocol in offered else None)
    inbox = Inbox(socket)
    with suppress(Gone, WebSocketDisconnect):
        try:
            yield inbox
        finally:
            await inbox.close()


def json_object(message: Message) -> dict[str, object]:
    """Return the JSON object in ``message``. Raises `Refusal`."""
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Refusal(400, "the message is not a JSON object", code="invalid_json")
    return content


class Inbox:
    """The messages of ``socket``'s client, read one after the other."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._reading: asyncio.Task[Message] | None = None

    async def next(self) -> Message:
        """Return the next message. Raises `Gone`."""
        reading = self._read()
        await asyncio.wait({reading})
        return self._take()

    async def listen_during(
        self,
        sending: Coroutine[Any, Any, None],
        on_message: Callable[[Message], Awaitable[bool]],
    ) -> None:
        """Run ``sending`` to its end, and pass messages that arrive meanwhile to ``on_message``.

        If that returns False, or the client leaves, ``sending`` is cancelled. Raises `Gone`.
        """
        task = asyncio.create_task(sending)
        try:
            while not task.done():
                reading = self._read()
                await asyncio.wait({task, reading}, return_when=asyncio.FIRST_COMPLETED)
                if not task.done() and not await on_message(self._take()):
                    return
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _read(self) -> asyncio.Task[Message]:
        if self._reading is None:
            self._reading = asyncio.create_task(_receive(self._socket))
        return self._reading

    def _take(self) -> Message:
        """Return the result of the finished read."""
        reading, self._reading = self._reading, None
        assert reading is not None
        return reading.result()


async def _receive(socket: WebSocket) -> Message:
    incoming = await socket.receive()
    if incoming["type"] != "websocket.receive":
        raise Gone
    text, data = incoming.get("text"), incoming.get("bytes")
    return text if text is not None else data or b""
