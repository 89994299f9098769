"""Faults of the turns in the reader's loop: made by a thread, because the loop must not wait."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable

from voicebench.errors import VoicebenchError
from voicebench.load.fault_plan import FaultKind, PlannedFault
from voicebench.load.faults.proxy_process import FaultOfTurn, FaultRequests

Do = Callable[[], None]


class FaultThread:
    """Asks the proxy at ``port`` for faults; None: there is no proxy, and there are no faults.

    ``ask`` has the loop's thread do something; ``broke`` takes what ended the thread.
    """

    def __init__(
        self, port: int | None, ask: Callable[[Do], None], broke: Callable[[str], None]
    ) -> None:
        self._requests = None if port is None else FaultRequests(port)
        self._ask = ask
        self._broke = broke
        self._waiting: queue.SimpleQueue[tuple[FaultOfTurn, int, Do] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def of(self, fault: PlannedFault | None) -> FaultBefore | None:
        """Return the fault of a turn; None if it meets none."""
        if fault is None or self._requests is None:
            return None
        return FaultBefore(FaultOfTurn(fault, self._requests), self)

    def make(self, fault: FaultOfTurn, port: int, go: Do) -> None:
        """Make a fault for the connection from ``port``; the loop does ``go`` after that."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="voicebench-faults", daemon=True)
            self._thread.start()
        self._waiting.put((fault, port, go))

    def end(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
        if self._requests is not None:
            self._requests.close()

    def _run(self) -> None:
        try:
            while (wanted := self._waiting.get()) is not None:
                fault, port, go = wanted
                fault.connected(port)
                self._ask(go)
        except VoicebenchError as error:
            self._broke(str(error))
        except Exception:
            self._broke(traceback.format_exc(limit=-3))


class FaultBefore:
    """The fault that one turn meets, made before its request is sent."""

    def __init__(self, fault: FaultOfTurn, thread: FaultThread) -> None:
        self._fault = fault
        self._thread = thread

    @property
    def made(self) -> FaultKind | None:
        """Its kind, once it is being made."""
        return self._fault.made

    def before_request(self, port: int, go: Do) -> None:
        """Make it, and go on."""
        self._thread.make(self._fault, port, go)
