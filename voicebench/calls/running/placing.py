"""One call: dial, send a frame every 20 ms, stamp what the agent does, hang up.

The caller's frames follow an absolute schedule: frame k leaves 20 ms * (k + 1) after the call's
begin, however late the one before was. So no delay adds up, and the delay of each frame is known.
On the real clock the caller has a thread of its own, on one core and, where that is permitted, with
real-time priority. Between two frames it reads what the agent sends, unless the agent has a thread
for that: an event is stamped by the thread that the system wakes for it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from voicebench.agents import Agent, AgentCall, ReadCall, TakesReadCalls
from voicebench.audio.pcm import AudibleRule
from voicebench.calls.agent_events import AgentEvent, AgentFailed, FrameSent
from voicebench.calls.agent_watch import AgentWatch
from voicebench.calls.call_clock import CallClock
from voicebench.calls.call_script import CallScript
from voicebench.calls.conversation import Conversation, Manners, PlayedStep
from voicebench.calls.heard import StampedAgentEvent
from voicebench.calls.line_sound import FRAMES_PER_S, LineSound
from voicebench.calls.recorded_call import FRAME_NS, NS_PER_S, RecordedCall, really_sent_ns
from voicebench.errors import VoicebenchError
from voicebench.machine.processes import hurry_this_thread

FRAME_S = FRAME_NS / 1e9
"""The length of a frame."""


class RealCallClock:
    """The one clock of measurements, and sleeping until a moment of it."""

    def now_ns(self) -> int:
        """Return the monotonic time."""
        return time.perf_counter_ns()

    def wait_until(self, at_ns: int) -> None:
        """Sleep until ``at_ns``."""
        left_ns = at_ns - time.perf_counter_ns()
        if left_ns > 0:
            time.sleep(left_ns / 1e9)


@dataclass(frozen=True, slots=True)
class CallPlan:
    """The lines and the manners of a caller, the same in each call of a run."""

    script: CallScript
    sounds: Sequence[LineSound]
    manners: Manners = field(default_factory=Manners)
    rule: AudibleRule = field(default_factory=AudibleRule)


class CallRecorder:
    """Stamps the events of the agent, from any thread.

    ``received_ns`` returns when the system received what the present thread read last, if it knows.
    """

    def __init__(
        self, now_ns: Callable[[], int], received_ns: Callable[[], int | None] = lambda: None
    ) -> None:
        self._now_ns = now_ns
        self._received_ns = received_ns
        self._lock = threading.Lock()
        self._events: list[tuple[int, AgentEvent, int | None]] = []

    def emit(self, event: AgentEvent) -> None:
        """Stamp ``event`` with the clock, now."""
        with self._lock:
            at_ns, received_ns = self._now_ns(), self._received_ns()
            lag_ns = None if received_ns is None else max(at_ns - received_ns, 0)
            self._events.append((at_ns, event, lag_ns))

    def since(self, seen: int, start_ns: int) -> list[StampedAgentEvent]:
        """Return the events after the first ``seen``; those before the start count from it."""
        with self._lock:
            new = self._events[seen:]
        return [
            StampedAgentEvent(max(0, at_ns - start_ns), event, lag_ns)
            for at_ns, event, lag_ns in new
        ]


class PlacedCall:
    """One call that goes on frame by frame: `step` sends the next one, and says nothing of time.

    The thread that drives it waits until `next_frame_ns`. So a thread can drive one call, or many.
    """

    def __init__(
        self,
        agent: Agent,
        plan: CallPlan,
        number: int,
        now_ns: Callable[[], int] = time.perf_counter_ns,
        received_ns: Callable[[], int | None] = lambda: None,
    ) -> None:
        """Say that the call ``number`` (from 1) is about to be dialled."""
        self._agent_rate = agent.sample_rate
        self._plan = plan
        self._number = number
        self._now_ns = now_ns
        self._recorder = CallRecorder(now_ns, received_ns)
        self._started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._dial_ns = 0
        self._watch = AgentWatch()
        self._caller = Conversation(plan.script, plan.sounds, self._watch, plan.manners)
        self._silence = np.zeros(agent.sample_rate // FRAMES_PER_S, dtype=np.int16)
        self._sent_ns: list[int] = []
        self._events: list[StampedAgentEvent] = []
        self._talk: AgentCall | None = None
        self.to_read: ReadCall | None = None
        """Read by the thread that drives the call; None if the agent has a thread for that."""
        self._why_not = ""
        self.start_ns = 0
        """The begin of its first frame, on the clock."""

    @classmethod
    def dialled(
        cls,
        agent: Agent,
        plan: CallPlan,
        number: int,
        now_ns: Callable[[], int] = time.perf_counter_ns,
        received_ns: Callable[[], int | None] = lambda: None,
        *,
        reads: bool = False,
    ) -> PlacedCall:
        """Dial, and return the call. Raises `voicebench.errors.CannotMeasure`.

        ``reads``: the thread that drives the call will read it, where the agent has such calls.
        """
        call = cls(agent, plan, number, now_ns, received_ns)
        before_ns = now_ns()
        if reads and isinstance(agent, TakesReadCalls):
            call._talk = call.to_read = agent.open_read_call(call._recorder.emit)
        else:
            call._talk = agent.open_call(call._recorder.emit)
        call._dial_ns = now_ns() - before_ns
        return call

    @classmethod
    def not_answered(cls, agent: Agent, plan: CallPlan, why: str) -> PlacedCall:
        """Return a call that could not be dialled; it is over with its first frame."""
        call = cls(agent, plan, 1)
        call._why_not = why
        return call

    @property
    def is_over(self) -> bool:
        """Whether the caller has played his script, or the call has failed."""
        return self._caller.is_over or (bool(self._why_not) and bool(self._sent_ns))

    @property
    def next_frame_ns(self) -> int:
        """When the next frame is due, on the clock."""
        return self.start_ns + (len(self._sent_ns) + 1) * FRAME_NS

    def begin(self, start_ns: int) -> None:
        """Begin the call's clock at a moment of the clock."""
        self.start_ns = start_ns

    def step(self) -> None:
        """Take what the agent has done, and send the next frame."""
        new = self._recorder.since(len(self._events), self.start_ns)
        self._events += new
        for stamped in new:
            self._watch.take(stamped)
        now_ns = self._now_ns() - self.start_ns
        frame = self._caller.frame(len(self._sent_ns), now_ns)
        self._sent_ns.append(now_ns)
        if not self.is_over and self._talk is not None:
            _send(self._talk.hear, self._silence if frame is None else frame, self._recorder)

    def read_until_due(self) -> None:
        """Read what the agent sends, until the next frame is due."""
        while self.to_read is not None:
            left_ns = self.next_frame_ns - self._now_ns()
            if left_ns <= 0:
                return
            if self.to_read.wait(left_ns / NS_PER_S) and not self.to_read.read():
                self.to_read = None

    def hang_up(self) -> None:
        """End the call."""
        if self._talk is not None:
            self._talk.hang_up()

    def due_ns(self) -> list[int]:
        """Return when the last audible sample of each step that was begun is due, from `begin`."""
        return [due_ns_of(self._plan.sounds, played) for played in list(self._caller.played)]

    def recorded(self) -> RecordedCall:
        """Return what was recorded."""
        return RecordedCall(
            number=self._number,
            script=self._plan.script,
            sounds=self._plan.sounds,
            sample_rate=self._agent_rate,
            played=tuple(self._caller.played),
            sent_ns=really_sent_ns(self._sent_ns, self._events),
            events=tuple(one for one in self._events if not isinstance(one.event, FrameSent)),
            failure=self._why_not or self._caller.failure,
            started_at=self._started_at,
            dial_ms=self._dial_ns / 1e6,
            rule=self._plan.rule,
        )


