"""A socket's two directions at once: what is sent goes on while what comes in is listened to.

Without listening, a client that leaves in the middle of a turn would be noticed only by what can no
longer be sent, and the turn would go on for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from starlette.websockets import WebSocket

Message = str | bytes


class Gone(Exception):
    """The client closed the socket, or it broke."""


class Inbox:
    """What comes in over ``socket``. One read is always under way, and none is ever given up."""

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
        """Run ``sending`` to its end, and hear what comes in meanwhile.

        ``on_message`` says whether to go on; where it says no, and where the client leaves,
        ``sending`` is cancelled. Raises `Gone`.
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
        """Return what the finished read brought."""
        reading, self._reading = self._reading, None
        assert reading is not None
        return reading.result()


async def _receive(socket: WebSocket) -> Message:
    incoming = await socket.receive()
    if incoming["type"] != "websocket.receive":
        raise Gone
    text, data = incoming.get("text"), incoming.get("bytes")
    return text if text is not None else data or b""
