"""Interruptions of a client process: when each comes, and one thread that brings them."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

from voicebench.load.running.level_clock import recorder_ns
from voicebench.turn.playback import NS_PER_S

Cancel = Callable[[float], None]
"""Cut a running turn off; takes the seconds of its reply that were heard."""


class CutTimer:
    """Calls functions at moments of the recorder's clock, in a thread that starts when needed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._coming: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def call_at(self, at_ns: int, action: Callable[[], None]) -> None:
        """Call ``action`` at ``at_ns``. It must be quick, and raise nothing."""
        with self._changed:
            heapq.heappush(self._coming, (at_ns, next(self._numbers), action))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="voicebench-cuts", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._coming or (left_ns := self._coming[0][0] - recorder_ns()) > 0:
                    self._changed.wait(left_ns / NS_PER_S if self._coming else None)
                action = heapq.heappop(self._coming)[2]
            action()


class PlannedCut:
    """The interruption of one turn, some time after its first audio."""

    def __init__(self, after_s: float, timer: CutTimer) -> None:
        self.after_ns = round(after_s * NS_PER_S)
        self._timer = timer
        self._cancel: Cancel | None = None
        self._lock = threading.Lock()

    def offer(self, cancel: Cancel) -> None:
        """Say how the turn is cut off, before it begins."""
        self._cancel = cancel

    def first_audio(self, at_ns: int) -> None:
        """Take the moment of first audio."""
        self._timer.call_at(at_ns + self.after_ns, self._cut)

    def turn_ended(self) -> None:
        """Forget the turn, so that no later one of the same line is cut off."""
        with self._lock:
            self._cancel = None

    def _cut(self) -> None:
        with self._lock:
            if self._cancel is not None:
                self._cancel(self.after_ns / NS_PER_S)
