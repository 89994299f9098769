"""The loop of the reader: wait, read each socket that is ready, stamp, hand on.

One thread runs it. A read is one system call, which also brings the kernel's stamp, and the clock
is read right after it. The receiver of the bytes (`Receiver`) only takes the framing apart.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Protocol

from voicebench.load.reading.readiness import WRITABLE, Readiness, best_readiness
from voicebench.remote.connection import kernel_stamps

MOST_A_READ = 65_536
MOST_READS_OF_A_DRAIN = 256
LOOK_NS = 10_000_000
"""From one look at the condition of `ReadingLoop.run_until` to the next."""
Do = Callable[[], None]
Where = tuple[int, tuple[object, ...]]
"""An address family, and an address."""


class Receiver(Protocol):
    """Takes what a connection reads."""

    def opened(self, at_ns: int) -> None:
        """The connection is open."""
        ...

    def took(self, data: bytes, at_ns: int, received_ns: int | None) -> None:
        """Bytes were read at ``at_ns``, which the kernel had received at ``received_ns``."""
        ...

    def closed(self, why: str, at_ns: int) -> None:
        """The peer hung up (``why`` is empty), or the system reports an error."""
        ...


class Timer:
    """Something to do at a moment; it can be cancelled."""

    __slots__ = ("do",)

    def __init__(self, do: Do) -> None:
        self.do: Do | None = do

    def cancel(self) -> None:
        """Do not do it."""
        self.do = None


class ReadingLoop:
    """Sockets, timers, and what other threads ask for. Moments are of `time.perf_counter_ns`."""

    def __init__(self, readiness: Readiness | None = None) -> None:
        self.readiness = readiness or best_readiness()
        self._connections: dict[int, ReadConnection] = {}
        self._timers: list[tuple[int, int, Timer]] = []
        self._numbers = count()
        self._asked: deque[Do] = deque()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        self.readiness.watch(self._woken)
        self._ended = False

    def at(self, at_ns: int, do: Do) -> Timer:
        """Do something at ``at_ns``, or as soon as possible after it."""
        timer = Timer(do)
        heapq.heappush(self._timers, (at_ns, next(self._numbers), timer))
        return timer

    def ask(self, do: Do) -> None:
        """Have the loop's thread do something soon; called from any thread."""
        self._asked.append(do)
        with contextlib.suppress(OSError):  # the loop has been closed
            os.write(self._wake, b"x")

    def end(self) -> None:
        """Let `run` return; called from the loop's thread."""
        self._ended = True

    def run(self) -> None:
        """Read, until `end` is called; it can be run again."""
        self._ended = False
        timers, connections = self._timers, self._connections
        while not self._ended:
            left_s = None
            while timers:
                left_ns = timers[0][0] - time.perf_counter_ns()
                if left_ns > 0:
                    left_s = left_ns / 1e9
                    break
                timer = heapq.heappop(timers)[2]
                if timer.do is not None:
                    timer.do()
            for fd, bits in self.readiness.wait(0 if self._ended else left_s):
                connection = connections.get(fd)
                if connection is not None:
                    connection.is_ready(bits)
                elif fd == self._woken:
                    self._do_what_was_asked()

    def run_until(self, is_done: Callable[[], bool], limit_ns: int) -> None:
        """Read until ``is_done``, at most until ``limit_ns``."""

        def look() -> None:
            now_ns = time.perf_counter_ns()
            if now_ns > limit_ns or is_done():
                self.end()
            else:
                self.at(now_ns + LOOK_NS, look)

        self.at(0, look)
        self.run()

    def close(self) -> None:
        """Close all connections, and the loop's own descriptors."""
        for connection in list(self._connections.values()):
            connection.close()
        os.close(self._woken)
        os.close(self._wake)

    def add(self, connection: ReadConnection) -> None:
        """Watch a connection."""
        self._connections[connection.fd] = connection
        self.readiness.watch(connection.fd, writing=connection.writes)

    def remove(self, connection: ReadConnection) -> None:
        """Watch it no longer."""
        if self._connections.pop(connection.fd, None) is not None:
            self.readiness.forget(connection.fd)

    def _do_what_was_asked(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        while self._asked:
            self._asked.popleft()()


class ReadConnection:
    """One plain TCP connection of the loop, opened without waiting for it."""

    def __init__(self, loop: ReadingLoop, where: Where) -> None:
        """Begin to connect."""
        family, address = where
        self.receiver: Receiver | None = None
        self.is_open = False
        self.is_closed = False
        self.began_ns = time.perf_counter_ns()
        self.connect_ns: int | None = None
        self._loop = loop
        self._waiting = b""
        self.fd = -1
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no file descriptor is left, for example
            why = error.strerror or type(error).__name__
            loop.at(0, lambda: self._lost(why))
            return
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kernel_stamps.ask(self._socket)
        self.fd = self._socket.fileno()
        self._socket.connect_ex(address)
        loop.add(self)

    @property
    def writes(self) -> bool:
        """Whether it waits until it can write, or is open."""
        return bool(self._waiting) or not self.is_open

    @property
    def port(self) -> int:
        """Our own port; 0 if there is no socket."""
        return 0 if self.fd < 0 or self.is_closed else int(self._socket.getsockname()[1])

    def send(self, data: bytes) -> None:
        """Send ``data``, now as far as the system takes it."""
        if self.fd < 0 or self.is_closed:
            return
        if self._waiting:
            self._waiting += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the next read says why
        if sent < len(data):
            self._waiting = data[sent:]
            self._loop.add(self)

    def is_ready(self, bits: int) -> None:
        """Read once, and hand on what was read."""
        if bits & WRITABLE:
            if not self.is_open:
                self._end_connecting()
                return
            waiting, self._waiting = self._waiting, b""
            self.send(waiting)
            if not self._waiting:
                self._loop.add(self)
        self._read()

    def drain(self) -> bool:
        """Hand on what has come by now; return False if it does not end."""
        return any(self.is_closed or not self._read() for _ in range(MOST_READS_OF_A_DRAIN))

    def _read(self) -> bool:
        """Read once, and hand on what was read; return whether there was something."""
        try:
            data = kernel_stamps.receive(self._socket, MOST_A_READ)
        except BlockingIOError:
            return False
        except OSError as error:
            self._lost(error.strerror or type(error).__name__)
            return False
        at_ns = time.perf_counter_ns()
        received_ns = kernel_stamps.take()
        if not data:
            self._lost("")
        elif self.receiver is not None:
            self.receiver.took(data, at_ns, received_ns)
        else:
            self.close()  # it says what nobody asked for
        return bool(data)

    def close(self) -> None:
        """Hang up."""
        if not self.is_closed:
            self.is_closed = True
            if self.fd >= 0:
                self._loop.remove(self)
                self._socket.close()

    def _end_connecting(self) -> None:
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._lost(os.strerror(error))
            return
        at_ns = time.perf_counter_ns()
        self.is_open = True
        self.connect_ns = at_ns - self.began_ns
        self._loop.add(self)
        if self.receiver is not None:
            self.receiver.opened(at_ns)

    def _lost(self, why: str) -> None:
        self.close()
        if self.receiver is not None:
            self.receiver.closed(why, time.perf_counter_ns())
