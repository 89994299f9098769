"""The kinds of streams whose error is measured: over HTTP, the voice socket, and Realtime."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from voicebench.audio.pcm import AudibleRule
from voicebench.load.reading.http_exchange import HttpExchange
from voicebench.load.reading.http_line import HttpLine
from voicebench.load.reading.read_log import UNKNOWN_LAG, KeptSound
from voicebench.load.reading.reading_choice import Over
from voicebench.load.reading.reading_loop import ReadingLoop, Where
from voicebench.load.reading.socket_line import SocketLine
from voicebench.load.reading.socket_turn import SocketTurn
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.peer import Peer
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.targets.realtime import Realtime
from voicebench.targets.remote_turn import SocketTarget
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.turn.playback import NS_PER_S

Ended = Callable[[str | None], None]
"""Takes why a stream failed, None if it did not."""


class StreamReads(NamedTuple):
    """The arrivals of a stream's sound, in nanoseconds and bytes."""

    at_ns: NDArray[np.int64]
    sizes: NDArray[np.int64]
    lags_ns: list[int]


class StreamLine(Protocol):
    """One stream: its connection, and what was read."""

    @property
    def is_open(self) -> bool:
        """Whether it can be asked for at once."""
        ...

    @property
    def port(self) -> int | None:
        """Our own port."""
        ...

    def open(self) -> None:
        """Begin to connect."""
        ...

    def ask(self, longest_s: float, ended: Ended) -> None:
        """Ask for the stream, which fails after ``longest_s``."""
        ...

    def reads(self) -> StreamReads:
        """Return what was read."""
        ...


def stream_lines(loop: ReadingLoop, host: str, over: Over, streams: int) -> list[StreamLine]:
    """Return lines to the paced server at ``host`` (an address and a port), not open yet."""
    address, _, port = host.rpartition(":")
    where: Where = (int(socket.AF_INET), (address, int(port)))
    if over == "http":
        return [HttpStream(loop, where, host) for _ in range(streams)]
    return [SocketStream(loop, where, _socket_target(over, host)) for _ in range(streams)]


def _socket_target(over: Over, host: str) -> SocketTarget:
    access = Access(timeouts=Timeouts(turn_s=3600.0))
    if over == "websocket":
        return VoiceSocket(f"ws://{host}/v1/voice", access)
    return Realtime(f"ws://{host}/v1/realtime?model=paced", access=access)


class HttpStream:
    """Speech in the body of an answer, as raw PCM."""

    def __init__(self, loop: ReadingLoop, where: Where, host: str) -> None:
        self._line = HttpLine(loop, where, Peer(f"http://{host}", Access(), "tts"))
        self._host = host
        self._exchange: HttpExchange | None = None
        self.open = self._line.open

    @property
    def is_open(self) -> bool:
        """Whether it can be asked for at once."""
        return self._line.is_open

    @property
    def port(self) -> int | None:
        """Our own port."""
        return self._line.port

    def ask(self, longest_s: float, ended: Ended) -> None:
        """Ask for the stream."""
        body = json.dumps({"input": "a", "response_format": "pcm"}).encode()
        head = (
            f"POST /v1/audio/speech HTTP/1.1\r\nhost: {self._host}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )

        def over(exchange: HttpExchange) -> None:
            error = exchange.read.error
            ended(None if error is None else error.message)

        self._exchange = HttpExchange(
            self._line,
            head.encode() + body,
            kept=KeptSound(0),
            turn_ends_ns=time.perf_counter_ns() + round(longest_s * NS_PER_S),
            ended=over,
        )

    def reads(self) -> StreamReads:
        """Return what was read."""
        assert self._exchange is not None
        log = self._exchange.log
        return StreamReads(
            np.array(log.at_ns, dtype=np.int64),
            np.array(log.sizes, dtype=np.int64),
            [lag for lag in log.lag_ns if lag != UNKNOWN_LAG],
        )


class SocketStream:
    """A reply over a WebSocket: the words of a text, and the same speech in messages."""

    def __init__(self, loop: ReadingLoop, where: Where, target: SocketTarget) -> None:
        self._line = SocketLine(loop, where, target)
        self._loop = loop
        self._turn: SocketTurn | None = None
        self.open = self._line.open

    @property
    def is_open(self) -> bool:
        """Whether it can be asked for at once."""
        return self._line.is_open

    @property
    def port(self) -> int | None:
        """Our own port."""
        return self._line.port

    def ask(self, longest_s: float, ended: Ended) -> None:
        """Ask for the stream."""
        limit_ns = time.perf_counter_ns() + round(longest_s * NS_PER_S)
        limit = self._loop.at(limit_ns, lambda: ended("they did not end in time"))

        def over(turn: SocketTurn) -> None:
            limit.cancel()
            failed = turn.has_failed
            error = turn.read.error
            why = "it is no stream of speech" if error is None else error.message
            ended(why if failed else None)

        self._turn = SocketTurn(self._line, "a", 0, AudibleRule(), over)

    def reads(self) -> StreamReads:
        """Return what was read."""
        assert self._turn is not None
        log = self._turn.read.log
        pairs = list(zip(log.at_ns, log.samples, log.lag_ns, strict=True))
        return StreamReads(
            np.array([at_ns for at_ns, samples, _ in pairs if samples], dtype=np.int64),
            np.array([2 * samples for _, samples, _ in pairs if samples], dtype=np.int64),
            [lag for _, samples, lag in pairs if samples and lag != UNKNOWN_LAG],
        )
