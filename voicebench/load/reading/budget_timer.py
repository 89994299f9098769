"""The limits of an exchange as one timer of the reader's loop."""

from __future__ import annotations

import time
from collections.abc import Callable

from voicebench.load.reading.reading_loop import ReadingLoop, Timer
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.failure import RemoteError
from voicebench.turn.playback import NS_PER_S


class BudgetTimer:
    """Calls ``passed`` with an error when a limit of ``budget`` has passed; once.

    A read only moves the limit (`heard`): the timer in the loop looks at it when it is due.
    """

    def __init__(
        self, loop: ReadingLoop, budget: WaitBudget, passed: Callable[[RemoteError, int], None]
    ) -> None:
        self._loop = loop
        self._budget = budget
        self._passed: Callable[[RemoteError, int], None] | None = passed
        self._limit_ns = 0
        self._timer: Timer | None = None
        self.look_again()

    def heard(self, at_ns: int) -> None:
        """Note that something came at ``at_ns``."""
        try:
            self._limit_ns = at_ns + round(self._budget.left_s() * NS_PER_S)
        except RemoteError:
            self._limit_ns = at_ns  # the timer says so

    def look_again(self) -> None:
        """Take a limit into account that is nearer than it was."""
        self.heard(time.perf_counter_ns())
        self._wait()

    def cancel(self) -> None:
        """Call nothing any more."""
        self._passed = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.at(self._limit_ns, self._look)

    def _look(self) -> None:
        now_ns = time.perf_counter_ns()
        if now_ns < self._limit_ns:
            self._wait()
            return
        passed = self._passed
        self.cancel()
        if passed is not None:
            passed(self._budget.timeout_error(), now_ns)
