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
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpcore

from voicebench.errors import UsageError
from voicebench.remote.access import Address
from voicebench.remote.failure import RemoteError
from voicebench.remote.timeouts import Allowance, seconds_of

_numbers = itertools.count(1)
_Resolved = list[tuple[Any, ...]]


class Connection(httpcore.NetworkStream):
    """An open connection and what is known of it.

    ``number`` tells it from every other of this process; ``connect_ms`` is what opening it took;
    ``uses`` counts the exchanges that it served.
    """

    def __init__(self, sock: socket.socket, peer: str, connect_by: float, began: float) -> None:
        self.number = next(_numbers)
        self.uses = 0
        self.arrivals = 0
        self.closed = False
        self.socket = sock
        self._peer = peer
        self._connect_by = connect_by
        self._began = began
        self.connect_ms = (time.monotonic() - began) * 1000

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what is there, up to ``max_bytes``; wait only where nothing is."""
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
            raise httpcore.ReadError(_cause(error)) from None

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
            raise httpcore.ReadError(_cause(error)) from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of ``buffer``."""
        try:
            left = memoryview(buffer)
            while left:
                self.socket.settimeout(seconds_of(timeout))
                left = left[self.socket.send(left) :]
        except TimeoutError:
            raise _run_out(timeout, httpcore.WriteTimeout()) from None
        except OSError as error:
            raise httpcore.WriteError(_cause(error)) from None

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 (the limit spans TCP and TLS)
    ) -> Connection:
        """Encrypt the connection, unless it was opened encrypted before the turn."""
        if isinstance(self.socket, ssl.SSLSocket):
            return self
        try:
            self.socket.settimeout(_left_s(self._connect_by, self._peer))
            self.socket = ssl_context.wrap_socket(self.socket, server_hostname=server_hostname)
        except TimeoutError:
            self.close()
            raise _connect_timeout(self._peer) from None
        except OSError as error:
            self.close()
            raise _tls_failure(self._peer, error) from None
        self.connect_ms = (time.monotonic() - self._began) * 1000
        return self

    def get_extra_info(self, info: str) -> Any:
        """Answer httpcore's questions about the connection."""
        if info == "ssl_object":
            return self.socket if isinstance(self.socket, ssl.SSLSocket) else None
        if info == "is_readable":
            return self.closed or _readable(self.socket)
        return self.socket if info == "socket" else None

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
    timeout_s: float,
    tls: ssl.SSLContext | None = None,
) -> Connection:
    """Open a connection within ``timeout_s``. ``peer`` is the URL as it may be shown.

    Raises `RemoteError` with stage ``connect``.
    """
    began = time.monotonic()
    connect_by = began + timeout_s
    sock = _connect_tcp(_resolve(address, peer, connect_by), peer, connect_by)
    connection = Connection(sock, peer, connect_by, began)
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


def _resolve(address: Address, peer: str, connect_by: float) -> _Resolved:
    """Look the name up, in a thread: the system's resolver cannot be told when to give up."""
    found: _Resolved = []
    failures: list[OSError | UnicodeError] = []

    def look_up() -> None:
        try:
            found.extend(
                socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM),
            )
        except (OSError, UnicodeError) as error:
            failures.append(error)

    lookup = threading.Thread(target=look_up, name="voicebench-lookup", daemon=True)
    lookup.start()
    lookup.join(_left_s(connect_by, peer))
    if failures:
        raise RemoteError(
            f"{peer} cannot be reached: its name is not known ({failures[0]})",
            "correct the URL, or check the network",
            fault="refused",
            stage="connect",
        )
    if not found:
        raise _connect_timeout(peer)
    return found


def _connect_tcp(resolved: _Resolved, peer: str, connect_by: float) -> socket.socket:
    """Try the addresses in turn; each gets its share of the time that is left."""
    failure: OSError | None = None
    for index, (family, kind, protocol, _, where) in enumerate(resolved):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left_s(connect_by, peer) / (len(resolved) - index))
            sock.connect(where)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
    if isinstance(failure, TimeoutError):
        raise _connect_timeout(peer)
    raise RemoteError(
        f"{peer} cannot be reached ({_cause(failure)})",
        "start the server, or correct the URL",
        fault="refused",
        stage="connect",
    )


def _run_out(timeout: float | None, otherwise: Exception) -> Exception:
    return timeout.patience.run_out() if isinstance(timeout, Allowance) else otherwise


def _left_s(connect_by: float, peer: str) -> float:
    left = connect_by - time.monotonic()
    if left <= 0:
        raise _connect_timeout(peer)
    return left


def _connect_timeout(peer: str) -> RemoteError:
    return RemoteError(
        f"{peer} did not take a connection in time",
        "check the URL and the network, or raise the connect timeout",
        fault="timeout",
        stage="connect",
    )


def _tls_failure(peer: str, error: OSError) -> RemoteError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return RemoteError(
            f"the certificate of {peer} is not trusted ({error.verify_message})",
            "name the file of its certificate authority",
            fault="refused",
            stage="connect",
        )
    return RemoteError(
        f"no TLS with {peer} ({_cause(error)})",
        "does the server speak http:// or ws:// instead?",
        fault="protocol",
        stage="connect",
    )


def _cause(error: OSError | None) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).lower().replace("_", " ")
    return "no address" if error is None else error.strerror or type(error).__name__


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
