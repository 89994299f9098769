"""Callers with a voice: one thread drives all calls of a process.

Each call plays the script, whose lines were rendered once and are shared by all callers. A thread
a call could not send 50 frames a second for a hundred callers, so one thread goes from call to call
in the order in which their frames are due. Between two frames it reads what the agents sent: a
second thread would have to wait for Python's lock. Only calls over WebRTC have receiving threads of
their own.

A turn is a step of the script. It is **due** when its last audible sample ought to be sent, by the
schedule of the call's frames. A call is handed on when it has ended, or when the level ends.
"""

from __future__ import annotations

import heapq
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace

from voicebench.agents import Agent, ReadCall
from voicebench.agents.agent_kinds import agent_kind
from voicebench.calls.recorded_call import FRAME_NS
from voicebench.calls.running.placing import FRAME_S, PlacedCall
from voicebench.errors import VoicebenchError
from voicebench.load.call_plan import Call, Population
from voicebench.load.draws import draws_of
from voicebench.load.reading.readiness import best_readiness
from voicebench.load.running.level_clock import LevelClock
from voicebench.load.running.level_task import ProcessTask, TakenCall
from voicebench.load.running.packed_call import PackedCall
from voicebench.machine.processes import hurry_this_thread
from voicebench.remote.connection import kernel_stamps
from voicebench.turn.playback import NS_PER_S

DIAL_AHEAD_S = 1.0
"""How long before a call begins it is dialled."""
DIALS_AT_ONCE = 4
STACK_BYTES = 512 << 10

GOLDEN = 0.618_033_988_749_895
"""Its multiples, modulo 1, are spread evenly, however many there are."""

Give = Callable[[TakenCall], None]
"""Take a call that has ended; waits if the receiver is behind."""


def in_phase(start_ns: int, caller: int) -> int:
    """Return the first moment from ``start_ns`` on at which the frames of a caller may begin.

    Callers who join at even distances would all send at the same few moments of the 20 ms of a
    frame, one after the other. So each has a moment of his own.
    """
    phase_ns = round(caller * GOLDEN % 1 * FRAME_NS)
    return start_ns + (phase_ns - start_ns) % FRAME_NS


