"""The server's own clock: durations that it reports of itself, and the date of an answer.

A request's time begins when it is in hand (`note_arrival`): its head, then its body, or the message
that asks for a turn. What this server itself then takes, to read it and to find a thread for it, is
part of its durations, as it is part of what the client waits for.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

_arrived_s: ContextVar[float | None] = ContextVar("voicebench_arrived_s", default=None)


def now_s() -> float:
    """Return seconds on a monotonic clock."""
    return time.perf_counter()


def note_arrival() -> None:
    """Say that the request that this task answers is in hand."""
    _arrived_s.set(time.perf_counter())


def arrived_s() -> float:
    """Return when the request that is being answered was in hand; now, where none is.

    In the tasks of the request, and in the thread of its turn.
    """
    arrived = _arrived_s.get()
    return time.perf_counter() if arrived is None else arrived


def unix_time() -> int:
    """Return the wall clock's whole seconds since 1970, as OpenAI's ``created`` has them."""
    return int(time.time())


def elapsed_ms(since_s: float) -> float:
    """Return the milliseconds since ``since_s``."""
    return (time.perf_counter() - since_s) * 1000
