"""Bytes that the reader read, given to the synchronous clients read by read, on a virtual clock.

Every read of the client's own connection returns exactly what one read of the reader returned, and
the clock of its events is the moment of that read. httpcore and h11 take the bytes apart.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from voicebench.errors import EngineError
from voicebench.events import Event, TurnFailed
from voicebench.load.reading.http_exchange import HttpExchange
from voicebench.remote.connection import connection_pool
from voicebench.remote.connection.connection import Connection


@dataclass
class RawAnswer:
    """What was read of one answer: each read and its moment; how the connection ended."""

    reads: list[tuple[bytes, int]] = field(default_factory=list)
    closed: str | None = None
    closed_ns: int = 0


@contextmanager
def noting_reads(patch: pytest.MonkeyPatch) -> Iterator[list[RawAnswer]]:
    """Note what each exchange of the reader reads."""
    noted: dict[HttpExchange, RawAnswer] = {}
    answers: list[RawAnswer] = []
    took, closed = HttpExchange.took, HttpExchange.closed

    def of(exchange: HttpExchange) -> RawAnswer:
        if exchange not in noted:
            noted[exchange] = RawAnswer()
            answers.append(noted[exchange])
        return noted[exchange]

    def note_took(self: HttpExchange, data: bytes, at_ns: int, received_ns: int | None) -> None:
        of(self).reads.append((data, at_ns))
        took(self, data, at_ns, received_ns)

    def note_closed(self: HttpExchange, why: str, at_ns: int) -> None:
        of(self).closed, of(self).closed_ns = why, at_ns
        closed(self, why, at_ns)

    with patch.context() as patched:
        patched.setattr(HttpExchange, "took", note_took)
        patched.setattr(HttpExchange, "closed", note_closed)
        yield answers


class _ReplayedSocket:
    """Reads what was noted; a connected pair stands behind it, so that it is alive."""

    def __init__(self, answer: RawAnswer, clock: list[int]) -> None:
        self._ours, self._other = socket.socketpair()
        self._answer = answer
        self._reads = iter(answer.reads)
        self._clock = clock
        self._seconds: float | None = None

    def settimeout(self, seconds: float | None) -> None:
        self._seconds = seconds

    def recv(self, size: int) -> bytes:
        if self._seconds == 0:
            raise BlockingIOError
        for data, at_ns in self._reads:
            assert len(data) <= size
            self._clock[0] = at_ns
            return data
        self._clock[0] = self._answer.closed_ns
        if self._answer.closed:
            raise ConnectionResetError(104, self._answer.closed)
        return b""

    def send(self, data: bytes) -> int:
        return len(data)

    def fileno(self) -> int:
        return self._ours.fileno()

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 0)

    def setsockopt(self, *_arguments: object) -> None:
        pass

    def close(self) -> None:
        self._ours.close()
        self._other.close()


class _NoAttempt:
    in_turn = False

    def took_ms(self) -> float:
        return 0.0


def replayed(
    client: Any, ask: Callable[[], Iterator[Event]], answer: RawAnswer, patch: pytest.MonkeyPatch
) -> list[tuple[int, Event]]:
    """Return the events of a client that reads ``answer``, each with the moment of its bytes."""
    clock = [0]
    made: list[Connection] = []

    def connect(*_arguments: object) -> Connection:
        made.append(Connection(_ReplayedSocket(answer, clock), _NoAttempt()))  # type: ignore[arg-type]
        return made[-1]

    events: list[tuple[int, Event]] = []
    with patch.context() as patched:
        patched.setattr(connection_pool, "connect", connect)
        client.prepare()
        try:
            for event in ask():
                events.append((clock[0], event))  # noqa: PERF401 (those before an error count)
        except EngineError as error:
            stage = error.stage or client.stage
            events.append((clock[0], TurnFailed(str(error), error.fault, stage)))
        finally:
            client.close()
    return events
