"""uvicorn's two protocols, with the bounds that it does not set itself (see `connections`).

What is written here relies on hooks of uvicorn's classes that have no promise behind them, so it is
the one place that does; `tests/server/test_connections.py` holds what each of them is for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from voicebench.server.clock import note_arrival, now_s
from voicebench.server.connections import MAX_HEAD_BYTES, MAX_HEADERS, Connections

MAX_FRAGMENTS = 1024
"""Frames of one message."""


class Gathered:
    """A transport that sends what one round of the event loop writes in one piece.

    uvicorn writes a head and the first bytes of its body one after the other. Sent in two, the
    client wakes for the head alone, and on a small machine takes the server's core for it.

    ``left_unread`` is told of the protocol where a connection is closed whose client has not taken
    all: its transport would wait for ever.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        left_unread: Callable[[Any], None] = lambda _protocol: None,
    ) -> None:
        self._transport = transport
        self._left_unread = left_unread
        self._written: list[bytes] = []
        self.sent = 0
        """Bytes that were handed on so far."""

    def write(self, data: bytes) -> None:
        """Send ``data`` at the end of this round of the event loop."""
        if not self._written:
            asyncio.get_running_loop().call_soon(self._flush)
        self._written.append(data)

    def close(self) -> None:
        """Send what was written and close."""
        if self._transport.is_closing():
            return
        self._flush()
        self._transport.close()
        if self.taken() < self.sent:
            self._left_unread(self._transport.get_protocol())

    def taken(self) -> int:
        """Return how many of those the client's system has taken."""
        return self.sent - self._transport.get_write_buffer_size()

    def __getattr__(self, name: str) -> Any:
        """Be the transport in everything else."""
        return getattr(self._transport, name)

    def _flush(self) -> None:
        data, self._written = b"".join(self._written), []
        # The connection may have been broken off since.
        if data and not self._transport.is_closing():
            self.sent += len(data)
            self._transport.write(data)


def http_protocol(connections: Connections) -> type[HttpToolsProtocol]:
    """Return the class of a server's HTTP connections, which are all among ``connections``."""
    return type("Http", (HttpConnection,), {"known": connections})


def socket_protocol(connections: Connections) -> type[WebSocketsSansIOProtocol]:
    """Return the class of its WebSockets."""
    return type("Socket", (SocketConnection,), {"known": connections})


class HttpConnection(HttpToolsProtocol):
    """An HTTP connection: its arrivals noted, its writes gathered, its heads in time."""

    known: Connections
    transport: Any

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        gathered = Gathered(transport, self.known.falls_behind)
        super().connection_made(gathered)  # type: ignore[arg-type]
        self._became_socket = False
        self._head: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._idle_since: float | None = now_s()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        self.known.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.known.closed(self)
        self._head_ended()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Take the next bytes; those of a head begin its time, and are counted."""
        # The task that answers begins within, and takes the note along.
        note_arrival()
        super().data_received(data)
        if self._became_socket or self._answers() or self.transport.is_closing():
            return
        if self._head is None:
            self._head = self.loop.call_later(self.known.limits.head_s, self._head_is_late)
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Raises `httptools.HttpParserError` for one too many."""
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS or len(value) > MAX_HEAD_BYTES:
            raise httptools.HttpParserError("too many headers")

    def on_headers_complete(self) -> None:
        """Begin the request whose head is complete."""
        self._head_ended()
        self._idle_since = None
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request, or wait for it."""
        super().on_response_complete()
        if not self._answers():
            self._idle_since = now_s()  # the loop's own clock has steps of a millisecond

    def handle_websocket_upgrade(self) -> None:
        """Become a WebSocket, if there is room for one."""
        self._became_socket = self.known.has_room_for_socket()
        if self._became_socket:
            super().handle_websocket_upgrade()
        else:
            self._refuse(b"503 Service Unavailable")

    def pause_writing(self) -> None:
        """Watch a client that does not read."""
        super().pause_writing()
        self.known.falls_behind(self)

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()
        self.known.keeps_up(self)

    @property
    def idle_since(self) -> float | None:
        """Since when no request is under way; None: one is."""
        return self._idle_since

    def taken(self) -> int:
        """Return how many bytes of what was written the client has taken."""
        return int(self.transport.taken())

    def break_off(self) -> None:
        """Close it at once."""
        self.transport.abort()

    def _answers(self) -> bool:
        """Tell whether a request is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    def _head_ended(self) -> None:
        self._head_bytes = 0
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _head_is_late(self) -> None:
        self._head = None
        self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        """Answer what is no request, and close."""
        self._head_ended()
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status
            )
            self.transport.close()


class SocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket whose client cannot pile anything up here."""

    known: Connections
    transport: Any

    def connection_made(self, transport: Any) -> None:
        """Take the connection over from HTTP."""
        super().connection_made(transport)
        self._late_pong: list[bytes] = []
        self.known.became_socket(transport.get_protocol(), self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.known.closed(self)
        super().connection_lost(exc)

    def handle_ping(self) -> None:
        """Answer a ping; to a client that does not read only the last one, and later."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            # The first of several pings that came together finds the answers to all of them.
            self._late_pong = self.conn.data_to_send()[-1:] or self._late_pong

    def handle_cont(self, event: Frame) -> None:
        """Take a further frame of a message."""
        if len(self.frames) >= MAX_FRAGMENTS:
            self._fail(CloseCode.MESSAGE_TOO_BIG)
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hand a whole message on; text that is not UTF-8 ends the connection."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_DATA)
                return
        super().send_receive_event_to_app()

    def pause_writing(self) -> None:
        """Watch a client that does not read."""
        super().pause_writing()
        self.known.falls_behind(self)

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()
        self.known.keeps_up(self)
        pong, self._late_pong = b"".join(self._late_pong), []
        if pong:
            self.transport.write(pong)

    @property
    def idle_since(self) -> float | None:
        """Nobody can tell: a client may think before its next turn."""
        return None

    def taken(self) -> int:
        """Return how many bytes of what was written the client has taken."""
        return int(self.transport.taken())

    def break_off(self) -> None:
        """Close it at once."""
        self.transport.abort()

    def _fail(self, code: CloseCode) -> None:
        """End the connection for what the client did wrong."""
        self.frames = []
        if self.close_sent:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": int(code), "reason": ""})
        with contextlib.suppress(Exception):
            self.conn.send_close(code)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
