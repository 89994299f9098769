"""The acts of a scripted agent: how late it really did what its script says, by its own record.

An agent on a busy machine answers late. That is no error of the caller's, so the self-test takes it
away. An act is an answer or a clear. It is **due** by the script, counted from the moment at which
the system received the caller's frame, and **late** until the agent hands its message to the
system. The rest of a recorded time minus its script is the instrument's error: the caller's way to
the system, the way back from there, and the listener.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from voicebench.calls.agent_events import AgentAudio, AgentCleared, AgentEvent, SpeechEndSeen

ActKind = Literal["answer", "clear"]


class AgentAct(NamedTuple):
    """One act of an agent, in nanoseconds of `time.perf_counter_ns`, which both processes share."""

    kind: ActKind
    due_ns: int
    sent_ns: int
    """Just before the first of its messages was handed to the system."""


TakeActs = Callable[[Sequence[AgentAct]], None]
"""Take the acts of a call that has ended."""


class ActsOfCall:
    """The acts of one call, in order, as the agent's events go by."""

    def __init__(self) -> None:
        self.done: list[AgentAct] = []
        self._may_answer = False

    def act_of(self, event: AgentEvent) -> ActKind | None:
        """Return the act that begins with ``event``, the next one; None if there is none."""
        match event:
            case SpeechEndSeen():
                self._may_answer = True
            case AgentAudio() if self._may_answer:
                self._may_answer = False
                return "answer"
            case AgentCleared():
                return "clear"
            case _:
                pass
        return None

    def add(self, kind: ActKind | None, due_ns: int, sent_ns: int) -> None:
        """Note an act, if it is one."""
        if kind is not None:
            self.done.append(AgentAct(kind, due_ns, sent_ns))
