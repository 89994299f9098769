"""A WebSocket as a measurement needs it: opened and greeted before the turn, read as it arrives.

The protocol (RFC 6455) is spoken by the `websockets` package, by the part of it that does no I/O;
reading and writing are done here, on a connection of our own (`dialling`). So a message is in hand
in the thread that waits for it, without a hand-over from another; every wait has our limits; and no
closing handshake that never comes can hold anybody up.

Compression, redirects, proxies and retries are off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import httpcore
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from voicebench.errors import UsageError
from voicebench.events import Connected, Stage
from voicebench.remote.connection.access import Access, address_of, shown
from voicebench.remote.connection.connecting import ConnectionAttempt
from voicebench.remote.connection.dialling import Connection, dial, trust
from voicebench.remote.connection.open_socket import (
    READ_BYTES,
    Beginning,
    Incoming,
    OpenSocket,
    SetAside,
    feed,
    flush,
)
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.failure import RemoteError, message_in, quote

MAX_MESSAGE_BYTES = 8 << 20
"""Bytes of one message."""
CLOSE_S = 1.0
"""How long the peer may take to answer our farewell."""
_NO_HANDSHAKE = "took the connection and did not end the WebSocket handshake"
# A logger of its own, attached to nothing: the library's would show the key when debugging is on.
_SILENT = logging.Logger("voicebench.websocket", level=logging.CRITICAL)


class SocketLine:
    """One WebSocket URL, with at most one open connection.

    ``greet`` sets a session up on a new connection, before any turn; its time belongs to
    connecting. ``stage`` is the engine's, for failures. One thread may send while another receives.
    Raises `voicebench.errors.UsageError` for a URL or a key that cannot be.
    """

    def __init__(
        self,
        url: str,
        access: Access,
        stage: Stage,
        *,
        subprotocol: str | None = None,
        greet: Callable[[SocketLine, WaitBudget], None] | None = None,
    ) -> None:
        self.access = access
        self.stage: Stage = stage
        self.secrets = access.secrets()
        self.shown_url = self.secrets.hidden_in(shown(url))
        self._url = url
        self._address = address_of(url, "ws", "wss")
        if access.proxy or access.http2:
            raise UsageError(f"{self.shown_url}: a WebSocket takes neither a proxy nor HTTP/2")
        self._tls = trust(access.ca_file) if self._address.tls else None
        self._headers = access.request_headers()
        self._subprotocol = subprotocol
        self._greet = greet
        self._open: OpenSocket | None = None
        self.set_aside = SetAside()
        """What came between two turns, on whichever connection."""

    def check(self) -> None:
        """Open the connection, or raise `RemoteError` naming the URL."""
        self._ensure_open()

    def prepare(self) -> None:
        """Leave an open connection for the next turn, or none where every turn connects anew."""
        if self.access.cold:
            self.drop()
        else:
            self._ensure_open()

    def begin(self) -> tuple[Connected, WaitBudget]:
        """Begin an exchange: return the connection, opened now if none is, and its limits."""
        patience = self.new_patience()
        opened = self._ensure_open(patience)
        patience.begin_exchange()
        opened.uses += 1
        opened.start_turn()
        reused = opened.uses > 1
        connected = Connected(
            opened.connect_ms,
            reused,
            opened.connection.number,
            in_turn=opened.connection.in_turn and not reused,
        )
        return connected, patience

    def end(self) -> None:
        """End the exchange in peace; the connection serves on."""
        if self._open is not None:
            self._open.end_turn()

    def new_patience(self) -> WaitBudget:
        """Return the limits of an exchange that begins now."""
        return WaitBudget(
            self.access.timeouts,
            peer=self.shown_url,
            stage=self.stage,
            deadline=self.access.deadline,
        )

    def send(self, message: str | bytes, patience: WaitBudget) -> None:
        """Send one message."""
        self._current().send(message, patience)

    def receive(self, patience: WaitBudget) -> Incoming:
        """Return the next message, the moment it is whole. Raises `RemoteError`."""
        while isinstance(incoming := self.receive_part(patience), Beginning):
            pass
        return incoming

    def receive_part(self, patience: WaitBudget) -> Incoming | Beginning:
        """Return the next message; before it, where it comes in pieces, that it has begun."""
        return self._current().receive(patience)

    def clear(self) -> None:
        """Set aside what is there, for nothing has been asked that it could answer."""
        self._current().clear()

    def received(self) -> list[Incoming]:
        """Return the messages that are there already; nothing is waited for."""
        return self._current().received()

    def drop_used(self, linger_s: float = 0.0) -> None:
        """Hang up a connection that has served a turn, after it was listened to for so long."""
        if self._open is not None and self._open.uses:
            self._open.linger(linger_s)
            self.drop()

    def failure(self, what: str, remedy: str = "", *, fault: str = "protocol") -> RemoteError:
        """Return the error that ``what`` (a verb and its object) befell the exchange."""
        return RemoteError(
            f"{self.shown_url} {self.secrets.hidden_in(what)}",
            self.secrets.hidden_in(remedy),
            fault=fault,  # type: ignore[arg-type]
            stage=self.stage,
        )

    def quote(self, text: str) -> str:
        """Return the server's words as an error may show them."""
        return quote(text, self.secrets)

    def drop(self) -> None:
        """Hang up, after a turn that failed or was given up; the peer is not waited for."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.close(0)

    def interrupt(self) -> None:
        """Make whoever receives fail at once; called from another thread."""
        opened = self._open
        if opened is not None:
            opened.connection.interrupt()

    def close(self) -> None:
        """Say goodbye and hang up, at the latest after `CLOSE_S`."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.close(CLOSE_S)

    def _current(self) -> OpenSocket:
        if self._open is None:
            raise self.failure("has no open connection")
        return self._open

    def _ensure_open(self, patience: WaitBudget | None = None) -> OpenSocket:
        """Return the open connection, else a new one; ``patience`` is that of a waiting turn."""
        if self._open is not None and not self._open.lapsed():
            return self._open
        self.drop()
        timeouts = self.access.timeouts
        limit = timeouts.to_connect() if patience is None else patience.to_connect()
        opening = ConnectionAttempt(self.shown_url, limit)
        connection = dial(self._address, peer=self.shown_url, limit=limit, tls=self._tls)
        try:
            protocol, first_frames = self._handshake(connection, opening)
        except BaseException:
            connection.close()
            raise
        self._open = OpenSocket(connection, protocol, self, first_frames)
        try:
            if self._greet is not None:
                # Between turns the deadline is that of a turn which is over.
                greeting = patience or WaitBudget(timeouts, peer=self.shown_url, stage=self.stage)
                greeting.begin_exchange()
                self._greet(self, greeting)
        except RemoteError as error:
            self.drop()
            if error.stage is not None:
                raise
            # What was said is none of the protocol, so whoever found that knows no URL.
            raise self.failure(self.quote(error.message), error.remedy, fault=error.fault) from None
        except BaseException:
            self.drop()
            raise
        self._open.connect_ms = opening.took_ms()
        self._open.end_turn()
        return self._open

    def _handshake(
        self, connection: Connection, opening: ConnectionAttempt
    ) -> tuple[ClientProtocol, bytes]:
        """Return the protocol once it is open, and the bytes of frames that came with that."""
        subprotocols = [Subprotocol(self._subprotocol)] if self._subprotocol else None
        try:
            protocol = ClientProtocol(
                parse_uri(self._url),
                subprotocols=subprotocols,
                max_size=MAX_MESSAGE_BYTES,
                logger=_SILENT,
            )
        except InvalidURI as error:
            raise UsageError(f"{self.shown_url} is no URL of a WebSocket ({error.msg})") from None
        request = protocol.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        protocol.send_request(request)
        received = b""
        try:
            flush(connection, protocol, opening.left_s(_NO_HANDSHAKE))
            while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
                if not connection.wait(opening.left_s(_NO_HANDSHAKE)):
                    raise opening.run_out(_NO_HANDSHAKE)
                data = connection.read_now(READ_BYTES)
                feed(protocol, data)
                received += data or b""
        except httpcore.NetworkError as error:
            raise self._refusal(f"broke the connection off ({error})") from None
        except httpcore.WriteTimeout:
            raise opening.run_out(_NO_HANDSHAKE) from None
        if protocol.handshake_exc is not None:
            raise self._no_handshake(protocol.handshake_exc)
        return protocol, received.partition(b"\r\n\r\n")[2]

    def _no_handshake(self, error: Exception) -> RemoteError:
        if isinstance(error, InvalidStatus):
            status = error.response.status_code
            body = bytes(error.response.body or b"").decode("utf-8", "replace")
            said = self.quote(message_in(body))
            where = error.response.headers.get("Location")
            if 300 <= status < 400 and where:
                return self._refusal(f"redirects to {shown(where)}", "use that URL")
            return self._refusal(
                f"answers {status} instead of opening a WebSocket" + (f": {said}" if said else ""),
                "check the URL's path" + (_key_remedy(self.access) if status in (401, 403) else ""),
            )
        kind = "protocol" if isinstance(error, InvalidHandshake) else "refused"
        return self._refusal(f"opens no WebSocket ({self.quote(str(error))})", fault=kind)

    def _refusal(self, what: str, remedy: str = "", *, fault: str = "refused") -> RemoteError:
        failure = self.failure(what, remedy, fault=fault)
        failure.stage = "connect"
        return failure


def _key_remedy(access: Access) -> str:
    # Many servers answer 403 to an unknown path as well as to a wrong key.
    if access.key is None:
        return ", or name the environment variable that holds the server's key"
    return f", and the key in environment variable {access.key.variable}"
