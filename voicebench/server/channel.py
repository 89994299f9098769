"""Events on their way from a turn's threads into the event loop: in order, bounded, no polling.

`EventChannel.emit` is the `Emit` of a served turn. It may be called from any thread; it appends,
and wakes the reader if the reader waits. Where the reader is slow (its client does not read), it
waits for room, so that nothing piles up; where that takes too long, the turn is given up.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Generator

from voicebench.events import Event
from voicebench.scheduling import TurnCancelled

CAPACITY = 256
"""Events under way: some seconds of the fastest turn."""
ROUND_AFTER = 8
"""Events given out one after the other before others get their turn in the event loop."""
STALL_S = 30.0
"""How long a client may read nothing before its turn is given up."""


class EventChannel:
    """One turn's events, from its threads to one reader in ``loop``."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        capacity: int = CAPACITY,
        stall_s: float = STALL_S,
    ) -> None:
        self._loop = loop
        self._stall_s = stall_s
        self._room = threading.Semaphore(capacity)
        self._lock = threading.Lock()
        self._events: deque[Event | None] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._without_pause = 0
        self._cancelled = False
        self.stalled = False
        """Whether the turn was given up because its client read nothing."""

    def emit(self, event: Event) -> None:
        """Hand ``event`` to the reader. Raises `TurnCancelled` once nobody reads any more."""
        if not self._room.acquire(timeout=self._stall_s):
            self.stalled = True
            self.cancel()
        with self._lock:
            if not self._cancelled:
                self._append(event)
                return
        self._room.release()  # whoever waits next finds out as well
        raise TurnCancelled

    def end(self) -> None:
        """Say that no event follows."""
        with self._lock:
            self._append(None)

    def cancel(self) -> None:
        """Stop the turn: whoever emits from now on, or waits for room, is told."""
        with self._lock:
            if not self._cancelled:
                self._cancelled = True
                self._append(None)
        self._room.release()

    async def get(self) -> Event | None:
        """Return the next event; None where no event follows. For one reader."""
        while True:
            with self._lock:
                if self._events:
                    event = self._events.popleft()
                    break
                self._reader = self._loop.create_future()
                reader = self._reader
            await reader
            self._without_pause = 0
        self._room.release()
        self._without_pause += 1
        if self._without_pause % ROUND_AFTER == 0:
            # A turn that is faster than its client would otherwise never let the loop find out
            # that the client has left.
            await _OneRound()
        return event

    def _append(self, event: Event | None) -> None:
        self._events.append(event)
        reader, self._reader = self._reader, None
        if reader is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_wake, reader)


class _OneRound:
    """Awaited, it lets the event loop go round once."""

    def __await__(self) -> Generator[None]:
        yield


def _wake(reader: asyncio.Future[None]) -> None:
    if not reader.done():
        reader.set_result(None)
