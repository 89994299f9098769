"""The clock of a level: 0 when its first caller joins, the same in all processes of a machine.

It is the recorder's clock (`time.perf_counter_ns`) minus a start. That clock counts from the same
moment in all processes: on Linux ``CLOCK_MONOTONIC``, on macOS ``mach_absolute_time``, on Windows
the performance counter.
"""

from __future__ import annotations

import threading
import time

from voicebench.turn.playback import NS_PER_S


class LevelClock:
    """The clock of a level that starts at ``start_ns`` on the recorder's clock."""

    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns

    @classmethod
    def starting_in(cls, seconds: float) -> LevelClock:
        """Return the clock of a level that starts ``seconds`` from now."""
        return cls(recorder_ns() + round(seconds * NS_PER_S))

    def now_s(self) -> float:
        """Return the moment on the level's clock; negative before the start."""
        return self.at_s(recorder_ns())

    def at_s(self, at_ns: int) -> float:
        """Return a moment of the recorder's clock on the level's."""
        return (at_ns - self.start_ns) / NS_PER_S

    def wait_until(self, moment_s: float, ended: threading.Event) -> bool:
        """Wait until ``moment_s``; return whether it came before ``ended`` was set."""
        left_s = moment_s - self.now_s()
        return not (ended.wait(left_s) if left_s > 0 else ended.is_set())


def recorder_ns() -> int:
    """Return the moment on the recorder's clock."""
    return time.perf_counter_ns()
