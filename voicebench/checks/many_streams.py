"""The reader's own error with many streams at once: its stamps minus the server's send stamps.

A paced server, in a process of its own on another core, sends each stream 25 pieces of speech a
second, and stamps each piece just before it gives it to the system. The reader of `load` reads all
streams in one thread. Both clocks are one clock. So the difference is what the way through the
system and the reader add; the kernel's stamps show the reader's part of it.
"""

from __future__ import annotations

import gc
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voicebench.errors import CannotMeasure
from voicebench.load.pacing.paced_process import RunningPacedServer, paced_server
from voicebench.load.pacing.paced_script import NS_A_SECOND, RATE_HZ, PacedScript
from voicebench.load.pacing.send_stamps import SendStamp
from voicebench.load.reading.reading_choice import Over
from voicebench.load.reading.reading_loop import ReadingLoop
from voicebench.machine.descriptors import check_descriptors
from voicebench.machine.environment import usable_core_numbers
from voicebench.machine.processes import stay_on
from voicebench.remote.connection import kernel_stamps

if TYPE_CHECKING:
    from voicebench.load.reading.speech_streams import StreamLine

TRANSPORTS = {"http": "HTTP", "websocket": "WebSocket", "realtime": "Realtime"}
DEFAULT_SECONDS = 10.0
TARGET_P99_MS = 2.0
TARGET_P999_MS = 5.0
DESCRIPTORS_BESIDE_STREAMS = 64
CONNECT_S = 30.0
BEGIN_S = 0.2
"""From the moment that all connections are open to the first request."""
BEGIN_OVER_S = 2.0
"""Time over which the streams begin one after the other, at most a quarter of their length."""
PIECE_S = 0.04
OVERTIME_S = 10.0
PIECE_BYTES = 2 * round(PIECE_S * RATE_HZ)

Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ManyStreams:
    """The error of the reader with many streams, in milliseconds."""

    over: Over
    """The transport of the streams."""
    streams: int
    seconds: float
    pieces: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    reads: int
    merged: int
    """Pieces that came in a read with an earlier piece of the same stream."""
    lag_p99_ms: float | None
    """From the kernel's receive stamp to the reader's; None where there are no such stamps."""
    busy: float
    """Share of a core that the reader used."""
    processor_ms: float
    """Processor time of the reader for one second of one stream, in ms."""
    server_late_p99_ms: float
    """How late the server was by its script; the figures above do not include it."""
    readiness: str
    cores: tuple[int, int] | None
    """Those of server and reader; None where they could not be kept on different cores."""

    @property
    def is_on_target(self) -> bool:
        """Whether the 99th and the 99.9th percentile keep the target."""
        return self.p99_ms < TARGET_P99_MS and self.p999_ms < TARGET_P999_MS

    def as_dict(self) -> dict[str, object]:
        """Return the figures that are stored with a result."""
        return asdict(self) | {"on_target": self.is_on_target}


def measure_streams(
    streams: int,
    seconds: float = DEFAULT_SECONDS,
    say: Callable[[str], None] = lambda _line: None,
    *,
    over: Over = "http",
) -> ManyStreams:
    """Read ``streams`` streams of speech for ``seconds``, and compare the stamps.

    Raises `UsageError` if there are too few file descriptors, `CannotMeasure` if a stream fails.
    """
    check_descriptors(f"{streams} streams", streams + DESCRIPTORS_BESIDE_STREAMS)
    usable = usable_core_numbers()
    can_pin = hasattr(os, "sched_setaffinity") and len(usable) > 1
    cores = (usable[0], usable[-1]) if can_pin else None
    say("starting a paced server")
    script = PacedScript(ttft_s=0.0, words=1, ttfb_s=0.0, audio_s=seconds)
    kernel_stamps.want()
    with paced_server(script, core=cores[0] if cores else None) as server:
        with _on_core(cores[1] if cores else None):
            say(f"reading {streams} streams for {seconds:g} s")
            read = _Streams(server, streams, seconds, over)
            read.take()
        return read.compared(server.stamps(), cores)


@contextmanager
def _on_core(core: int | None) -> Iterator[None]:
    """Keep this process on a core, without garbage collections, and undo both."""
    before = set(usable_core_numbers())
    stay_on(core)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
        if core is not None:
            os.sched_setaffinity(0, before)


