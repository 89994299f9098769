"""A WebSocket for measurements: opened and set up before the turn, read as it arrives.

The `websockets` package speaks the protocol (RFC 6455), by its part that does no I/O. We read and
write on a connection of our own. So a message is available in the thread that waits for it, without
a hand-over from another thread; every wait has our limits; and a missing closing handshake cannot
block. Compression, redirects, proxies and retries are off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

import httpcore
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from voicebench.errors import UsageError
from voicebench.events import Connected, Fault, Stage
from voicebench.remote.connection.access import Access, address_of, shown
from voicebench.remote.connection.connecting import ConnectionAttempt
from voicebench.remote.connection.connection import Connection, connect, tls_context
from voicebench.remote.connection.open_socket import READ_BYTES, OpenSocket, SetAside, flush
from voicebench.remote.connection.peer import Peer
from voicebench.remote.connection.socket_messages import Beginning, Incoming, feed
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.failure import RemoteError, message_in

MAX_MESSAGE_BYTES = 8 << 20
"""Bytes of one message."""
CLOSE_S = 1.0
"""How long to wait for the peer's close frame."""
NO_HANDSHAKE = "took the connection and did not end the WebSocket handshake"
# Attached to nothing, because the library's own logger would show the key at debug level.
_SILENT = logging.Logger("voicebench.websocket", level=logging.CRITICAL)


