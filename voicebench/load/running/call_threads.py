"""A thread a call: carries out the calls of a share of a plan with today's targets.

A thread waits until its turn is due, takes it, lets the reply be heard out, and asks the plan for
the next one. It never queues, catches up or retries: a turn that starts late says so. What has
ended is handed on unsealed, because computing would hold up the other threads of this process.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial

from voicebench.errors import UsageError, VoicebenchError
from voicebench.load.call_plan import Call, DueTurn
from voicebench.load.faults.proxy_process import FaultOfTurn, FaultRequests
from voicebench.load.reading.heard_reply import Heard
from voicebench.load.running.call_lines import CallLine, CallLines
from voicebench.load.running.cut_timer import CutTimer, PlannedCut
from voicebench.load.running.level_clock import LevelClock, recorder_ns
from voicebench.load.running.level_task import PackedTurn, ProcessTask, TakenTurn
from voicebench.load.running.turn_under_way import TurnUnderWay
from voicebench.measuring.conversation_history import ConversationHistory

DIAL_AHEAD_S = 1.0
"""How long before a call begins its connections are opened."""
PREPARE_AHEAD_S = 0.2
"""How long before a turn is due its connections are looked after."""
DIALS_AT_ONCE = 8
STACK_BYTES = 512 << 10

Give = Callable[[TakenTurn], None]
"""Take a turn that has ended; waits if the receiver is behind."""


class CallThreads:
    """The calls of one process. The methods are called by its main thread."""

    def __init__(self, task: ProcessTask, lines: CallLines, give: Give) -> None:
        self._plan = task.level.plan
        self._task = task
        self._lines = lines
        self._give = give
        self._free: list[CallLine] = []
        self._lock = threading.Lock()
        self._handed_on = threading.Condition(self._lock)
        self._handing_on = 0
        """Turns that have ended, and were not given yet."""
        self._running: dict[int, TurnUnderWay] = {}
        self._given: dict[int, float] = {}
        """Due moments of the turns that were given and not acknowledged, by number."""
        self._numbers = 0
        self._cuts = CutTimer()
        port = task.level.fault_port
        self._faults = None if port is None else FaultRequests(port)
        self._dialling = threading.Semaphore(DIALS_AT_ONCE)
        self._begun = threading.Event()
        self._ended = threading.Event()
        self._clock = LevelClock(0)
        self._calls: Iterator[Call] = (
            call for call in self._plan.calls() if task.share.has(call.caller)
        )
        self.most_in_flight = 0
        self.broke: Callable[[str], None] = lambda _why: None
        """Called with a defect that ended a thread."""

    def open(self) -> None:
        """Open the lines of the callers who are there from the start.

        Raises a `VoicebenchError` if one cannot be opened.
        """
        threading.stack_size(STACK_BYTES)
        failed: list[VoicebenchError] = []
        opening: list[threading.Event] = []
        self._coming = next(self._calls, None)
        while self._coming is not None and self._coming.begins_s <= DIAL_AHEAD_S:
            dialled = threading.Event()
            self._start(self._call, self._coming, self._line(), dialled, failed)
            opening.append(dialled)
            self._coming = next(self._calls, None)
        for dialled in opening:
            dialled.wait()
        if failed:
            raise failed[0]

    def begin(self, clock: LevelClock) -> None:
        """Start the level."""
        self._clock = clock
        self._begun.set()
        self._start(self._let_calls_begin)

    def open_due_s(self, received: int) -> tuple[float, ...]:
        """Return the due moments of the turns that have started and were not received."""
        with self._lock:
            for number in [number for number in self._given if number <= received]:
                del self._given[number]
            running = [turn.due.due_s for turn in self._running.values()]
            return (*running, *self._given.values())

    def end(self, *, keep_open: bool) -> None:
        """End the level: give the open turns as unfinished, or drop them, and all that ended.

        It returns when they were given.
        """
        with self._lock:
            self._ended.set()
            left = list(self._running.values()) if keep_open else []
            self._running.clear()
            self._handing_on += len(left)
        for turn in left:
            turn.cut_off()
            self._hand_on(turn)
        with self._handed_on:
            self._handed_on.wait_for(lambda: self._handing_on == 0)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except Exception:
                if not self._ended.is_set():
                    self.broke(traceback.format_exc(limit=-3))

        threading.Thread(target=guarded, name="voicebench-call", daemon=True).start()

    def _let_calls_begin(self) -> None:
        while self._coming is not None:
            call = self._coming
            if not self._clock.wait_until(call.begins_s - DIAL_AHEAD_S, self._ended):
                return
            self._start(self._call, call, self._line(), threading.Event(), [])
            self._coming = next(self._calls, None)

    def _line(self) -> CallLine:
        with self._lock:
            return self._free.pop() if self._free else self._lines.line()

    def _call(
        self,
        call: Call,
        line: CallLine,
        dialled: threading.Event,
        failed: list[VoicebenchError],
    ) -> None:
        try:
            setup_ns = self._dial(line)
        except VoicebenchError as error:
            failed.append(error)  # in mid-level the turn says it
            setup_ns = None
        finally:
            dialled.set()
        self._begun.wait()
        history = ConversationHistory(f"level {self._task.level.level}, caller {call.caller}")
        due: DueTurn | None = self._plan.first_turn(call)
        while due is not None:
            if not self._clock.wait_until(due.due_s - PREPARE_AHEAD_S, self._ended):
                return
            line.prepare()
            if not self._clock.wait_until(due.due_s, self._ended):
                return
            heard = self._take(due, line, setup_ns, history)
            setup_ns = None
            heard_s = self._clock.at_s(heard.until_ns)
            following = self._plan.following(due, heard_s, cut=heard.cut)
            if due.is_last:
                if not self._clock.wait_until(heard_s, self._ended):
                    return
                line.hang_up()
                if following is not None:
                    setup_ns = self._dial_again(line)
            due = following
        with self._lock:
            self._free.append(line)

    def _dial(self, line: CallLine) -> int:
        with self._dialling:
            began_ns = recorder_ns()
            line.dial()
            return recorder_ns() - began_ns

    def _dial_again(self, line: CallLine) -> int | None:
        try:
            return self._dial(line)
        except UsageError:
            raise
        except VoicebenchError:
            return None  # the next turn says it

    def _take(
        self, due: DueTurn, line: CallLine, setup_ns: int | None, history: ConversationHistory
    ) -> Heard:
        """Take a turn; return until when its caller listened."""
        prompt = self._task.level.prompt_of(due)
        cut = None if due.cut_after_s is None else PlannedCut(due.cut_after_s, self._cuts)
        turn = TurnUnderWay(
            *(due, prompt, self._task.level.level, self._clock, setup_ns),
            cut=cut,
            fault=self._fault_of(due),
        )
        with self._lock:
            if self._ended.is_set():
                return Heard(recorder_ns())
            self._running[id(turn)] = turn
            self.most_in_flight = max(self.most_in_flight, len(self._running))
        try:
            if self._task.level.settings.load.history:
                within = partial(history.target_for, due.call.call)
                line.take(prompt, turn.emit, cut, within)
                history.said(prompt, turn.reply())
            else:
                line.take(prompt, turn.emit, cut)
        finally:
            if cut is not None:
                cut.turn_ended()
            # Also after a defect: the turn has ended as failed, and is kept.
            with self._lock:
                is_ours = self._running.pop(id(turn), None) is not None and turn.has_ended
                self._handing_on += is_ours
            if is_ours:
                self._hand_on(turn)
        return turn.heard()

    def _fault_of(self, due: DueTurn) -> FaultOfTurn | None:
        fault = self._plan.fault_of(due)
        if fault is None or self._faults is None:
            return None
        return FaultOfTurn(fault, self._faults)

    def _hand_on(self, turn: TurnUnderWay) -> None:
        with self._lock:
            self._numbers += 1
            number = self._numbers
            self._given[number] = turn.due.due_s
        try:
            self._give(TakenTurn(number, turn.place(), PackedTurn.of(turn.unsealed())))
        finally:
            with self._handed_on:
                self._handing_on -= 1
                self._handed_on.notify_all()
