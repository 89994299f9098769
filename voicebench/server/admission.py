"""The turns of a server: which run at once, which wait, which are refused.

A limited number of turns run at once, each in a worker thread. A limited number wait, first come
first served. All others are refused, with the time after which there is likely to be room. Which
running turn may use the device next is decided by `voicebench.pipeline.scheduling`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass

from starlette.websockets import WebSocketDisconnect

from voicebench.errors import VoicebenchError
from voicebench.events import (
    AudioChunk,
    Emit,
    Event,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    Usage,
)
from voicebench.pipeline.device_queue import TurnCancelled
from voicebench.pipeline.scheduling import FreeForAll
from voicebench.server.channel import EventChannel, Unread
from voicebench.server.clock import arrived_s, elapsed_ms, note_arrival
from voicebench.server.refusal import Refusal, busy

LONGEST_RETRY_S = 60
_RECENT_TURNS = 20
_LOG = logging.getLogger("voicebench.server")

Work = Callable[[Emit, FreeForAll], None]
"""Emit the events of one whole turn."""


@dataclass(slots=True)
class Figures:
    """Counts and times of one turn, in ms since its request arrived; None if not yet known."""

    route: str
    queue_ms: float = 0.0
    first_token_ms: float | None = None
    first_audio_ms: float | None = None
    tokens: int = 0
    audio_s: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    outcome: str = "cancelled"

    def note(self, event: Event, at_ms: float) -> None:
        """Take an event into account."""
        if isinstance(event, Token):
            self.tokens += 1
            if self.first_token_ms is None:
                self.first_token_ms = at_ms
        elif isinstance(event, AudioChunk):
            self.audio_s += event.pcm.size / event.sample_rate
            if self.first_audio_ms is None:
                self.first_audio_ms = at_ms
        elif isinstance(event, Usage):
            self.prompt_tokens = event.prompt_tokens or 0
            self.cached_tokens = event.cached_tokens or 0
        elif isinstance(event, TurnFinished):
            self.outcome = "finished"
        elif isinstance(event, TurnFailed):
            self.outcome = "failed"


Observe = Callable[[Figures, float], None]
"""Take the figures of a finished turn and its duration in ms."""


@dataclass(eq=False)
class RunningTurn:
    """A turn that was let in. Iterate over its events."""

    figures: Figures
    started_s: float
    schedule: FreeForAll
    channel: EventChannel
    make_room: Callable[[], None]
    """Let the next turn in. Called at the last event, before the reader gets it, so that a client
    that asks again at once finds room although the thread may not have ended."""
    over: bool = False
    """Whether the last event has come."""

    def elapsed_ms(self) -> float:
        """Return the time since the request arrived."""
        return elapsed_ms(self.started_s)

    def cancel(self) -> None:
        """Stop it: no further step begins."""
        self.schedule.cancel()
        self.channel.cancel()

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events as they come, except `TurnStarted`; the terminal one is the last."""
        while (event := await self.channel.get()) is not None:
            self.figures.note(event, self.elapsed_ms())
            self.over = isinstance(event, TurnFinished | TurnFailed)
            if self.over:
                self.make_room()
            if not isinstance(event, TurnStarted):
                yield event
            if self.over:
                return
        self.over = True
        if self.channel.stalled:
            _LOG.warning("a client of %s read nothing for too long", self.figures.route)