class _Streams:
    def __init__(
        self, server: RunningPacedServer, streams: int, seconds: float, over: Over
    ) -> None:
        self._streams = streams
        self._over = over
        self._seconds = seconds
        self._host = server.host
        self._loop = ReadingLoop()
        self._left = streams
        self._failed: list[str] = []
        self._read: dict[int, StreamLine] = {}
        self._busy_s = self._took_s = 0.0

    def take(self) -> None:
        """Connect, ask for one stream after the other, and read them."""
        loop = self._loop
        try:
            lines = self._opened()
            begin_ns = time.perf_counter_ns() + round(BEGIN_S * NS_A_SECOND)
            for line, begin_s in zip(lines, begins_s(self._streams, self._seconds), strict=True):
                loop.at(begin_ns + round(begin_s * NS_A_SECOND), partial(self._ask, line))
            loop.at(begin_ns + round((self._seconds + OVERTIME_S) * NS_A_SECOND), loop.end)
            busy_s, took_s = time.process_time(), time.perf_counter()
            loop.run()
            self._busy_s = time.process_time() - busy_s
            self._took_s = time.perf_counter() - took_s
        finally:
            loop.close()
        if self._failed or self._left:
            why = self._failed[0] if self._failed else "they did not end in time"
            raise CannotMeasure(
                f"{max(len(self._failed), self._left)} of {self._streams} streams failed: {why}",
                "try fewer streams: the paced server or the reader may be too slow here",
            )

    def _opened(self) -> list[StreamLine]:
        """Return open lines. Raises `CannotMeasure`."""
        from voicebench.load.reading.speech_streams import stream_lines

        lines = stream_lines(self._loop, self._host, self._over, self._streams)
        for line in lines:
            line.open()
        limit_ns = time.perf_counter_ns() + round(CONNECT_S * NS_A_SECOND)
        self._loop.run_until(lambda: all(line.is_open for line in lines), limit_ns)
        closed = sum(not line.is_open for line in lines)
        if closed:
            raise CannotMeasure(
                f"{closed} of {self._streams} connections to the paced server did not open",
                "try fewer streams",
            )
        return lines

    def _ask(self, line: StreamLine) -> None:
        port = line.port
        assert port is not None
        self._read[port] = line
        line.ask(self._seconds + OVERTIME_S, self._ended)

    def _ended(self, why: str | None) -> None:
        if why is not None:
            self._failed.append(why)
        self._left -= 1
        if not self._left:
            self._loop.end()

    def compared(self, stamps: Sequence[SendStamp], cores: tuple[int, int] | None) -> ManyStreams:
        """Return our stamps minus the server's."""
        sent: dict[int, list[SendStamp]] = defaultdict(list)
        for stamp in stamps:
            if stamp.kind == "sound":
                sent[stamp.port].append(stamp)
        errors: list[Times] = []
        lags: list[int] = []
        reads = 0
        for port, line in self._read.items():
            at_ns, sizes, of_stream = line.reads()
            sent_ns = np.array([stamp.sent_ns for stamp in sent[port]], dtype=np.int64)
            errors.append(piece_errors(at_ns, sizes, sent_ns))
            lags += of_stream
            reads += int(np.unique(at_ns).size)
        added = np.concatenate(errors) / 1e6
        p50, p99, p999 = (float(value) for value in np.percentile(added, (50, 99, 99.9)))
        late = [stamp.sent_ns - stamp.due_ns for found in sent.values() for stamp in found]
        return ManyStreams(
            over=self._over,
            streams=self._streams,
            seconds=self._seconds,
            pieces=int(added.size),
            p50_ms=p50,
            p99_ms=p99,
            p999_ms=p999,
            max_ms=float(added.max()),
            reads=reads,
            merged=max(int(added.size) - reads, 0),
            lag_p99_ms=float(np.percentile(lags, 99)) / 1e6 if lags else None,
            busy=self._busy_s / self._took_s,
            processor_ms=1000 * self._busy_s / (self._streams * self._seconds),
            server_late_p99_ms=float(np.percentile(late, 99)) / 1e6,
            readiness=self._loop.readiness.name,
            cores=cores,
        )


def begins_s(streams: int, seconds: float) -> list[float]:
    """Return when each stream begins, in seconds.

    The callers of a level do not begin all at once, so the streams do not either. Their pieces are
    spread evenly over the time of a piece.
    """
    rounds = max(int(min(BEGIN_OVER_S, seconds / 4) / PIECE_S), 1)
    in_round = math.ceil(streams / rounds)
    places = (divmod(number, in_round) for number in range(streams))
    return [PIECE_S * (turn + (place + turn / rounds) / in_round) for turn, place in places]


def piece_errors(at_ns: Times, sizes: Times, sent_ns: Times) -> Times:
    """Return, for each piece that was sent, when its first byte was read minus when it was sent.

    ``at_ns`` and ``sizes`` are those of what was read, ``sent_ns`` is that of each piece; in ns.
    """
    begins = np.arange(sent_ns.size, dtype=np.int64) * PIECE_BYTES
    first = np.searchsorted(np.cumsum(sizes), begins, side="right")
    found: Times = at_ns[first] - sent_ns
    return found


def described(found: ManyStreams) -> Mapping[str, str]:
    """Return the lines of the table: a name and its value in words."""
    cores = (
        "server and reader shared the cores"
        if found.cores is None
        else f"server on core {found.cores[0]}, reader on core {found.cores[1]}"
    )
    lag = "no kernel stamps here" if found.lag_p99_ms is None else f"{found.lag_p99_ms:.3f} ms"
    return {
        "streams": f"{found.streams} for {found.seconds:g} s, {found.pieces} pieces",
        "transport": TRANSPORTS[found.over],
        "added error p50": f"{found.p50_ms:.3f} ms",
        "added error p99": f"{found.p99_ms:.3f} ms (target: under {TARGET_P99_MS:g} ms)",
        "added error p99.9": f"{found.p999_ms:.3f} ms (target: under {TARGET_P999_MS:g} ms)",
        "largest": f"{found.max_ms:.3f} ms",
        "reader behind kernel p99": lag,
        "reads": f"{found.reads}, {found.merged} pieces merged into earlier ones",
        "reader": f"{found.busy:.0%} of a core, {found.processor_ms:.3f} ms for each second of a "
        f"stream, {found.readiness}",
        "server late p99": f"{found.server_late_p99_ms:.3f} ms (not in the error)",
        "cores": cores,
    }
