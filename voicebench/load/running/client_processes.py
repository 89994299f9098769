"""The pinned processes of one machine that carry out a share of a level.

Each core of the client has a client process, which talks to the target, and a sealing process of
least priority. The parent only reads finished turns from pipes. If a process ends before its time,
the others go on, what it had handed over is kept, and `broken` says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from voicebench.errors import CannotMeasure
from voicebench.load.running.client_cores import ClientCores, hurry
from voicebench.load.running.client_worker import run_client
from voicebench.load.running.level_clock import LevelClock
from voicebench.load.running.level_task import (
    Begin,
    Broke,
    End,
    Ended,
    LevelTask,
    OpenTurns,
    ProcessTask,
    Ready,
    SealedTurn,
    TellOpen,
)
from voicebench.load.running.turn_sealer import run_sealer
from voicebench.load.shares import Share
from voicebench.results.uninterrupted import uninterrupted

READY_S = 120.0
"""How long the connections of all callers may take to open."""
ANSWER_S = 10.0
"""How long a client process may take to answer a request."""
SEALING_S = 60.0
"""How long the last turns may take to be sealed."""
DEATH_S = 0.5
"""How long the system may take to say that a process has ended whose pipe is closed."""

Keep = Callable[[SealedTurn], None]


@dataclass(eq=False)
class _Pair:
    """A client process and its sealing process."""

    client: SpawnProcess
    sealer: SpawnProcess
    control: Connection
    sealed: Connection
    received: int = 0
    has_handed_over: bool = False
    """Whether the client process has given all its turns to the sealing process."""
    is_ended: bool = False
    """Whether every turn of it was received, or none will come any more."""


class ClientProcesses:
    """Processes that carry out ``share`` of ``task``. They start at once; use `close` at the end.

    ``keep`` takes each finished turn in the parent, in the order in which they come.
    """

    def __init__(self, task: LevelTask, share: Share, cores: ClientCores, keep: Keep) -> None:
        self._keep = keep
        self.broken: tuple[str, ...] = ()
        """Why the level says nothing: processes that ended before their time."""
        self.most_in_flight = 0
        """The largest number of turns that one process had under way at once, after `end`."""
        self._pairs: list[_Pair] = []
        places = cores.pairs
        try:
            for part, (core, other) in zip(share.split(len(places)), places, strict=True):
                self._pairs.append(_start(ProcessTask(task, part, core, other)))
        except BaseException:
            self.close()
            raise

    @property
    def process_numbers(self) -> list[tuple[int, ...]]:
        """The numbers of the processes on each core."""
        return [
            tuple(one.pid for one in (pair.client, pair.sealer) if one.pid is not None)
            for pair in self._pairs
        ]

    def wait_until_ready(self) -> None:
        """Wait until all connections are open. Raises a `VoicebenchError` if that fails."""
        for pair in self._pairs:
            answer = self._answer_of(pair, (Ready, Broke), READY_S)
            if isinstance(answer, Broke) and answer.error is not None:
                raise answer.error
            if not isinstance(answer, Ready):
                said = answer.why if isinstance(answer, Broke) else "it did not become ready"
                raise CannotMeasure(
                    f"a client process could not start: {said}",
                    "see whether memory or processes are limited (ulimit -a)",
                )

    def begin(self, clock: LevelClock) -> None:
        """Start the level at the zero of ``clock``."""
        for pair in self._pairs:
            self._ask(pair, Begin(clock.start_ns))

    def receive(self, seconds: float) -> None:
        """Take what comes within ``seconds``; return at once when a process ended too early.

        Raises what ``keep`` raises, and `KeyboardInterrupt` between two turns.
        """
        watched: dict[object, _Pair] = {}
        for pair in self._pairs:
            if not pair.is_ended:
                watched |= {pair.sealed: pair, pair.sealer.sentinel: pair}
                if not pair.has_handed_over:
                    watched |= {pair.client.sentinel: pair, pair.control: pair}
        for source in wait(list(watched), max(seconds, 0.0)) if watched else []:  # type: ignore[arg-type]
            pair = watched[source]
            with uninterrupted():
                if source is pair.sealed:
                    self._take(pair)
                elif source is pair.control:
                    self._hear(pair)
                elif not pair.sealed.poll():
                    self._is_over(pair)

    def open_due_s(self) -> tuple[float, ...]:
        """Return the due moments of the turns that have started and were not received."""
        found: list[float] = []
        for pair in self._pairs:
            if not pair.is_ended and self._ask(pair, TellOpen(pair.received)):
                answer = self._answer_of(pair, (OpenTurns,), ANSWER_S)
                if isinstance(answer, OpenTurns):
                    found += answer.due_s
        return tuple(found)

    def end(self, *, keep_open: bool) -> None:
        """End the level and take its last turns; open ones come as unfinished, or are dropped."""
        for pair in self._pairs:
            self._ask(pair, End(keep_open))
            _hurry(pair)
        clock = LevelClock.starting_in(SEALING_S)
        # Turns are taken meanwhile: the processes wait for each other while a pipe is full.
        while not all(pair.is_ended for pair in self._pairs):
            if clock.now_s() > 0:
                self._breaks(
                    f"its last turns were not sealed within {SEALING_S:g} s, because others left "
                    "its core no time"
                )
                return
            self.receive(1.0)

    def close(self) -> None:
        """Stop all processes at once."""
        for pair in self._pairs:
            pair.control.close()
            pair.sealed.close()
            for process in (pair.client, pair.sealer):
                process.kill()
        for process in [one for pair in self._pairs for one in (pair.client, pair.sealer)]:
            process.join()
            process.close()
        self._pairs.clear()

    def _take(self, pair: _Pair) -> None:
        try:
            sealed: SealedTurn = pair.sealed.recv()
        except (EOFError, OSError):
            self._is_over(pair)
            return
        pair.received = sealed.number
        self._keep(sealed)

    def _is_over(self, pair: _Pair) -> None:
        """Note that no turn of a pair comes any more."""
        if pair.is_ended:
            return
        with suppress(OSError):
            while not pair.has_handed_over and pair.control.poll():
                if not self._hear(pair):
                    break
        if not pair.has_handed_over:
            # That every turn was handed over may have been said at the same moment.
            self._hear(pair)
        if not pair.has_handed_over:
            pair.client.join(DEATH_S)
            if pair.client.is_alive():
                pair.sealer.join(DEATH_S)
                self._breaks(_how_it_ended(pair.sealer))
            else:
                self._breaks(_how_it_ended(pair.client))
                self._drain(pair)
        pair.is_ended = True

    def _drain(self, pair: _Pair) -> None:
        """Take what a client process had handed over before it ended."""
        _hurry(pair)
        with suppress(EOFError, OSError):
            while pair.sealed.poll(SEALING_S):
                sealed: SealedTurn = pair.sealed.recv()
                pair.received = sealed.number
                self._keep(sealed)

    def _hear(self, pair: _Pair) -> bool:
        """Take a message that is not the answer to a question; return whether there was one."""
        with suppress(EOFError, OSError):
            if not pair.control.poll():
                return False  # it was taken before
            answer = pair.control.recv()
            if isinstance(answer, Broke):
                self._breaks(answer.why)
            elif isinstance(answer, Ended):
                pair.has_handed_over = True
                self.most_in_flight = max(self.most_in_flight, answer.most_in_flight)
            return True
        return False

    def _breaks(self, why: str) -> None:
        said = f"a process of the client failed: {why}"
        if said not in self.broken:
            self.broken = (*self.broken, said)

    def _ask(self, pair: _Pair, request: object) -> bool:
        """Send a request; return whether the process is still there."""
        try:
            pair.control.send(request)
        except OSError:
            return False
        return True

    def _answer_of(self, pair: _Pair, kinds: tuple[type, ...], seconds: float) -> object:
        """Return the answer to a request; None if the process has ended or is silent."""
        with uninterrupted(), suppress(EOFError, OSError):
            while pair.control.poll(seconds):
                answer: object = pair.control.recv()
                if isinstance(answer, kinds):
                    return answer
                if isinstance(answer, Broke):
                    self._breaks(answer.why)
        return None


def _hurry(pair: _Pair) -> None:
    """Let a sealing process run like any other: no turn of it is under way any more."""
    if pair.sealer.pid is not None:
        hurry(pair.sealer.pid)


def _how_it_ended(process: SpawnProcess) -> str:
    code = process.exitcode
    if code is not None and code < 0:
        return f"it was ended by signal {-code}, and its open turns with it"
    return f"it ended with exit code {code}, and its open turns with it"


def _start(task: ProcessTask) -> _Pair:
    """Start both processes of a core."""
    context = get_context("spawn")
    control, of_client = context.Pipe()
    taken, to_sealer = context.Pipe(duplex=False)
    sealed, to_parent = context.Pipe(duplex=False)
    _widen(taken)
    client = context.Process(
        target=run_client, args=(task, of_client, to_sealer), name="voicebench-client", daemon=True
    )
    sealer = context.Process(
        target=run_sealer, args=(task, taken, to_parent), name="voicebench-sealer", daemon=True
    )
    with _few_arenas():
        client.start()
        sealer.start()
    for end in (of_client, to_sealer, taken, to_parent):
        end.close()
    return _Pair(client, sealer, control, sealed)


@contextmanager
def _few_arenas() -> Iterator[None]:
    """Let processes that start here take memory from two arenas of the C library, not from 16.

    Each thread would get one of its own, and 200 threads that each hold an answer for seconds leave
    all of them half empty. Python's lock lets only one thread allocate at a time anyway.
    """
    before = os.environ.get(ARENAS)
    os.environ[ARENAS] = before or "2"
    try:
        yield
    finally:
        if before is None:
            del os.environ[ARENAS]


ARENAS = "MALLOC_ARENA_MAX"
PIPE_BYTES = 1 << 20


def _widen(pipe: Connection) -> None:
    """Let a pipe hold a few turns, so that a thread seldom waits for it. Linux only."""
    with suppress(ImportError, AttributeError, OSError):
        from fcntl import F_SETPIPE_SZ, fcntl

        fcntl(pipe.fileno(), F_SETPIPE_SZ, PIPE_BYTES)
