"""The server's own clock: the durations that it reports, and the date of an answer.

A request's time begins when it has arrived (`note_arrival`): its head, then its body, or the
message that asks for a turn. The server's own work, such as reading it and finding a thread, is
part of the reported durations, because the client waits for it too.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

_arrived_s: ContextVar[float | None] = ContextVar("voicebench_arrived_s", default=None)


def now_s() -> float:
    """Return seconds on a monotonic clock."""
    return time.perf_counter()


def note_arrival() -> None:
    """Note that the request that this task answers has arrived."""
    _arrived_s.set(time.perf_counter())


def arrived_s() -> float:
    """Return when the request that is being answered arrived; now if there is none.

    Works in the tasks of the request and in the thread of its turn.
    """
    arrived = _arrived_s.get()
    return time.perf_counter() if arrived is None else arrived


def unix_time() -> int:
    """Return the wall clock's whole seconds since 1970, as in OpenAI's ``created``."""
    return int(time.time())


def elapsed_ms(since_s: float) -> float:
    """Return the milliseconds since ``since_s``."""
    return (time.perf_counter() - since_s) * 1000
