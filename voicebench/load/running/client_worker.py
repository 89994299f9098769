"""A client process: carries out its share of a level's calls on one core.

Python's garbage collector is frozen and off from the moment the level begins, so that it cannot
hold up a read. The process ends with its level, and its memory with it.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from voicebench.errors import CannotMeasure, UsageError, VoicebenchError
from voicebench.load.running.call_lines import CallLines
from voicebench.load.running.call_threads import CallThreads
from voicebench.load.running.level_clock import LevelClock
from voicebench.load.running.level_task import (
    Begin,
    Broke,
    End,
    Ended,
    OpenTurns,
    ProcessTask,
    Ready,
    TakenCall,
    TakenTurn,
    TellOpen,
)
from voicebench.machine.processes import stay_on
from voicebench.remote.connection import kernel_stamps

if TYPE_CHECKING:
    from voicebench.load.running.call_reader import CallReader
    from voicebench.load.running.speaking_callers import SpeakingCallers

SWITCH_S = 0.0005
"""How long a thread keeps Python's lock while others wait for it; 5 ms by default."""

PINGS_S = 2.0
"""How often the threads of idle WebSockets look for pings; servers wait 20 s and more for one."""


def run_client(task: ProcessTask, control: Connection, turns: Connection) -> None:
    """Carry out ``task``; the main function of a client process.

    Requests come and answers go over ``control``. Turns that have ended go to ``turns``. It ends
    when the parent closes ``control``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when the level ends
    stay_on(task.core)
    sys.setswitchinterval(SWITCH_S)
    kernel_stamps.want()
    from voicebench.remote.connection.open_socket import OpenSocket

    OpenSocket.ping_interval_s = PINGS_S
    with suppress(EOFError, OSError):  # the parent is gone
        _Client(task, control, turns).run()


def _calls_of(
    task: ProcessTask, give: Callable[[TakenTurn | TakenCall], None]
) -> CallThreads | CallReader | SpeakingCallers:
    if task.level.spoken is not None:
        from voicebench.load.running.speaking_callers import SpeakingCallers

        return SpeakingCallers(task, give)
    if not task.level.reads:
        return CallThreads(task, CallLines(task.level.settings), give)
    from voicebench.load.running.call_reader import CallReader

    return CallReader(task, give)


class _Client:
    def __init__(self, task: ProcessTask, control: Connection, turns: Connection) -> None:
        self._control = control
        self._turns = turns
        self._answering = threading.Lock()
        self._giving = threading.Lock()
        self._calls = _calls_of(task, self._give)
        self._calls.broke = lambda why: self._say(Broke(why))

    def run(self) -> None:
        try:
            self._calls.open()
        except VoicebenchError as error:
            # Errors of clients cannot be sent to another process: they take more arguments.
            kind = UsageError if isinstance(error, UsageError) else CannotMeasure
            self._say(Broke(str(error), kind(error.message, error.remedy)))
            self._control.recv()
            return
        gc.collect()
        gc.freeze()
        gc.disable()
        self._say(Ready())
        while True:
            match self._control.recv():
                case Begin(start_ns):
                    self._calls.begin(LevelClock(start_ns))
                case TellOpen(received):
                    self._say(OpenTurns(self._calls.open_due_s(received)))
                case End(keep_open):
                    self._calls.end(keep_open=keep_open)
                    self._say(Ended(self._calls.most_in_flight))
                    self._turns.close()

    def _give(self, turn: TakenTurn | TakenCall) -> None:
        """Hand a turn to the sealing process; wait while its pipe is full."""
        with self._giving, suppress(BrokenPipeError):  # the parent sees that it has ended
            if not self._turns.closed:
                self._turns.send(turn)

    def _say(self, answer: object) -> None:
        with self._answering:
            self._control.send(answer)
