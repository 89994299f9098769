"""One reading loop for all calls: carries out the calls of a share of a plan in one thread.

The same task as `call_threads`, without a thread a call: a turn that is due is a timer of the loop,
and its answers are read there (`voicebench.load.reading`). A turn that has ended is handed on by a
thread of its own, as bytes and moments; the sealing process parses them.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import NamedTuple

from voicebench.errors import CannotMeasure
from voicebench.load.call_plan import Call, DueTurn
from voicebench.load.reading.reading_loop import ReadingLoop
from voicebench.load.reading.reading_way import CallerLine, ReadTurn, open_way
from voicebench.load.reading.turn_extras import TurnExtras
from voicebench.load.running.fault_thread import FaultBefore, FaultThread
from voicebench.load.running.level_clock import LevelClock
from voicebench.load.running.level_task import ProcessTask, TakenTurn
from voicebench.turn.load_place import LoadPlace
from voicebench.turn.playback import NS_PER_S

DIAL_AHEAD_S = 1.0
"""How long before a call begins its connections are opened."""
LOOK_AHEAD_S = 0.2
"""How long before a turn is due its connections are looked after."""
WHOLE_EVERY = 20
"""All sound of each so many turns is kept; of the others the first second."""

Give = Callable[[TakenTurn], None]


class _Beside(NamedTuple):
    """The facts of a turn beside what was read."""

    setup_ns: int | None
    cut_after_ns: int | None
    fault: FaultBefore | None


class CallReader:
    """The calls of one process. The methods are called by its main thread."""

    def __init__(self, task: ProcessTask, give: Give) -> None:
        self._task = task
        self._plan = task.level.plan
        self._give = give
        self._loop = ReadingLoop()
        self._faults = FaultThread(task.level.fault_port, self._loop.ask, self._breaks)
        self._clock = LevelClock(0)
        self._open: dict[ReadTurn, DueTurn] = {}
        self._free: list[CallerLine] = []
        self._lock = threading.Lock()
        self._given: dict[int, float] = {}
        """Due moments of the turns that were given and not acknowledged, by number."""
        self._numbers = self._taken = 0
        self._is_over = self._drops = False
        self._ending: queue.SimpleQueue[TakenTurn | None] = queue.SimpleQueue()
        self._giver = threading.Thread(target=self._hand_on, name="voicebench-giver", daemon=True)
        self._reader = threading.Thread(target=self._run, name="voicebench-reader", daemon=True)
        self._waiting: list[tuple[Call, CallerLine]] = []
        self._calls: Iterator[Call] = (
            call for call in self._plan.calls() if task.share.has(call.caller)
        )
        self._coming: Call | None = None
        self.most_in_flight = 0
        self.broke: Callable[[str], None] = lambda _why: None
        """Called with a defect that ended the loop."""

    def open(self) -> None:
        """Open the lines of the callers who are there from the start.

        Raises a `VoicebenchError` if one cannot be opened.
        """
        level = self._task.level
        self._way = open_way(self._loop, level.settings, level.rule)
        self._kept_bytes = 2 * (level.settings.tts.sample_rate or 24_000)
        self._coming = next(self._calls, None)
        while self._coming is not None and self._coming.begins_s <= DIAL_AHEAD_S:
            self._waiting.append((self._coming, self._line()))
            self._coming = next(self._calls, None)
        limit_ns = time.perf_counter_ns() + round(self._way.connect_s * NS_PER_S)
        self._loop.run_until(lambda: all(lines.is_open for _, lines in self._waiting), limit_ns)
        closed = sum(not lines.is_open for _, lines in self._waiting)
        if closed:
            raise CannotMeasure(
                f"{closed} of {len(self._waiting)} callers could not connect to "
                f"{self._way.servers}",
                "see how many connections the servers take",
            )

    def begin(self, clock: LevelClock) -> None:
        """Start the level."""
        self._clock = clock
        for call, lines in self._waiting:
            self._later(self._plan.first_turn(call), lines, dialled=True)
        self._let_calls_begin()
        self._giver.start()
        self._reader.start()

    def open_due_s(self, received: int) -> tuple[float, ...]:
        """Return the due moments of the turns that have started and were not received."""
        with self._lock:
            for number in [number for number in self._given if number <= received]:
                del self._given[number]
            return (*(due.due_s for due in self._open.values()), *self._given.values())

    def end(self, *, keep_open: bool) -> None:
        """End the level: give the open turns as unfinished, or drop them."""

        def end() -> None:
            self._is_over = True
            for turn in list(self._open):
                turn.cut_off()
                if not keep_open:
                    self._open.pop(turn, None)
            self._loop.end()

        self._drops = not keep_open
        self._loop.ask(end)
        if self._reader.ident is not None:
            self._reader.join()
            self._ending.put(None)
            self._giver.join()
        self._faults.end()
        self._loop.close()

    def _run(self) -> None:
        try:
            self._loop.run()
        except Exception:
            if not self._is_over:
                self.broke(traceback.format_exc(limit=-3))

    def _breaks(self, why: str) -> None:
        self.broke(why)

    def _hand_on(self) -> None:
        while (taken := self._ending.get()) is not None:
            self._give(taken)

    def _line(self) -> CallerLine:
        """Return a caller's lines, which begin to connect."""
        lines = self._free.pop() if self._free else self._way.new_line()
        lines.open()
        return lines

    def _at(self, moment_s: float, do: Callable[[], None]) -> None:
        self._loop.at(self._clock.start_ns + round(moment_s * NS_PER_S), do)

    def _let_calls_begin(self) -> None:
        """Dial for the next call that begins by itself, in time, and then for the one after it."""
        call = self._coming
        if call is None:
            return

        def dial() -> None:
            self._later(self._plan.first_turn(call), self._line(), dialled=True)
            self._coming = next(self._calls, None)
            self._let_calls_begin()

        self._at(call.begins_s - DIAL_AHEAD_S, dial)

    def _later(self, due: DueTurn, lines: CallerLine, *, dialled: bool) -> None:
        """Take a turn when it is due; open again before it what the server has closed."""
        self._at(due.due_s - LOOK_AHEAD_S, lines.open)
        self._at(due.due_s, lambda: self._take(due, lines, dialled=dialled))

    def _take(self, due: DueTurn, lines: CallerLine, *, dialled: bool) -> None:
        if self._is_over:
            return
        prompt = self._task.level.prompt_of(due)
        setup_ns = lines.setup_ns if dialled else None
        self._taken += 1
        kept_bytes = None if self._taken % WHOLE_EVERY == 0 else self._kept_bytes
        fault = self._faults.of(self._plan.fault_of(due))
        cut_ns = None if due.cut_after_s is None else round(due.cut_after_s * NS_PER_S)
        turn = lines.begin(
            prompt,
            kept_bytes,
            lambda ended: self._ended(ended, due, lines, _Beside(setup_ns, cut_ns, fault)),
            TurnExtras(cut_ns, fault.before_request) if fault else TurnExtras(cut_ns),
        )
        if not turn.has_ended:
            with self._lock:
                self._open[turn] = due
                self.most_in_flight = max(self.most_in_flight, len(self._open))

    def _ended(self, turn: ReadTurn, due: DueTurn, lines: CallerLine, beside: _Beside) -> None:
        with self._lock:
            self._open.pop(turn, None)
            if self._is_over and self._drops:
                return
            self._numbers += 1
            number = self._numbers
            self._given[number] = due.due_s
        self._ending.put(TakenTurn(number, self._place(turn, due, beside), turn.read))
        heard = turn.heard()
        heard_s = self._clock.at_s(heard.until_ns)
        following = self._plan.following(due, heard_s, cut=heard.cut)
        if due.is_last:
            self._at(heard_s, lambda: self._hang_up(lines, following))
        elif following is not None:
            self._later(following, lines, dialled=False)

    def _hang_up(self, lines: CallerLine, following: DueTurn | None) -> None:
        lines.hang_up()
        if following is None:
            self._free.append(lines)
        else:
            lines.open()
            self._later(following, lines, dialled=True)

    def _place(self, turn: ReadTurn, due: DueTurn, beside: _Beside) -> LoadPlace:
        due_ns = round(due.due_s * NS_PER_S)
        call, read = due.call, turn.read
        return LoadPlace(
            self._task.level.level,
            call.caller,
            call.call,
            due.number,
            due_ns,
            max(read.started_ns - self._clock.start_ns - due_ns, 0),
            turn.largest_lag_ns(),
            beside.setup_ns,
            unfinished=read.was_cut_off,
            cut_after_ns=beside.cut_after_ns,
            interrupts=due.interrupts,
            fault=None if beside.fault is None else beside.fault.made,
        )
