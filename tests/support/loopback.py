"""A server on the loopback interface that does what a test's script says, byte by byte.

It knows HTTP/1.1 just enough to read a request; what it answers, when, and how it breaks off is up
to the script, which runs in a thread of its own for each connection.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from voicebench.remote.failure import RemoteError

LONGEST_S = 20.0
"""No script waits for its peer longer than this."""
GIVEN_UP_S = 8.0
"""A small limit has run out by then, even in a thread that is kept waiting; a peer waits longer."""
TLS_HANDSHAKE = b"\x16\x03"


@dataclass
class HttpRequest:
    """What the client sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, requests: list[HttpRequest]) -> None:
        self.socket = sock
        self._requests = requests
        self._read = b""

    def request(self) -> HttpRequest:
        """Read the next request; raises EOFError where the client hung up, or began TLS.

        A server of plain HTTP hangs up on TLS. If it waited for a request instead, a client that
        tries both would wait for all its seconds.
        """
        while b"\r\n\r\n" not in self._read:
            self._more()
            if self._read.startswith(TLS_HANDSHAKE):
                raise EOFError
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        length = int(headers.get("content-length", "0"))
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        request = HttpRequest(method, target, headers, body)
        self._requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def head(self, status: str = "200 OK", **headers: str) -> None:
        """Send a status line and headers; ``content_type`` becomes ``content-type``."""
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode())

    def chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked body; of no bytes: its end."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def answer(
        self, content_type: str, *parts: bytes, status: str = "200 OK", **headers: str
    ) -> None:
        """Send a whole chunked answer, one chunk for each of ``parts``."""
        self.head(status, content_type=content_type, transfer_encoding="chunked", **headers)
        for part in parts:
            self.chunk(part)
        self.chunk(b"")

    def wait_for_hangup(self) -> bool:
        """Wait until the client hangs up; say whether it did."""
        deadline = time.monotonic() + LONGEST_S
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left)[0]:
                try:
                    if not self.socket.recv(65536):
                        return True
                except OSError:
                    return True
        return False

    def reset(self) -> None:
        """Break the connection off without a farewell."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self._read += data


@dataclass
class Loopback:
    """A running server: where it is, and what it saw."""

    port: int
    requests: list[HttpRequest] = field(default_factory=list)
    connections: int = 0
    hangups: list[bool] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


Script = Callable[[Peer], object]


@contextlib.contextmanager
def serving(
    script: Script, wrap: Callable[[socket.socket], socket.socket] | None = None
) -> Iterator[Loopback]:
    """Run a server; each connection that it takes is handled by ``script`` and closed after it.

    ``wrap`` makes the accepted socket another, for TLS. A client that hangs up ends a script; any
    other exception of a script is raised when the context ends.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    server = Loopback(listener.getsockname()[1])
    open_sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def wrapped(sock: socket.socket) -> socket.socket:
        if wrap is None:
            return sock
        # Wrapping takes the socket's handle away: a second one can be shut down while it lasts.
        with sock.dup() as second:
            open_sockets.append(second)
            made = wrap(sock)
            open_sockets.append(made)
        return made

    def handle(sock: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            try:
                sock.settimeout(LONGEST_S)
                sock = wrapped(sock)
                script(Peer(sock, server.requests))
            except (OSError, EOFError):
                pass
            except BaseException as failure:
                server.failures.append(failure)
            finally:
                sock.close()

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            with contextlib.suppress(OSError):  # The client may be gone already.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            open_sockets.append(sock)
            thread = threading.Thread(target=handle, args=(sock,), daemon=True)
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(LONGEST_S)
        for sock in open_sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(LONGEST_S)
    if server.failures:
        raise server.failures[0]


def until(happened: Callable[[], object]) -> None:
    """Wait until something has happened in another thread, however long that is kept waiting."""
    end = time.monotonic() + LONGEST_S
    while not happened():
        assert time.monotonic() < end, f"it has not happened within {LONGEST_S:g} s"
        time.sleep(0.002)


def failure_in_time(attempt: Callable[[], object]) -> RemoteError:
    """Return the failure that ``attempt`` ends in: it comes in time, and names the server."""
    began = time.monotonic()
    with pytest.raises(RemoteError) as caught:
        attempt()
    assert time.monotonic() - began < GIVEN_UP_S
    assert "127.0.0.1" in str(caught.value)
    return caught.value


def send_in_step(send: Callable[[], None], waits: Callable[[], int]) -> None:
    """Send something, and wait until the client has taken it and waits for more.

    ``waits`` returns how often the client has waited so far; it has to be waiting already.
    """
    before = waits()
    send()
    until(lambda: waits() > before)


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