def due_ns_of(sounds: Sequence[LineSound], played: PlayedStep) -> int:
    """Return when the last audible sample of a step is due, from the begin of the call."""
    last = 0 if played.skipped else sounds[played.number].last_frame + 1
    return (played.frame + last) * FRAME_NS


def place_call(agent: Agent, plan: CallPlan, number: int, clock: CallClock) -> RecordedCall:
    """Call ``agent`` and play the script of ``plan``; return what was recorded.

    Raises `voicebench.errors.CannotMeasure` if dialling fails. What goes wrong later ends the call,
    and the recording says why.
    """
    is_real = isinstance(clock, RealCallClock)
    call = PlacedCall.dialled(agent, plan, number, clock.now_ns, reads=is_real)
    if is_real:
        # Not before: the threads of the agent would inherit both, and compute on one core.
        _prefer_this_thread()
    call.begin(clock.now_ns())
    try:
        while not call.is_over:
            call.read_until_due()
            clock.wait_until(call.next_frame_ns)
            call.step()
    finally:
        call.hang_up()
    return call.recorded()


def place_call_in_thread(agent: Agent, plan: CallPlan, number: int) -> RecordedCall:
    """Do the same on the real clock, in a thread of its own."""
    ended: list[RecordedCall | BaseException] = []

    def run() -> None:
        try:
            ended.append(place_call(agent, plan, number, RealCallClock()))
        except BaseException as error:
            ended.append(error)

    caller = threading.Thread(target=run, name="voicebench-caller", daemon=True)
    caller.start()
    while caller.is_alive():  # so that Ctrl-C is taken between two waits
        caller.join(0.2)
    result = ended[0]
    if isinstance(result, BaseException):
        raise result
    return result


def _send(
    hear: Callable[[np.ndarray], None],
    frame: np.ndarray,
    recorder: CallRecorder,
) -> None:
    try:
        hear(frame)
    except VoicebenchError as error:
        recorder.emit(AgentFailed(str(error)))


def _prefer_this_thread() -> None:
    """Keep this thread on one core, with real-time priority where that is permitted.

    Threads that it starts later have the usual priority.
    """
    with contextlib.suppress(OSError, AttributeError, ValueError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    hurry_this_thread()
