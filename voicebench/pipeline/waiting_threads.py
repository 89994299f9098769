"""Threads that wait for work, so that no turn waits until one has started.

Starting a thread takes between a tenth of a millisecond and a whole one. A target has a
`WaitingThreads`, and each of its turns takes one of the threads and gives it back.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Work = Callable[[], None]
"""Something to do; it must not raise."""


class WaitingThread:
    """One thread, which does one piece of work after the other."""

    def __init__(self, name: str) -> None:
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._is_free = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Work) -> None:
        """Begin ``work``."""
        self._is_free.acquire()
        self._work.put(work)

    def wait_until_done(self) -> None:
        """Wait until it has done what it was given."""
        with self._is_free:
            pass

    def end(self) -> None:
        """End the thread; one that still works ends after that."""
        self._work.put(None)
        if not self._is_free.locked():
            self._thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            # A turn that is over must not live on until the next one.
            del work
            self._is_free.release()


class WaitingThreads:
    """A thread for each turn that runs at once; `close` ends them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._waiting: list[WaitingThread] = []
        self._is_closed = False

    def prepare(self) -> None:
        """Leave one thread for the next turn."""
        with self._lock:
            if not (self._waiting or self._is_closed):
                self._waiting.append(WaitingThread(self._name))

    @contextmanager
    def one(self) -> Iterator[WaitingThread]:
        """Return a thread for the block, started now if none waits.

        Its work must be done at the end of the block.
        """
        with self._lock:
            thread = self._waiting.pop() if self._waiting else None
        thread = thread or WaitingThread(self._name)
        try:
            yield thread
        finally:
            with self._lock:
                if not self._is_closed:
                    self._waiting.append(thread)
                else:
                    thread.end()

    def close(self) -> None:
        """End the threads; those that are in use, after their turn."""
        with self._lock:
            self._is_closed = True
            waiting, self._waiting = self._waiting, []
        for thread in waiting:
            thread.end()