class Turns:
    """All turns of a server. Used in one event loop.

    ``most_running`` turns run at once and ``most_waiting`` wait. ``observe`` gets the figures of
    each turn that was let in, when it is over.
    """

    def __init__(
        self,
        *,
        most_running: int,
        most_waiting: int,
        new_schedule: Callable[[], FreeForAll],
        observe: Observe = lambda _figures, _duration_ms: None,
    ) -> None:
        self._most_running = most_running
        self._most_waiting = most_waiting
        self._new_schedule = new_schedule
        self._observe = observe
        self._room = asyncio.Semaphore(most_running)
        self._unread = Unread()
        self._workers = ThreadPoolExecutor(most_running, thread_name_prefix="voicebench-turn")
        self._open: set[RunningTurn] = set()
        self._durations_s: deque[float] = deque(maxlen=_RECENT_TURNS)
        self._idle = asyncio.Event()
        self._idle.set()
        self._threads_running = 0
        self.running = 0
        """How many turns take one of the ``most_running`` places."""
        self.waiting = 0
        self.draining = False

    @asynccontextmanager
    async def turn(self, route: str, work: Work) -> AsyncIterator[RunningTurn]:
        """Run ``work`` when there is room for it. Leaving the context stops it.

        Raises `voicebench.server.refusal.Refusal` if too many wait already.
        """
        started_s = arrived_s()
        has_to_wait = self._room.locked()
        await self._admit()
        figures = Figures(route, queue_ms=elapsed_ms(started_s))
        if has_to_wait:
            # A script's delays begin when there is room. Else all that waited would come at once.
            note_arrival()
        loop = asyncio.get_running_loop()
        channel = EventChannel(loop, unread=self._unread)
        turn = RunningTurn(figures, started_s, self._new_schedule(), channel, self._new_place())
        self._open.add(turn)
        self._threads_running += 1
        self._idle.clear()
        running = loop.run_in_executor(self._workers, copy_context().run, _work, work, turn)
        running.add_done_callback(lambda _done: self._leave(turn))
        try:
            yield turn
        except (Refusal, WebSocketDisconnect):
            raise
        except Exception:
            # The route that sends the turn has a defect, even if the turn itself went well.
            figures.outcome = "failed"
            raise
        finally:
            if not turn.over:
                turn.cancel()
            channel.close()
            self._open.discard(turn)
            self._durations_s.append(turn.elapsed_ms() / 1000)
            self._observe(figures, turn.elapsed_ms())

    async def drain(self, timeout_s: float) -> None:
        """Let no further turn in, and wait for those that run; stop them after ``timeout_s``."""
        self.draining = True
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            self.cancel_all()

    def cancel_all(self) -> None:
        """Stop every turn, and refuse those that wait."""
        self.draining = True
        for turn in list(self._open):
            turn.cancel()

    async def close(self) -> None:
        """Stop every turn and wait for the threads, which end within one step."""
        self.cancel_all()
        await self._idle.wait()
        self._workers.shutdown()

    async def _admit(self) -> None:
        if self.draining:
            raise busy(5, "the server is shutting down")
        if self._room.locked() and self.waiting >= self._most_waiting:
            raise busy(
                self._retry_after_s(),
                f"{self._most_running} turns run and {self.waiting} wait; try again later",
            )
        self.waiting += 1
        try:
            await self._room.acquire()
        finally:
            self.waiting -= 1
        if self.draining:  # since it began to wait
            self._room.release()
            raise busy(5, "the server is shutting down")

    def _new_place(self) -> Callable[[], None]:
        """Take the place that was acquired; return a function that gives it back once."""
        self.running += 1
        taken = True

        def give_back() -> None:
            nonlocal taken
            if taken:
                taken = False
                self.running -= 1
                self._room.release()

        return give_back

    def _leave(self, turn: RunningTurn) -> None:
        """Note that a worker thread is free again."""
        turn.make_room()
        self._threads_running -= 1
        if not self._threads_running:
            self._idle.set()

    def _retry_after_s(self) -> int:
        """Return after how many seconds there is likely to be room."""
        mean_s = sum(self._durations_s, 0.0) / max(1, len(self._durations_s))
        ahead = (self.waiting + 1) / self._most_running
        return min(LONGEST_RETRY_S, max(1, math.ceil(ahead * mean_s)))


def _work(work: Work, turn: RunningTurn) -> None:
    """Run one turn in this worker thread."""
    try:
        work(turn.channel.emit, turn.schedule)
    except TurnCancelled:
        pass
    except VoicebenchError as error:
        _LOG.error("a turn of %s: %s", turn.figures.route, error)
    except Exception:
        # A defect: the turn has failed already, or its reader sees that it was interrupted.
        _LOG.exception("a turn of %s broke", turn.figures.route)
    finally:
        turn.channel.end()
