"""A turn that another thread may cut off while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from voicebench.events import (
    CancelHow,
    Emit,
    Event,
    TurnFailed,
    TurnFinished,
    TurnInterrupted,
    TurnStopped,
)
from voicebench.pipeline.device_queue import TurnCancelled
from voicebench.pipeline.protocols import Interruptible
from voicebench.pipeline.scheduling import FreeForAll


class RunningReply:
    """The events of a running turn, and its end if the listener interrupts.

    `emit` is the turn's `Emit`. All events of the turn go through it, so that nothing follows the
    turn's end, and `TurnInterrupted` lies between those that came before the request to stop and
    those after it.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._lock = threading.RLock()
        self._how: CancelHow | None = None
        self._stopped = False
        self._ended = False

    @property
    def how(self) -> CancelHow | None:
        """How the turn was interrupted; None if it was not."""
        return self._how

    def emit(self, event: Event) -> None:
        """Emit ``event``. An interrupted reply that comes to its end has stopped by then."""
        with self._lock:
            if self._ended:
                return
            if isinstance(event, TurnFinished) and self._how == "asked" and not self._stopped:
                self._emit(TurnStopped())
            self._stopped = self._stopped or isinstance(event, TurnStopped)
            self._ended = isinstance(event, TurnFinished | TurnFailed)
            self._emit(event)

    def interrupt(self, how: CancelHow, ask: Callable[[], None] = lambda: None) -> bool:
        """Emit the interruption and ``ask`` the target to stop; return whether that was done.

        Nothing is done if the turn has ended, or was interrupted before.
        """
        with self._lock:
            if self._ended or self._how is not None:
                return False
            self._how = how
            self._emit(TurnInterrupted(how))
        ask()
        return True

    def end_unconfirmed(self) -> None:
        """End an interrupted turn whose target never said that it had stopped."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._emit(TurnFinished())


class RunningEngines:
    """A running turn of two engines: its events, its schedule, and how it is stopped."""

    def __init__(self, emit: Emit, schedule: FreeForAll) -> None:
        self.reply = RunningReply(emit)
        self.schedule = schedule

    def emit(self, event: Event) -> None:
        """Emit ``event``. After an interruption the thread that brings one more event stops."""
        how = self.reply.how
        if how is None:
            self.reply.emit(event)
            return
        if isinstance(event, TurnFailed | TurnFinished):
            return  # Engines that are stopped fail; `end_if_interrupted` ends the turn.
        if how == "asked":
            self.reply.emit(event)
        raise TurnCancelled

    def stop(self, engines: Sequence[object]) -> None:
        """Start no further step, and hang up where an engine waits for a server."""
        self.schedule.cancel()
        for engine in engines:
            if isinstance(engine, Interruptible):
                engine.interrupt()

    def end_if_interrupted(self) -> None:
        """End an interrupted turn. What computed it in this process has stopped by now."""
        if self.reply.how is not None:
            self.reply.emit(TurnFinished())
