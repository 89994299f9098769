"""An HTTP answer that was recorded elsewhere, as the clients read any other answer.

The reader of `load` notes the head and the pieces of an answer while it comes in. Later the same
clients that measure over a connection of their own take it as an `Answer`: all their checks and
parsers are used, and each event gets the time of its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import httpcore

from voicebench.events import Connected
from voicebench.remote.connection.answer import Answer
from voicebench.remote.connection.peer import Peer
from voicebench.remote.failure import RemoteError


class RecordedPiece(NamedTuple):
    """Bytes of a body that were read at ``at_ns``; pieces of one ``arrival`` came together."""

    at_ns: int
    arrival: int
    data: bytes


@dataclass(slots=True)
class RecordedClock:
    """When the bytes were read that a client takes at present, in nanoseconds."""

    now_ns: int = 0


@dataclass(frozen=True, slots=True)
class RecordedHead:
    """The head of an answer, and its times in nanoseconds."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    version: bytes
    sent_ns: int
    """When the request was sent."""
    at_ns: int
    """When the head was whole."""


class RecordedAnswer(Answer):
    """An answer of ``peer``; ``clock`` follows the pieces as they are taken.

    ``error`` is raised after the last piece, if the answer ended with one.
    """

    def __init__(
        self,
        peer: Peer,
        head: RecordedHead,
        connected: Connected,
        pieces: Iterable[RecordedPiece],
        *,
        clock: RecordedClock,
        error: RemoteError | None = None,
    ) -> None:
        clock.now_ns = head.at_ns
        stream = _Connection(connected, clock)
        response = httpcore.Response(
            head.status,
            headers=list(head.headers),
            content=_body(pieces, stream, clock, error),
            extensions={"http_version": head.version, "network_stream": stream},
        )
        super().__init__(response, peer, peer.wait_budget(in_turn=False), head.sent_ns)


class _Connection:
    """The part of a `Connection` that an answer asks for."""

    def __init__(self, connected: Connected, clock: RecordedClock) -> None:
        self.arrivals = 0
        self._connected = connected
        self._clock = clock

    @property
    def read_ns(self) -> int:
        return self._clock.now_ns

    def begin_use(self) -> Connected:
        return self._connected


def _body(
    pieces: Iterable[RecordedPiece],
    stream: _Connection,
    clock: RecordedClock,
    error: RemoteError | None,
) -> Iterator[bytes]:
    for at_ns, arrival, data in pieces:
        clock.now_ns, stream.arrivals = at_ns, arrival
        yield data
    if error is not None:
        raise error
