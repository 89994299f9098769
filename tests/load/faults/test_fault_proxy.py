"""The fault proxy in its process: it passes bytes on, and does to a connection what it is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from voicebench.load.fault_plan import PlannedFault
from voicebench.load.faults.proxy_process import FaultRequests, RunningProxy, fault_proxy

PATIENCE_S = 20.0
HOLD = PlannedFault("slow", 0.1, 0.5)
RESET = PlannedFault("reset", 0.1, 0.0)


@contextmanager
def echoing() -> Iterator[int]:
    """Serve what sends every byte back, and give its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer(sock: socket.socket) -> None:
            with sock:
                try:
                    while data := sock.recv(1 << 16):
                        sock.sendall(data)
                except OSError:
                    pass

        def accept() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(sock,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    with echoing() as port, fault_proxy([("127.0.0.1", port)]) as running:
        yield running


def connected(proxy: RunningProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.ports[0]), PATIENCE_S)


def received(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := sock.recv(1 << 16)):
        data += more
    return data


def test_bytes_are_passed_on_unchanged(proxy: RunningProxy) -> None:
    body = bytes(range(256)) * 4000
    with connected(proxy) as sock:
        sender = threading.Thread(target=sock.sendall, args=(body,))
        sender.start()
        assert received(sock, len(body)) == body
        sender.join()
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""


def test_a_connection_is_held_for_the_time_asked_for_and_no_other(proxy: RunningProxy) -> None:
    with (
        closing(FaultRequests(proxy.request_port)) as requests,
        connected(proxy) as held,
        connected(proxy) as free,
    ):
        for sock in (held, free):
            sock.sendall(b"x")
            assert received(sock, 1) == b"x"
        assert requests.make(HOLD, held.getsockname()[1])
        began = time.monotonic()
        held.sendall(b"abc")
        free.sendall(b"abc")
        assert received(free, 3) == b"abc"
        assert received(held, 3) == b"abc"
        assert time.monotonic() - began >= 0.45
        held.sendall(b"y")
        assert received(held, 1) == b"y"


def test_a_connection_is_reset_and_the_next_one_works(proxy: RunningProxy) -> None:
    with closing(FaultRequests(proxy.request_port)) as requests:
        with connected(proxy) as sock:
            sock.sendall(b"x")
            assert received(sock, 1) == b"x"
            assert requests.make(RESET, sock.getsockname()[1])
            with pytest.raises(ConnectionResetError):
                received(sock, 1)
        with connected(proxy) as sock:
            sock.sendall(b"x")
            assert received(sock, 1) == b"x"


def test_a_connection_that_is_not_there_is_named_so(proxy: RunningProxy) -> None:
    with closing(FaultRequests(proxy.request_port)) as requests:
        assert not requests.make(RESET, 1)


def test_a_server_that_is_gone_is_gone_through_the_proxy_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
    with fault_proxy([("127.0.0.1", port)]) as running, connected(running) as sock:
        assert _is_closed(sock)


def _is_closed(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True