class SocketService(Peer):
    """The server at one WebSocket URL, with at most one open connection.

    ``set_up`` prepares a session on a new connection, before any turn; its time belongs to
    connecting. One thread may send while another receives. Raises `voicebench.errors.UsageError`
    for a URL or a key that cannot be used.
    """

    def __init__(
        self,
        url: str,
        access: Access,
        stage: Stage,
        *,
        subprotocol: str | None = None,
        set_up: Callable[[SocketService, WaitBudget], None] | None = None,
    ) -> None:
        super().__init__(url, access, stage)
        self._url = url
        self._address = address_of(url, "ws", "wss")
        if access.proxy or access.http2:
            setting = "wire.proxy" if access.proxy else "wire.http2"
            raise UsageError(
                f"{self.shown_url}: a WebSocket takes neither a proxy nor HTTP/2",
                f"take {setting} out of the settings",
            )
        self._tls = tls_context(access.ca_file) if self._address.tls else None
        self._headers = access.request_headers()
        self._subprotocol = subprotocol
        self._set_up = set_up
        self._open: OpenSocket | None = None
        self._is_ready = False
        """Whether the open connection was looked after for the exchange that begins."""
        self.set_aside = SetAside()
        """What came between two turns, on any connection."""

    @property
    def url(self) -> str:
        """The URL as it was given, secrets included: never show it."""
        return self._url

    def check(self) -> None:
        """Open the connection, or raise `RemoteError` naming the URL."""
        self._ensure_open()

    def prepare(self) -> None:
        """Leave an open connection for the next turn, or none where every turn connects anew."""
        if self.access.cold:
            self.drop()
        else:
            self._ensure_open()

    def make_ready(self) -> None:
        """Look after the open connection at the last moment before a turn.

        `begin` has less to do then, while the turn waits. A connection that has lapsed, or on which
        something is wrong, is left to `begin`.
        """
        self._is_ready = False
        with suppress(RemoteError):
            if self._open is not None and not self._open.lapsed():
                self._open.start_turn()
                self._is_ready = True

    def begin(self) -> tuple[Connected, WaitBudget]:
        """Begin an exchange: return its connection, opened now if none is, and its limits."""
        budget = self.wait_budget()
        is_ready, self._is_ready = self._is_ready, False
        opened = self._current() if is_ready else self._ensure_open(budget)
        budget.begin_exchange()
        connected = opened.connection.begin_use()
        if not is_ready:
            opened.start_turn()
        return connected, budget

    def end(self) -> None:
        """End the exchange; the connection can serve another one."""
        if self._open is not None:
            self._open.end_turn()

    def send(self, message: str | bytes, budget: WaitBudget) -> None:
        """Send one message. Raises `RemoteError`."""
        self._current().send(message, budget)

    def receive(self, budget: WaitBudget) -> Incoming:
        """Return the next message, the moment it is whole. Raises `RemoteError`."""
        while isinstance(incoming := self.receive_part(budget), Beginning):
            pass
        return incoming

    def receive_part(self, budget: WaitBudget) -> Incoming | Beginning:
        """Return the next message; before it, if it comes in several reads, its beginning."""
        return self._current().receive(budget)

    def clear(self) -> None:
        """Set aside what has come: it cannot answer a request that is not sent yet."""
        self._current().clear()

    def received(self) -> list[Incoming]:
        """Return the messages that are there already, without waiting."""
        return self._current().received()

    def fileno(self) -> int:
        """Return the descriptor of the open connection."""
        return self._current().connection.socket.fileno()

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to read, or for ``seconds``; return whether there is."""
        return self._current().wait(seconds)

    def arrived(self) -> list[Incoming]:
        """Return the messages that have come, without waiting. Raises `RemoteError` at the end."""
        return self._current().arrived()

    def greeting(self, seconds: float) -> list[str | bytes]:
        """Return what comes on the open connection within ``seconds``, before any turn."""
        opened = self._current()
        opened.linger(seconds)
        return [*self.set_aside.take(), *(incoming.data for incoming in opened.received())]

    def drop_used(self, linger_s: float = 0.0) -> None:
        """Hang up a connection that has served a turn, after listening for ``linger_s``."""
        if self._open is not None and self._open.connection.uses:
            self._open.linger(linger_s)
            self.drop()

    def drop(self) -> None:
        """Hang up without waiting for the peer, after a turn that failed or was given up."""
        opened, self._open = self._open, None
        self._is_ready = False
        if opened is not None:
            opened.close(0)

    def interrupt(self) -> None:
        """Make a running receive fail at once; called from another thread."""
        opened = self._open
        if opened is not None:
            opened.connection.interrupt()

    def close(self) -> None:
        """Close the connection properly, within `CLOSE_S`."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.close(CLOSE_S)

    def _current(self) -> OpenSocket:
        if self._open is None:
            raise self.failure("has no open connection")
        return self._open

    def _ensure_open(self, budget: WaitBudget | None = None) -> OpenSocket:
        """Return the open connection, else a new one; ``budget`` is that of a waiting turn."""
        if self._open is not None and not self._open.lapsed():
            return self._open
        self.drop()
        attempt = ConnectionAttempt(self, budget)
        connection = connect(self._address, attempt, self._tls)
        try:
            protocol, first_frames = self._handshake(connection, attempt)
        except BaseException:
            connection.close()
            raise
        self._open = OpenSocket(connection, protocol, self, self.set_aside, first_frames)
        try:
            if self._set_up is not None:
                set_up_budget = budget or self.wait_budget(in_turn=False)
                set_up_budget.begin_exchange()
                with self.adding_context():
                    self._set_up(self, set_up_budget)
        except BaseException:
            self.drop()
            raise
        connection.connect_ms = attempt.took_ms()
        self._open.end_turn()
        return self._open

    def new_protocol(self) -> ClientProtocol:
        """Return the protocol of a new connection, which has the handshake's request to send."""
        try:
            protocol = ClientProtocol(
                parse_uri(self._url),
                subprotocols=[Subprotocol(self._subprotocol)] if self._subprotocol else None,
                max_size=MAX_MESSAGE_BYTES,
                logger=_SILENT,
            )
        except InvalidURI as error:
            raise UsageError(f"{self.shown_url} is not a WebSocket URL ({error.msg})") from None
        request = protocol.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        protocol.send_request(request)
        return protocol

    def _handshake(
        self, connection: Connection, attempt: ConnectionAttempt
    ) -> tuple[ClientProtocol, bytes]:
        """Return the opened protocol, and the bytes of frames that came with the handshake."""
        protocol = self.new_protocol()
        received = b""
        try:
            flush(connection, protocol, attempt.left_s(NO_HANDSHAKE))
            while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
                if not connection.wait(attempt.left_s(NO_HANDSHAKE)):
                    raise attempt.timeout_error(NO_HANDSHAKE)
                data = connection.read_now(READ_BYTES)
                feed(protocol, data)
                received += data or b""
        except httpcore.NetworkError as error:
            raise self.refusal(f"closed the connection early ({error})") from None
        except httpcore.WriteTimeout:
            raise attempt.timeout_error(NO_HANDSHAKE) from None
        if protocol.handshake_exc is not None:
            raise self.handshake_error(protocol.handshake_exc)
        return protocol, received.partition(b"\r\n\r\n")[2]

    def handshake_error(self, error: Exception) -> RemoteError:
        """Return the error for a handshake that failed with ``error``, the protocol's own."""
        if not isinstance(error, InvalidStatus):
            fault: Fault = "protocol" if isinstance(error, InvalidHandshake) else "refused"
            return self.refusal(f"opens no WebSocket ({self.quote(str(error))})", fault=fault)
        status = error.response.status_code
        where = error.response.headers.get("Location")
        if 300 <= status < 400 and where:
            return self.refusal(f"redirects to {shown(where)}", "use that URL")
        body = bytes(error.response.body or b"").decode("utf-8", "replace")
        words = self.quote(message_in(body))
        remedy = "check the URL's path"
        if status in (401, 403):
            key = self.access.key
            about_key = (
                "name the environment variable that holds the server's key: --key-env VARIABLE"
                if key is None
                else f"check the key in the environment variable {key.variable}"
            )
            # Many servers answer 403 to an unknown path as well as to a wrong key.
            remedy = about_key if status == 401 else f"{remedy}, or {about_key}"
        return self.refusal(
            f"answers {status} instead of opening a WebSocket" + (f": {words}" if words else ""),
            remedy,
        )

    def refusal(self, what: str, remedy: str = "", *, fault: Fault = "refused") -> RemoteError:
        """Return the error that the server did ``what`` instead of opening a WebSocket."""
        return self.failure(what, remedy, fault=fault, stage="connect")
