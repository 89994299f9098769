"""Bytes of a WebSocket server, read by the reader of `load` and by the synchronous client.

Both get the same bytes in the same pieces, at the same moments of a virtual clock. Nothing is sent
over a network; the server's half of the handshake is computed from the client's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from voicebench.audio.pcm import AudibleRule
from voicebench.events import AudioChunk, Connected, Event, ServerTiming, Usage
from voicebench.load.reading import socket_line
from voicebench.load.reading.reading_loop import ReadingLoop
from voicebench.load.reading.socket_line import SocketLine
from voicebench.load.reading.socket_turn import SocketTurn
from voicebench.remote.connection import websocket
from voicebench.targets.remote_turn import SocketTarget
from voicebench.turn.recorder import Recorder
from voicebench.turn.wire import SUBPROTOCOL

PROMPT = "When does the train leave?"
NewTarget = Callable[[], SocketTarget]


def frames(*messages: str | bytes, parts: int = 1) -> bytes:
    """Return messages as the server's frames, each in so many fragments."""
    server = ServerProtocol(max_size=None)
    server.state = server.state.OPEN
    for message in messages:
        data = message.encode() if isinstance(message, str) else message
        send = server.send_text if isinstance(message, str) else server.send_binary
        size = max(len(data) // parts, 1)
        pieces = [data[begin : begin + size] for begin in range(0, len(data), size)]
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            send(piece, fin=last) if number == 0 else server.send_continuation(piece, fin=last)
            if not last:
                server.send_ping(b"there?")
    return b"".join(server.data_to_send())


def accepted(request: bytes) -> bytes:
    """Return the server's answer to the request of a handshake."""
    known = [Subprotocol(SUBPROTOCOL)] if SUBPROTOCOL.encode() in request else None
    server = ServerProtocol(subprotocols=known)
    server.receive_data(request)
    [asked] = server.events_received()
    assert isinstance(asked, Request)
    server.send_response(server.accept(asked))
    return b"".join(server.data_to_send())


@dataclass
class Sent:
    """What a server sends: before the turn, and within it, piece by piece."""

    pieces: Sequence[bytes]
    greeting: bytes = b""
    ends: str | None = None
    """How the connection ends after the last piece: empty for a plain end, None if it stays."""


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Return ``data`` cut at these places."""
    ends = [*sorted({place % max(len(data), 1) for place in places} - {0}), len(data)]
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


class _ReadersConnection:
    """In the place of a `ReadConnection`: everything is handed over by the test."""

    connect_ns = 1000
    began_ns = 0
    is_closed = False
    port = 40_001

    def __init__(self, *_arguments: object) -> None:
        self.receiver: Any = None
        self.sent = b""

    def send(self, data: bytes) -> None:
        self.sent += data

    def drain(self) -> bool:
        return True

    def close(self) -> None:
        self.is_closed = True


def read_turn(
    new_target: NewTarget,
    sent: Sent,
    patch: pytest.MonkeyPatch,
    kept_bytes: int | None = None,
) -> SocketTurn:
    """Take a turn with the reader; it has ended, or is open at the last piece."""
    loop = ReadingLoop()
    ended: list[SocketTurn] = []
    with patch.context() as patched:
        patched.setattr(socket_line, "ReadConnection", _ReadersConnection)
        line = SocketLine(loop, (2, ("127.0.0.1", 1)), new_target())
        line.open()
        connection: Any = line._connection
        line.opened(1000)
        line.took(accepted(connection.sent), 2000, None)
        if sent.greeting:
            line.took(sent.greeting, 3000, None)
        assert line.is_open
        turn = SocketTurn(line, PROMPT, kept_bytes, AudibleRule(), ended.append)
        at_ns = turn.read.sent_ns
        for piece in sent.pieces:
            at_ns += 1_000_000
            if connection.is_closed:
                break
            line.took(piece, at_ns, None)
        if sent.ends is not None and not connection.is_closed:
            line.closed(sent.ends, at_ns + 1_000_000)
    loop.close()
    assert ended == ([turn] if turn.has_ended else [])
    return turn


@dataclass
class _ClientsConnection:
    """In the place of a `Connection`: a wait moves the clock to the next piece."""

    sent: Sent
    clock: SimpleNamespace
    begins_ns: int
    arrivals: int = 0
    uses: int = 0
    number: int = 1
    connect_ms: float = 0.0
    _pending: list[bytes] = field(default_factory=list)
    _shaken: bool = False
    _next: int = 0
    _closed: bool = False

    def __post_init__(self) -> None:
        self._pieces = [self.sent.greeting] if self.sent.greeting else []
        self._greetings = len(self._pieces)
        self._pieces += self.sent.pieces

    def write(self, data: bytes, _seconds: float) -> None:
        if not self._shaken:
            self._shaken = True
            self._pending.append(accepted(data))

    @property
    def read_ns(self) -> int:
        return int(self.clock.now_ns)

    def wait(self, _seconds: float) -> bool:
        if self._pending:
            return True
        self.arrivals += 1
        self._next += 1
        turn_piece = self._next - self._greetings
        if turn_piece > 0:
            self.clock.now_ns = self.begins_ns + turn_piece * 1_000_000
        if self._next > len(self._pieces):
            self._pending.append(b"")
        else:
            self._pending.append(self._pieces[self._next - 1])
        return True

    def read_now(self, _most: int) -> bytes | None:
        return self._pending.pop(0) if self._pending else None

    def begin_use(self) -> Connected:
        self.uses += 1
        return Connected(0.0, reused=False)

    def lapsed(self) -> bool:
        return False

    def close(self) -> None:
        self._closed = True


def expected_events(
    new_target: NewTarget, sent: Sent, begins_ns: int, patch: pytest.MonkeyPatch
) -> list[tuple[int, object]]:
    """Return the events of the synchronous client, with the moments of their bytes."""
    clock = SimpleNamespace(now_ns=begins_ns)
    recorder = Recorder(lambda: clock.now_ns)
    with patch.context() as patched:
        patched.setattr(
            websocket,
            "connect",
            lambda *_arguments: _ClientsConnection(sent, clock, begins_ns),
        )
        patched.setattr("voicebench.remote.connection.open_socket.PING_INTERVAL_S", 60.0)
        target = new_target()
        target.run(PROMPT, recorder.emit)
        target.service.drop()
    return comparable(recorder.unsealed().events)


def comparable(events: Sequence[Any]) -> list[tuple[int, object]]:
    """Return events after the turn's start, without what only a connection knows."""
    return [(one.at_ns, plain(one.event)) for one in events[1:]]


def plain(event: Event) -> object:
    """Return an event without what only a connection knows, and with its samples as bytes."""
    match event:
        case Connected():
            return Connected
        case ServerTiming(duration_ms, _, stage):
            return duration_ms, stage
        case AudioChunk(samples, rate):
            return samples.tobytes(), rate
        case Usage():
            return repr(event)
        case _:
            return event


__all__ = ["Frame", "Sent", "cut", "expected_events", "frames", "read_turn"]
