"""One connection: opened within a time limit, timed, and read without waiting for more bytes.

`connect` looks the name up, connects by TCP and does the TLS handshake, all within one limit, and
keeps how long that took. `Connection` implements httpcore's stream interface, so the same object
carries HTTP/1.1, HTTP/2 and, through its plain socket, a WebSocket.

**Arrivals.** A read either has to wait for the peer, or finds bytes that have been waiting. Only
after a wait is the moment known at which the bytes came. `Connection.arrivals` counts the waits. If
two pieces of an answer have the same count, no wait separated them, so the gap between them is not
the server's. Under TLS, bytes can be read only when their whole record has come.

`Connection.read_ns` is the moment of the latest read, on the recorder's clock. What the bytes hold
was in hand then, however long it takes to take them apart.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import select
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import httpcore

from voicebench.errors import UsageError
from voicebench.events import Connected
from voicebench.remote.connection import kernel_stamps
from voicebench.remote.connection.access import Address
from voicebench.remote.connection.connecting import (
    ConnectionAttempt,
    cause_of,
    connect_tcp,
    resolve,
    tls_failure,
)
from voicebench.remote.connection.response_heads import ResponseHeads
from voicebench.remote.connection.timeouts import BudgetedTimeout, seconds_left

MOST_FOR_SELECT = 1024
"""``FD_SETSIZE``: `select.select` takes no descriptor from this number on."""
_NO_TLS = "took the connection and did not end the TLS handshake"
_NOTHING_THERE = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_numbers = itertools.count(1)


class Connection(httpcore.NetworkStream):
    """An open connection.

    ``number`` is unique in this process, ``connect_ms`` is how long opening took, ``uses`` counts
    the exchanges it has served.
    """

    def __init__(self, sock: socket.socket, attempt: ConnectionAttempt) -> None:
        self.number = next(_numbers)
        self.uses = 0
        self.arrivals = 0
        self.read_ns = 0
        self.closed = False
        self.socket = sock
        kernel_stamps.ask(sock)
        self._attempt = attempt
        self._heads = ResponseHeads()
        self._port = _own_port(sock)
        self.connect_ms = attempt.took_ms()

    def begin_use(self) -> Connected:
        """Count one more exchange, and return the event that describes the connection to it."""
        self.uses += 1
        is_reused = self.uses > 1
        in_turn = self._attempt.in_turn and not is_reused
        return Connected(self.connect_ms, is_reused, self.number, in_turn=in_turn, port=self._port)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what is there, up to ``max_bytes``; wait only where nothing is."""
        while data := self._read(max_bytes, timeout):
            if parsable := self._heads.feed(data):
                return parsable
        return b""

    def _read(self, max_bytes: int, timeout: float | None) -> bytes:
        # First of all: the time may be over although bytes keep coming.
        seconds = seconds_left(timeout)
        try:
            self.socket.settimeout(0)
            with contextlib.suppress(*_NOTHING_THERE):
                return self._receive(max_bytes)
            self.arrivals += 1
            self.socket.settimeout(seconds)
            return self._receive(max_bytes)
        except TimeoutError:
            raise _timeout_error(timeout, httpcore.ReadTimeout()) from None
        except OSError as error:
            raise httpcore.ReadError(cause_of(error)) from None

    def _receive(self, max_bytes: int) -> bytes:
        data = kernel_stamps.receive(self.socket, max_bytes)
        self.read_ns = time.perf_counter_ns()
        return data

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to read, or for ``seconds``; tell whether there is."""
        if self.has_pending or _readable(self.socket):
            return True
        self.arrivals += 1
        return bool(_poll(self.socket, select.POLLIN, seconds))

    def wait_exactly(self, seconds: float) -> bool:
        """Do the same, and end the wait within microseconds: `wait` rounds up to milliseconds."""
        sock = self.socket
        if self.has_pending or not 0 <= sock.fileno() < MOST_FOR_SELECT:
            return self.wait(seconds)
        return bool(select.select((sock,), (), (), seconds)[0])

    @property
    def has_pending(self) -> bool:
        """Whether decrypted bytes are there already, of which the system does not tell."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def read_now(self, max_bytes: int) -> bytes | None:
        """Return what is there; None where nothing is, no bytes where the peer hung up."""
        try:
            self.socket.settimeout(0)
            return self._receive(max_bytes)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError as error:
            raise httpcore.ReadError(cause_of(error)) from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of ``buffer``."""
        self._heads.expect()
        try:
            left = memoryview(buffer)
            while left:
                self.socket.settimeout(seconds_left(timeout))
                left = left[self.socket.send(left) :]
        except TimeoutError:
            raise _timeout_error(timeout, httpcore.WriteTimeout()) from None
        except OSError as error:
            raise httpcore.WriteError(cause_of(error)) from None

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Connection:
        """Encrypt the connection, unless it is already; one limit spans TCP and TLS."""
        if self.encrypted:
            return self
        try:
            self.socket.settimeout(self._attempt.left_s(_NO_TLS))
            self.socket = ssl_context.wrap_socket(self.socket, server_hostname=server_hostname)
        except TimeoutError:
            self.close()
            raise self._attempt.timeout_error(_NO_TLS) from None
        except OSError as error:
            self.close()
            raise tls_failure(self._attempt, error) from None
        self.connect_ms = self._attempt.took_ms()
        if isinstance(timeout, BudgetedTimeout):
            timeout.budget.begin_exchange()
        return self

    def get_extra_info(self, info: str) -> Any:
        """Answer httpcore's questions about the connection."""
        if info == "ssl_object":
            return self.socket if self.encrypted else None
        if info == "is_readable":
            return self.closed or _readable(self.socket)
        return self.socket if info == "socket" else None

    @property
    def encrypted(self) -> bool:
        """Whether it uses TLS by now."""
        return isinstance(self.socket, ssl.SSLSocket)

    def lapsed(self) -> bool:
        """Tell whether it can serve no further exchange: closed here, or by the peer.

        The peer may have closed its side although unread bytes are still there. Where the system
        does not report that (macOS), a peek beneath TLS finds the end if no bytes are before it.
        """
        if self.closed:
            return True
        hangup = getattr(select, "POLLRDHUP", 0)
        ended = hangup | select.POLLHUP | select.POLLERR
        if _poll(self.socket, select.POLLIN | hangup) & ended:
            return True
        if hangup or not _readable(self.socket):
            return False
        try:
            return not socket.socket.recv(self.socket, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return True

    def close(self) -> None:
        """Close it; the peer learns of it at once."""
        self.closed = True
        self.socket.close()

    def interrupt(self) -> None:
        """Make a running read fail; called from another thread. The connection is dead then."""
        with contextlib.suppress(OSError):  # Hung up already.
            self.socket.shutdown(socket.SHUT_RDWR)


def connect(
    address: Address, attempt: ConnectionAttempt, tls: ssl.SSLContext | None = None
) -> Connection:
    """Open a connection, encrypted if there is ``tls``. Raises `RemoteError`, stage ``connect``."""
    connection = Connection(connect_tcp(resolve(address, attempt), attempt), attempt)
    return connection if tls is None else connection.start_tls(tls, address.host)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return the rules of TLS: certificates are checked against the system's and ``ca_file``.

    Raises `UsageError` where ``ca_file`` cannot be read.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise UsageError(f"certificates in {ca_file} cannot be read ({error})") from None
    return context


def _own_port(sock: socket.socket) -> int:
    with contextlib.suppress(OSError, IndexError, TypeError):
        return int(sock.getsockname()[1])
    return 0


def _timeout_error(timeout: float | None, otherwise: Exception) -> Exception:
    return timeout.budget.timeout_error() if isinstance(timeout, BudgetedTimeout) else otherwise


def _readable(sock: socket.socket) -> bool:
    return bool(_poll(sock, select.POLLIN))


def _poll(sock: socket.socket, events: int, seconds: float = 0) -> int:
    """Return those of ``events`` that happen within ``seconds``, 0 for none."""
    if sock.fileno() < 0:
        return select.POLLHUP
    poll = select.poll()
    poll.register(sock, events)
    # Rounded up: a wait that ends early would be followed by many waits of no time.
    ready = poll.poll(math.ceil(seconds * 1000))
    return ready[0][1] if ready else 0
