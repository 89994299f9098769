"""The server's own clock: durations that it reports of itself, and the date of an answer."""

from __future__ import annotations

import time


def now_s() -> float:
    """Return seconds on a monotonic clock."""
    return time.perf_counter()


def unix_time() -> int:
    """Return the wall clock's whole seconds since 1970, as OpenAI's ``created`` has them."""
    return int(time.time())


def elapsed_ms(since_s: float) -> float:
    """Return the milliseconds since ``since_s``."""
    return (time.perf_counter() - since_s) * 1000
