"""Time of a call: how the caller waits for his next frame, and a clock that waits for nothing."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol


class CallClock(Protocol):
    """The clock of a call, in nanoseconds; monotonic."""

    def now_ns(self) -> int:
        """Return the time."""
        ...

    def wait_until(self, at_ns: int) -> None:
        """Return at ``at_ns``, or at once if that is over."""
        ...


class AgentTime(Protocol):
    """Time of a scripted agent: the clock, and actions at moments of it."""

    def now_ns(self) -> int:
        """Return the time, in nanoseconds; monotonic."""
        ...

    def at(self, at_ns: int, action: Callable[[], None]) -> None:
        """Call ``action`` at ``at_ns``, or soon if that is over. Equal times keep their order."""
        ...


class VirtualCallClock:
    """A clock that jumps: what is due happens at its own time, in one thread, without waiting."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def now_ns(self) -> int:
        """Return the virtual time."""
        return self._now_ns

    def at(self, at_ns: int, action: Callable[[], None]) -> None:
        """Call ``action`` when the clock is advanced past ``at_ns``."""
        self._count += 1
        heapq.heappush(self._due, (max(at_ns, self._now_ns), self._count, action))

    def wait_until(self, at_ns: int) -> None:
        """Advance to ``at_ns``; all that is due by then happens first."""
        while self._due and self._due[0][0] <= at_ns:
            self._now_ns, _, action = heapq.heappop(self._due)
            action()
        self._now_ns = max(self._now_ns, at_ns)
