"""Events from a turn's threads into the event loop: in order, bounded, without polling.

`EventChannel.emit` is the `Emit` of a served turn. It may be called from any thread. It appends the
event and wakes a reader that waits. If the reader is slow, because its client does not read, `emit`
waits for room. If that takes too long, the turn is cancelled.

Sound takes the memory: a channel holds at most `MAX_BYTES` of it, and all channels of a server
(`Unread`) together `MAX_BYTES_OF_ALL`. A reader that keeps up has an empty channel, and an empty
channel always accepts one event. So a slow client cannot stop another client's turn.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Generator

from voicebench.events import AudioChunk, Event
from voicebench.pipeline.device_queue import TurnCancelled
from voicebench.server.connections import STALL_S

CAPACITY = 256
"""Events in one channel: some seconds of the fastest turn."""
MAX_BYTES = 4 << 20
"""Bytes of samples in one channel: 43 s at 24 kHz, so most turns never wait for their client."""
MAX_BYTES_OF_ALL = 64 << 20
ROUND_AFTER = 8
"""Events that are returned without a pause, before other tasks of the event loop run."""


class Unread:
    """The bytes in all channels of a server, and the lock of these channels."""

    def __init__(self, most: int = MAX_BYTES_OF_ALL) -> None:
        self.most = most
        self.bytes = 0
        self.changed = threading.Condition()


class EventChannel:
    """One turn's events, from its threads to one reader in ``loop``."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        capacity: int = CAPACITY,
        stall_s: float = STALL_S,
        unread: Unread | None = None,
    ) -> None:
        self._loop = loop
        self._capacity = capacity
        self._stall_s = stall_s
        self._unread = unread or Unread()
        self._events: deque[Event | None] = deque()
        self._bytes = 0
        self._reader: asyncio.Future[None] | None = None
        self._without_pause = 0
        self._cancelled = False
        self.stalled = False
        """Whether the turn was cancelled because its client read nothing."""

    def emit(self, event: Event) -> None:
        """Pass ``event`` to the reader. Raises `TurnCancelled` if the turn was cancelled."""
        size = _size_of(event)
        with self._unread.changed:
            if not self._unread.changed.wait_for(lambda: self._takes(size), self._stall_s):
                self.stalled = True
                self._cancel()
            if self._cancelled:
                raise TurnCancelled
            self._bytes += size
            self._unread.bytes += size
            self._append(event)

    def end(self) -> None:
        """Say that no event follows."""
        with self._unread.changed:
            self._append(None)

    def cancel(self) -> None:
        """Cancel the turn: `emit` raises from now on, also where it waits for room."""
        with self._unread.changed:
            self._cancel()

    def close(self) -> None:
        """Cancel the turn and drop the events that were not read."""
        with self._unread.changed:
            self._cancel()
            self._events.clear()
            self._give_back(self._bytes)

    async def get(self) -> Event | None:
        """Return the next event; None where no event follows. For one reader."""
        while True:
            with self._unread.changed:
                if self._events:
                    event = self._events.popleft()
                    self._give_back(_size_of(event))
                    break
                self._reader = self._loop.create_future()
                reader = self._reader
            await reader
            self._without_pause = 0
        self._without_pause += 1
        if self._without_pause % ROUND_AFTER == 0:
            # Otherwise the loop could not notice that the client of a fast turn has left.
            await _OneRound()
        return event

    def _takes(self, size: int) -> bool:
        """Return whether an event of ``size`` bytes need not wait; the lock is held."""
        if self._cancelled or not self._events:
            return True
        return (
            len(self._events) < self._capacity
            and self._bytes + size <= MAX_BYTES
            and self._unread.bytes + size <= self._unread.most
        )

    def _give_back(self, size: int) -> None:
        """Make room for events that wait; the lock is held."""
        self._bytes -= size
        self._unread.bytes -= size
        self._unread.changed.notify_all()

    def _cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._append(None)
            self._unread.changed.notify_all()

    def _append(self, event: Event | None) -> None:
        self._events.append(event)
        reader, self._reader = self._reader, None
        if reader is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_wake, reader)


def _size_of(event: Event | None) -> int:
    """Return the bytes of an event's samples; other events take next to nothing."""
    return event.pcm.nbytes if isinstance(event, AudioChunk) else 0


class _OneRound:
    """Await it to let the event loop run other tasks once."""

    def __await__(self) -> Generator[None]:
        yield


def _wake(reader: asyncio.Future[None]) -> None:
    if not reader.done():
        reader.set_result(None)
