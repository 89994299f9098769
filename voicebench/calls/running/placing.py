"""One call: dial, send a frame every 20 ms, stamp what the agent does, hang up.

The caller's frames follow an absolute schedule: frame k leaves 20 ms * (k + 1) after the call's
begin, however late the one before was. So no delay adds up, and the delay of each frame is known.
On the real clock the caller has a thread of its own, on one core and, where that is permitted, with
real-time priority.
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

from voicebench.agents import Agent
from voicebench.audio.pcm import AudibleRule
from voicebench.calls.agent_events import AgentEvent, AgentFailed
from voicebench.calls.agent_watch import AgentWatch
from voicebench.calls.call_clock import CallClock
from voicebench.calls.call_script import CallScript
from voicebench.calls.conversation import Conversation, Manners
from voicebench.calls.heard import StampedAgentEvent
from voicebench.calls.line_sound import FRAMES_PER_S, LineSound
from voicebench.calls.recorded_call import FRAME_NS, RecordedCall
from voicebench.errors import VoicebenchError


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
    """Stamps the events of the agent, from any thread."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._events: list[tuple[int, AgentEvent]] = []

    def emit(self, event: AgentEvent) -> None:
        """Stamp ``event`` with the clock, now."""
        with self._lock:
            self._events.append((self._now_ns(), event))

    def since(self, seen: int, start_ns: int) -> list[StampedAgentEvent]:
        """Return the events after the first ``seen``; those before the start count from it."""
        with self._lock:
            new = self._events[seen:]
        return [StampedAgentEvent(max(0, at_ns - start_ns), event) for at_ns, event in new]


def place_call(agent: Agent, plan: CallPlan, number: int, clock: CallClock) -> RecordedCall:
    """Call ``agent`` and play the script of ``plan``; return what was recorded.

    Raises `voicebench.errors.CannotMeasure` if dialling fails. What goes wrong later ends the call,
    and the recording says why.
    """
    recorder = CallRecorder(clock.now_ns)
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    dialled_ns = clock.now_ns()
    talk = agent.open_call(recorder.emit)
    if isinstance(clock, RealCallClock):
        # Not before: the threads of the agent would inherit both, and compute on one core.
        _prefer_this_thread()
    start_ns = clock.now_ns()
    watch = AgentWatch()
    caller = Conversation(plan.script, plan.sounds, watch, plan.manners)
    silence = np.zeros(agent.sample_rate // FRAMES_PER_S, dtype=np.int16)
    sent_ns: list[int] = []
    events: list[StampedAgentEvent] = []
    try:
        while not caller.is_over:
            clock.wait_until(start_ns + (len(sent_ns) + 1) * FRAME_NS)
            new = recorder.since(len(events), start_ns)
            events += new
            for stamped in new:
                watch.take(stamped)
            now_ns = clock.now_ns() - start_ns
            frame = caller.frame(len(sent_ns), now_ns)
            sent_ns.append(now_ns)
            if not caller.is_over:
                _send(talk.hear, silence if frame is None else frame, recorder)
    finally:
        talk.hang_up()
    return RecordedCall(
        number=number,
        script=plan.script,
        sounds=plan.sounds,
        sample_rate=agent.sample_rate,
        played=tuple(caller.played),
        sent_ns=tuple(sent_ns),
        events=tuple(events),
        failure=caller.failure,
        started_at=started_at,
        dial_ms=(start_ns - dialled_ns) / 1e6,
        rule=plan.rule,
    )


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
    with contextlib.suppress(OSError, AttributeError, ValueError):
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(1))
