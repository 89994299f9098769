"""The turns that a server runs at once: who is let in, who waits, who is refused.

So many turns run at once, each in a worker thread; so many more wait, the first come first; all
others are refused, with the time after which there is likely to be room. Who of those that run may
use the device next is another question (`voicebench.pipeline.scheduling`).
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
from voicebench.events import AudioChunk, Emit, Event, Token, TurnFailed, TurnFinished, TurnStarted
from voicebench.pipeline.scheduling import FreeForAll, TurnCancelled
from voicebench.server.channel import EventChannel, Unread
from voicebench.server.clock import arrived_s, elapsed_ms, note_arrival
from voicebench.server.refusal import Refusal, busy

LONGEST_RETRY_S = 60
_RECENT_TURNS = 20
_LOG = logging.getLogger("voicebench.server")

Work = Callable[[Emit, FreeForAll], None]
"""Push the events of one whole turn."""


@dataclass(slots=True)
class Figures:
    """What one turn brought, and when, in ms since its request was in hand; None: not yet."""

    route: str
    queue_ms: float = 0.0
    first_token_ms: float | None = None
    first_audio_ms: float | None = None
    tokens: int = 0
    audio_s: float = 0.0
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
        elif isinstance(event, TurnFinished):
            self.outcome = "finished"
        elif isinstance(event, TurnFailed):
            self.outcome = "failed"


Observe = Callable[[Figures, float], None]
"""Take the figures of a turn that is over, and its duration in ms."""


@dataclass(eq=False)
class RunningTurn:
    """A turn that was let in: iterate over its events."""

    figures: Figures
    started_s: float
    schedule: FreeForAll
    channel: EventChannel
    make_room: Callable[[], None]
    """Let the next one in; called when its last event has come, which is before its reader knows:
    a client that has its answer and asks again finds room, however slowly the thread ends."""
    over: bool = False
    """Whether its last event has come."""

    def elapsed_ms(self) -> float:
        """Return the time since the request was in hand."""
        return elapsed_ms(self.started_s)

    def cancel(self) -> None:
        """Stop it: no further step of it begins."""
        self.schedule.cancel()
        self.channel.cancel()

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events as they come, the terminal one last; `TurnStarted` is left out."""
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

    ``most_running`` turns run at once and ``most_waiting`` wait; ``observe`` sees the figures of
    each turn that was let in, once it is over.
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
        """How many turns take up room now."""
        self.waiting = 0
        self.draining = False

    @asynccontextmanager
    async def turn(self, route: str, work: Work) -> AsyncIterator[RunningTurn]:
        """Run ``work``, once there is room for it; leaving the context stops it.

        Raises `voicebench.server.refusal.Refusal` where too many wait already.
        """
        started_s = arrived_s()
        has_to_wait = self._room.locked()
        await self._admit()
        figures = Figures(route, queue_ms=elapsed_ms(started_s))
        if has_to_wait:
            # A script's delays begin when there is room, or those that waited would come in a rush.
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
            # Whoever tells of the turn has a defect, however well the turn itself went.
            figures.outcome = "failed"
            raise
        finally:
            if not turn.over:
                turn.cancel()
            channel.close()
            self._open.discard(turn)
            self._durations_s.append(turn.elapsed_ms() / 1000)
            self._observe(figures, turn.elapsed_ms())

    async def drain(self, patience_s: float) -> None:
        """Let no further turn in, nor any that waits, and wait so long for those that run."""
        self.draining = True
        try:
            async with asyncio.timeout(patience_s):
                await self._idle.wait()
        except TimeoutError:
            self.cancel_all()

    def cancel_all(self) -> None:
        """Stop every turn, and let none of those in that wait."""
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
        """Take up the room that was waited for; return what gives it back, once."""
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
        """Return after which time there is room, by how long the last turns took."""
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
        # A defect: the turn is ended as failed already, or its reader sees that it broke off.
        _LOG.exception("a turn of %s broke", turn.figures.route)
    finally:
        turn.channel.end()
