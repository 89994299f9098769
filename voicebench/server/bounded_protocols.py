"""uvicorn's two protocols, with bounds that uvicorn does not set (see `connections`).

This is the only module that relies on undocumented hooks of uvicorn's classes.
`tests/server/test_connections.py` tests what each of them is for.
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
from voicebench.server.connections import MAX_HEAD_BYTES, MAX_HEADERS, ClientConnection, Connections

MAX_FRAGMENTS = 1024
"""Frames of one message."""


class Gathered:
    """A transport that sends all writes of one round of the event loop in one piece.

    uvicorn writes the head and the first bytes of the body one after the other. Sent in two pieces,
    the head alone would wake the client, which on a small machine takes the server's core.

    ``left_unread`` is called with the protocol when a connection is closed before its client has
    taken everything: its transport would wait for ever.
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
        """Bytes that were passed on so far."""

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
        """Return how many of them the client's system has taken."""
        return self.sent - self._transport.get_write_buffer_size()

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of the transport."""
        return getattr(self._transport, name)

    def _flush(self) -> None:
        data, self._written = b"".join(self._written), []
        # The connection may have been closed meanwhile.
        if data and not self._transport.is_closing():
            self.sent += len(data)
            self._transport.write(data)


def http_protocol(connections: Connections) -> type[HttpToolsProtocol]:
    """Return the class of a server's HTTP connections, which count in ``connections``."""
    return type("Http", (HttpConnection,), {"known": connections})


def socket_protocol(connections: Connections) -> type[WebSocketsSansIOProtocol]:
    """Return the class of a server's WebSockets, which count in ``connections``."""
    return type("Socket", (SocketConnection,), {"known": connections})


class HttpConnection(ClientConnection, HttpToolsProtocol):
    """An HTTP connection: notes arrivals, gathers writes, limits the time of a head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        gathered = Gathered(transport, self.known.falls_behind)
        super().connection_made(gathered)  # type: ignore[arg-type]
        self._became_socket = False
        self._head: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self.idle_since = now_s()
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
        """Take the next bytes. The time and the size of a head are limited."""
        # `super` starts the task that answers, which inherits the note.
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
        """Take a header. Raises `httptools.HttpParserError` if there are too many."""
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS or len(value) > MAX_HEAD_BYTES:
            raise httptools.HttpParserError("too many headers")

    def on_headers_complete(self) -> None:
        """Begin the request whose head is complete."""
        self._head_ended()
        self.idle_since = None
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for it."""
        super().on_response_complete()
        if not self._answers():
            self.idle_since = now_s()  # the loop's own clock has steps of a millisecond

    def handle_websocket_upgrade(self) -> None:
        """Become a WebSocket, if there is room for one."""
        self._became_socket = self.known.has_room_for_socket()
        if self._became_socket:
            super().handle_websocket_upgrade()
        else:
            self._refuse(b"503 Service Unavailable")

    def _answers(self) -> bool:
        """Return whether a request is under way."""
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
        """Answer with an error status, and close."""
        self._head_ended()
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status
            )
            self.transport.close()


class SocketConnection(ClientConnection, WebSocketsSansIOProtocol):
    """A WebSocket whose client cannot make the server store anything without limit."""

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
        """Answer a ping. If the client does not read, answer only the last one, and later."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            # The first of several pings that arrived together finds the answers to all of them.
            self._late_pong = self.conn.data_to_send()[-1:] or self._late_pong

    def handle_cont(self, event: Frame) -> None:
        """Take a further frame of a message."""
        if len(self.frames) >= MAX_FRAGMENTS:
            self._fail(CloseCode.MESSAGE_TOO_BIG)
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Pass a whole message on. Text that is not UTF-8 ends the connection."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_DATA)
                return
        super().send_receive_event_to_app()

    def resume_writing(self) -> None:
        """Go on sending, and answer the last ping."""
        super().resume_writing()
        pong, self._late_pong = b"".join(self._late_pong), []
        if pong:
            self.transport.write(pong)

    def _fail(self, code: CloseCode) -> None:
        """End the connection because the client broke the protocol."""
        self.frames = []
        if self.close_sent:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": int(code), "reason": ""})
        with contextlib.suppress(Exception):
            self.conn.send_close(code)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
