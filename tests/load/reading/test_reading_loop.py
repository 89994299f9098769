"""The loop of the reader, with both ways of waiting."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from voicebench.load.reading.readiness import EpollReadiness, Readiness, SelectorReadiness
from voicebench.load.reading.reading_loop import ReadConnection, ReadingLoop

MS = 1_000_000
LONG_MS = 5000


class Heard:
    """Collects what a connection reads."""

    def __init__(self, loop: ReadingLoop, size: int = 1) -> None:
        self.data = b""
        self.why: str | None = None
        self.stamps: list[tuple[int, int | None]] = []
        self._loop = loop
        self._size = size

    def opened(self, at_ns: int) -> None:
        self.stamps.append((at_ns, None))

    def took(self, data: bytes, at_ns: int, received_ns: int | None) -> None:
        self.data += data
        self.stamps.append((at_ns, received_ns))
        if len(self.data) >= self._size:
            self._loop.end()

    def closed(self, why: str, at_ns: int) -> None:
        del at_ns
        self.why = why
        self._loop.end()


@pytest.fixture(params=[EpollReadiness, SelectorReadiness])
def loop(request: pytest.FixtureRequest) -> Iterator[ReadingLoop]:
    make: Callable[[], Readiness] = request.param
    made = ReadingLoop(make())
    made.at(time.perf_counter_ns() + LONG_MS * MS, made.end)
    yield made
    made.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def where(listener: socket.socket) -> tuple[int, tuple[object, ...]]:
    return int(socket.AF_INET), listener.getsockname()


def test_it_connects_sends_and_reads(loop: ReadingLoop, listener: socket.socket) -> None:
    connection = ReadConnection(loop, where(listener))
    connection.receiver = heard = Heard(loop, 5)
    connection.send(b"hello")
    peer, _ = listener.accept()
    with peer:
        echo = threading.Thread(target=lambda: peer.sendall(peer.recv(99)))
        echo.start()
        loop.run()
        echo.join()
    assert heard.data == b"hello"
    assert connection.is_open


def test_much_is_sent_piece_by_piece(loop: ReadingLoop, listener: socket.socket) -> None:
    size = 8 << 20
    connection = ReadConnection(loop, where(listener))
    connection.receiver = heard = Heard(loop, 1)
    peer, _ = listener.accept()

    def take_all() -> None:
        taken = 0
        while taken < size:
            taken += len(peer.recv(1 << 20))
        peer.sendall(b"!")

    with peer:
        loop.at(time.perf_counter_ns() + 20 * MS, lambda: connection.send(bytes(size)))
        taking = threading.Thread(target=take_all)
        taking.start()
        loop.run()
        taking.join()
    assert heard.data == b"!"


def test_a_peer_that_hangs_up_is_noticed(loop: ReadingLoop, listener: socket.socket) -> None:
    connection = ReadConnection(loop, where(listener))
    connection.receiver = heard = Heard(loop)
    listener.accept()[0].close()
    loop.run()
    assert heard.why == ""
    assert connection.is_closed


def test_a_port_at_which_nobody_listens(loop: ReadingLoop, listener: socket.socket) -> None:
    place = where(listener)
    listener.close()
    connection = ReadConnection(loop, place)
    connection.receiver = heard = Heard(loop)
    loop.run()
    assert heard.why == "Connection refused"


def test_timers_come_in_order_and_not_early(loop: ReadingLoop) -> None:
    done: list[tuple[str, int]] = []
    begin_ns = time.perf_counter_ns()

    def note(name: str) -> None:
        done.append((name, time.perf_counter_ns() - begin_ns))

    loop.at(begin_ns + 30 * MS, lambda: note("second"))
    loop.at(begin_ns + 10 * MS, lambda: note("first"))
    loop.at(begin_ns + 20 * MS, lambda: note("never")).cancel()
    loop.at(begin_ns + 40 * MS, loop.end)
    loop.run()
    assert [name for name, _ in done] == ["first", "second"]
    assert done[0][1] >= 10 * MS
    assert done[1][1] >= 30 * MS


def test_another_thread_wakes_it(loop: ReadingLoop) -> None:
    began_s = time.monotonic()
    threading.Timer(0.05, lambda: loop.ask(loop.end)).start()
    loop.run()
    assert time.monotonic() - began_s < LONG_MS / 1000 - 1


def test_it_reads_until_a_condition_holds(loop: ReadingLoop) -> None:
    began_ns = time.perf_counter_ns()
    loop.run_until(lambda: time.perf_counter_ns() > began_ns + 30 * MS, began_ns + LONG_MS * MS)
    assert 30 * MS <= time.perf_counter_ns() - began_ns < (LONG_MS - 1000) * MS


def test_it_reads_until_a_limit(loop: ReadingLoop) -> None:
    began_ns = time.perf_counter_ns()
    loop.run_until(lambda: False, began_ns + 30 * MS)
    assert 30 * MS <= time.perf_counter_ns() - began_ns < (LONG_MS - 1000) * MS


def test_a_condition_that_holds_already_is_not_waited_for(loop: ReadingLoop) -> None:
    began_ns = time.perf_counter_ns()
    loop.run_until(lambda: True, began_ns + LONG_MS * MS)
    assert time.perf_counter_ns() - began_ns < (LONG_MS - 1000) * MS