class SpeakingCallers:
    """The spoken calls of one process. The methods are called by its main thread."""

    def __init__(self, task: ProcessTask, give: Give) -> None:
        assert task.level.spoken is not None
        self._task = task
        self._plan = task.level.plan
        self._spoken = task.level.spoken
        settings = task.level.settings
        url = settings.call.url or ""
        self._agent: Agent = agent_kind(url).open(url, settings, lambda _line: None)
        self._give = give
        self._lock = threading.Lock()
        self._handed_on = threading.Condition(self._lock)
        self._handing_on = 0
        """Calls that have ended, and were not given yet."""
        self._begun = threading.Event()
        self._ended = threading.Event()
        self._sender_stopped = threading.Event()
        self._clock = LevelClock(0)
        self._dialling = threading.Semaphore(DIALS_AT_ONCE)
        self._running: dict[PlacedCall, Call] = {}
        self._joining: list[tuple[int, int, PlacedCall]] = []
        """Calls that were dialled, by the moment of their next frame."""
        self._given: dict[int, tuple[float, ...]] = {}
        """Due moments of the turns that were given and not acknowledged, by the last number."""
        self._numbers = 0
        self._count = 0
        self._calls: Iterator[Call] = (
            call for call in self._plan.calls() if task.share.has(call.caller)
        )
        self.most_in_flight = 0
        self.broke: Callable[[str], None] = lambda _why: None
        """Called with a defect that ended a thread."""

    def open(self) -> None:
        """Dial once, so that an agent that is not there ends the level before it starts.

        Raises a `VoicebenchError`.
        """
        threading.stack_size(STACK_BYTES)
        self._coming = next(self._calls, None)
        if self._coming is not None:
            self._agent.open_call(lambda _event: None).hang_up()

    def begin(self, clock: LevelClock) -> None:
        """Start the level."""
        self._clock = clock
        self._begun.set()
        self._start(self._drive)
        self._start(self._let_calls_begin)

    def open_due_s(self, received: int) -> tuple[float, ...]:
        """Return the due moments of the turns that have begun and were not received."""
        with self._lock:
            for number in [number for number in self._given if number <= received]:
                del self._given[number]
            running = [self._due_s(call) for call in self._running]
            kept = list(self._given.values())
        return tuple(due_s for found in (*running, *kept) for due_s in found)

    def end(self, *, keep_open: bool) -> None:
        """End the level: hang up on all, and give their turns, or drop the calls.

        Turns that were over are as good as others; the last one of a call is unfinished.
        """
        with self._lock:
            self._ended.set()
        if self._begun.is_set():
            self._sender_stopped.wait()
        with self._lock:
            left, self._running = self._running, {}
        for placed, call in left.items():
            placed.hang_up()
            if keep_open:
                self._hand_on(placed, call, is_cut=True)
        with self._handed_on:
            self._handed_on.wait_for(lambda: self._handing_on == 0)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except Exception:
                if not self._ended.is_set():
                    self.broke(traceback.format_exc(limit=-3))

        threading.Thread(target=guarded, name="voicebench-caller", daemon=True).start()

    def _let_calls_begin(self) -> None:
        while self._coming is not None:
            call = self._coming
            if not self._clock.wait_until(call.begins_s - DIAL_AHEAD_S, self._ended):
                return
            self._start(self._place, call)
            self._coming = next(self._calls, None)

    def _place(self, call: Call) -> None:
        """Dial, and let the sender begin when the call is due; a call that fails is handed on."""
        with self._dialling:
            try:
                placed = PlacedCall.dialled(
                    *(self._agent, self._spoken, call.call + 1),
                    received_ns=kernel_stamps.take,
                    reads=True,
                )
            except VoicebenchError as error:
                placed = PlacedCall.not_answered(self._agent, self._spoken, str(error))
        begins_ns = self._clock.start_ns + round(call.begins_s * NS_PER_S)
        placed.begin(in_phase(max(begins_ns, time.perf_counter_ns()), call.caller))
        with self._lock:
            is_wanted = not self._ended.is_set()
            if is_wanted:
                self._running[placed] = call
                self.most_in_flight = max(self.most_in_flight, len(self._running))
                self._count += 1
                self._joining.append((placed.next_frame_ns, self._count, placed))
        if not is_wanted:
            placed.hang_up()

    def _drive(self) -> None:
        """Send each frame of each call when it is due, and read in between, until the level ends.

        What the agents sent is looked for before each frame.
        """
        waiting: list[tuple[int, int, PlacedCall]] = []
        readiness, to_read = best_readiness(), dict[int, ReadCall]()

        def forget(call: ReadCall | None) -> None:
            if call is not None and to_read.pop(call.fileno(), None) is not None:
                readiness.forget(call.fileno())

        def read(call: ReadCall) -> None:
            if not call.read():
                forget(call)

        hurry_this_thread()
        try:
            while not self._ended.is_set():
                with self._lock:
                    joining, self._joining = self._joining, []
                for one in joining:
                    heapq.heappush(waiting, one)
                    if (call := one[2].to_read) is not None:
                        to_read[call.fileno()] = call
                        readiness.watch(call.fileno())
                        read(call)  # it may have read more than it needed when it dialled
                left_ns = waiting[0][0] - time.perf_counter_ns() if waiting else NS_PER_S
                for fd, _ in readiness.wait(min(max(left_ns / NS_PER_S, 0.0), FRAME_S / 4)):
                    read(to_read[fd])
                if not waiting or waiting[0][0] > time.perf_counter_ns():
                    continue
                _, number, placed = heapq.heappop(waiting)
                placed.step()
                if placed.is_over:
                    forget(placed.to_read)
                    self._start(self._end_call, placed)
                else:
                    heapq.heappush(waiting, (placed.next_frame_ns, number, placed))
        finally:
            self._sender_stopped.set()

    def _end_call(self, placed: PlacedCall) -> None:
        """Let another caller of a population take its place, hang up, and hand the call on."""
        with self._lock:
            call = self._running.pop(placed, None)
            if call is None:
                return  # the level has ended, and has it
            self._handing_on += 1
        if isinstance(self._plan.arrivals, Population):
            # Before it is handed on: that takes long if sealing is behind.
            self._start(self._replace, call, self._clock.now_s())
        try:
            placed.hang_up()
            self._hand_on(placed, call, is_cut=False)
        finally:
            with self._handed_on:
                self._handing_on -= 1
                self._handed_on.notify_all()

    def _replace(self, call: Call, ended_s: float) -> None:
        """Let another caller take the place of one who hung up."""
        drawn = draws_of(self._plan.seed, call.caller, call.call + 1, 0)
        begins_s = ended_s + self._plan.behaviour.think.draw(drawn.think)
        following = replace(call, call=call.call + 1, begins_s=begins_s)
        if self._clock.wait_until(begins_s - DIAL_AHEAD_S, self._ended):
            self._place(following)

    def _hand_on(self, placed: PlacedCall, call: Call, *, is_cut: bool) -> None:
        recorded = placed.recorded()
        begun_ns = placed.start_ns - self._clock.start_ns
        # The parent acknowledges turns by their numbers: a call has one for each step.
        turns = len(recorded.played) if is_cut else len(self._spoken.script.steps)
        if not turns:
            return  # it was cut before its first line
        with self._lock:
            first = self._numbers + 1
            self._numbers += turns
            self._given[self._numbers] = self._due_s(placed)
        packed = PackedCall.of(recorded)
        self._give(TakenCall(first, turns, call.caller, call.call, begun_ns, packed, is_cut=is_cut))

    def _due_s(self, placed: PlacedCall) -> tuple[float, ...]:
        begun_s = self._clock.at_s(placed.start_ns)
        return tuple(begun_s + due_ns / NS_PER_S for due_ns in placed.due_ns())
