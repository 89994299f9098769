"""A scripted agent on the real clock, which tells when each of its events was due."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable

from voicebench.agents.scripted_agent import AgentScript, ScriptedAgent


class RealAgentTime:
    """Actions at moments of the real clock, one after the other, in a thread of their own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._is_over = False
        self.due_ns = 0
        """When the action under way was due; for that action."""
        threading.Thread(target=self._run, name="voicebench-agent-time", daemon=True).start()

    def now_ns(self) -> int:
        """Return the monotonic time."""
        return time.perf_counter_ns()

    def at(self, at_ns: int, action: Callable[[], None]) -> None:
        """Call ``action`` at ``at_ns``, or soon if that is over."""
        with self._changed:
            self._count += 1
            heapq.heappush(self._due, (at_ns, self._count, action))
            self._changed.notify()

    def stop(self) -> None:
        """Drop what is left."""
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._is_over and (not self._due or self._left_s() > 0):
                    self._changed.wait(self._left_s() if self._due else None)
                if self._is_over:
                    return
                self.due_ns, _, action = heapq.heappop(self._due)
            action()

    def _left_s(self) -> float:
        return (self._due[0][0] - time.perf_counter_ns()) / 1e9


class TimedAgent(ScriptedAgent):
    """A scripted agent on a real clock of its own."""

    def __init__(self, script: AgentScript, sound_rate: int) -> None:
        self._clock = RealAgentTime()
        super().__init__(script, self._clock, sound_rate)

    @property
    def due_ns(self) -> int:
        """When the event that is emitted now was due by the script."""
        return self._clock.due_ns

    def close(self) -> None:
        """Stop the clock."""
        self._clock.stop()
