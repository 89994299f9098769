"""One connection: opened within a time, timed, and read without waiting for more than there is.

`dial` looks the name up, connects by TCP and shakes hands for TLS, all within one limit, and
remembers how long that took. `Connection` then speaks httpcore's stream interface, so the same
object carries HTTP/1.1, HTTP/2 and, through its plain socket, a WebSocket.

**Arrivals.** Each read either had to wait for the peer, or found bytes that had been waiting. Only
after a wait is the moment at which the bytes came known. `Connection.arrivals` counts the waits:
what two pieces of an answer with the same count have between them is not the peer's time. Under TLS
nothing is there before a record is whole, however many bytes of it have come.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import select
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpcore

from voicebench.errors import UsageError
from voicebench.remote.connection.access import Address
from voicebench.remote.connection.connecting import (
    ConnectionAttempt,
    cause_of,
    connect_tcp,
    resolve,
)
from voicebench.remote.connection.head_lines import HeadLines
from voicebench.remote.connection.timeouts import Allowance, ConnectLimit, seconds_of

_NO_TLS = "took the connection and did not end the TLS handshake"
_numbers = itertools.count(1)


class Connection(httpcore.NetworkStream):
    """An open connection and what is known of it.

    ``number`` tells it from every other of this process; ``connect_ms`` is what opening it took,
    ``in_turn`` whether a turn waited for that; ``uses`` counts the exchanges that it served.
    """

    def __init__(self, sock: socket.socket, opening: ConnectionAttempt) -> None:
        self.number = next(_numbers)
        self.uses = 0
        self.arrivals = 0
        self.closed = False
        self.in_turn = opening.limit.in_turn
        self.socket = sock
        self._opening = opening
        self._head = HeadLines()
        self.connect_ms = opening.took_ms()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what is there, up to ``max_bytes``; wait only where nothing is."""
        while data := self._read(max_bytes, timeout):
            if lines := self._head.feed(data):
                return lines
        return b""

    def _read(self, max_bytes: int, timeout: float | None) -> bytes:
        # Before anything else: time may have run out though bytes keep coming.
        seconds = seconds_of(timeout)
        try:
            self.socket.settimeout(0)
            with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return self.socket.recv(max_bytes)
            # Nothing is there, or under TLS less than a record, which is nothing yet.
            self.arrivals += 1
            self.socket.settimeout(seconds)
            return self.socket.recv(max_bytes)
        except TimeoutError:
            raise _run_out(timeout, httpcore.ReadTimeout()) from None
        except OSError as error:
            raise httpcore.ReadError(cause_of(error)) from None

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to read, or for ``seconds``; say whether there is."""
        if self._holds_bytes():
            return True
        self.arrivals += 1
        return bool(_poll(self.socket, select.POLLIN, seconds))

    def read_now(self, max_bytes: int) -> bytes | None:
        """Return what is there; None where nothing is, no bytes where the peer hung up."""
        try:
            self.socket.settimeout(0)
            return self.socket.recv(max_bytes)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError as error:
            raise httpcore.ReadError(cause_of(error)) from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of ``buffer``."""
        self._head.expect()
        try:
            left = memoryview(buffer)
            while left:
                self.socket.settimeout(seconds_of(timeout))
                left = left[self.socket.send(left) :]
        except TimeoutError:
            raise _run_out(timeout, httpcore.WriteTimeout()) from None
        except OSError as error:
            raise httpcore.WriteError(cause_of(error)) from None

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Connection:
        """Encrypt the connection, unless it was opened encrypted; one limit spans TCP and TLS."""
        if isinstance(self.socket, ssl.SSLSocket):
            return self
        try:
            self.socket.settimeout(self._opening.left_s(_NO_TLS))
            self.socket = ssl_context.wrap_socket(self.socket, server_hostname=server_hostname)
        except TimeoutError:
            self.close()
            raise self._opening.run_out(_NO_TLS) from None
        except OSError as error:
            self.close()
            raise self._opening.tls_failure(error) from None
        self.connect_ms = self._opening.took_ms()
        _begin_exchange(timeout)
        return self

    def get_extra_info(self, info: str) -> Any:
        """Answer httpcore's questions about the connection."""
        if info == "ssl_object":
            return self.socket if isinstance(self.socket, ssl.SSLSocket) else None
        if info == "is_readable":
            return self.closed or _readable(self.socket)
        return self.socket if info == "socket" else None

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken on it by now."""
        return isinstance(self.socket, ssl.SSLSocket)

    def lapsed(self) -> bool:
        """Whether the connection is of no more use: closed here, or hung up by the peer."""
        return self.closed or _hung_up(self.socket)

    def close(self) -> None:
        """Close it; the peer learns of it at once."""
        self.closed = True
        self.socket.close()

    def interrupt(self) -> None:
        """Wake up whoever reads from it, from another thread; it is of no use afterwards."""
        with contextlib.suppress(OSError):  # Hung up already.
            self.socket.shutdown(socket.SHUT_RDWR)

    def _holds_bytes(self) -> bool:
        sock = self.socket
        return (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0) or _readable(sock)


def dial(
    address: Address,
    *,
    peer: str,
    limit: ConnectLimit,
    tls: ssl.SSLContext | None = None,
) -> Connection:
    """Open a connection within ``limit``. ``peer`` is the URL as it may be shown.

    Raises `RemoteError` with stage ``connect``.
    """
    opening = ConnectionAttempt(peer, limit)
    connection = Connection(connect_tcp(resolve(address, opening), opening), opening)
    return connection if tls is None else connection.start_tls(tls, address.host)


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Return the TLS rules: certificates are checked, against the system's and ``ca_file``."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise UsageError(f"certificates in {ca_file} cannot be read ({error})") from None
    return context


def _begin_exchange(timeout: float | None) -> None:
    if isinstance(timeout, Allowance):
        timeout.patience.begin_exchange()


def _run_out(timeout: float | None, otherwise: Exception) -> Exception:
    return timeout.patience.run_out() if isinstance(timeout, Allowance) else otherwise


def _readable(sock: socket.socket) -> bool:
    return bool(_poll(sock, select.POLLIN))


def _hung_up(sock: socket.socket) -> bool:
    """Whether the peer has closed its side, though unread bytes may still be there.

    Where the system cannot say (macOS), a peek beneath TLS finds the end if nothing is before it.
    """
    rdhup = getattr(select, "POLLRDHUP", 0)
    if _poll(sock, select.POLLIN | rdhup) & (rdhup | select.POLLHUP | select.POLLERR):
        return True
    if rdhup or not _readable(sock):
        return False
    try:
        return not socket.socket.recv(sock, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return True


def _poll(sock: socket.socket, events: int, seconds: float = 0) -> int:
    if sock.fileno() < 0:
        return select.POLLHUP
    poll = select.poll()
    poll.register(sock, events)
    # Rounded up: a wait that ends early would be followed by a wait of nothing, again and again.
    ready: Iterable[tuple[int, int]] = poll.poll(math.ceil(seconds * 1000))
    return next((happened for _, happened in ready), 0)
