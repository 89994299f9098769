"""Agents: everything that can be called and spoken to.

`Agent` is the contract. `AgentKind` is what a kind of agent says of itself; the table of all kinds
is `voicebench.agents.agent_kinds.KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from voicebench.calls.agent_events import EmitAgentEvent
from voicebench.calls.packet_way import PacketWay

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.settings import Settings

FRAME_MS = 20
"""The caller's speech comes in frames of this length."""


class AgentCall(Protocol):
    """One call in progress."""

    def hear(self, frame: NDArray[np.int16]) -> None:
        """Take the next 20 ms of the caller: int16 mono, ``(sample_rate // 50,)``.

        Called every 20 ms from the caller's thread, silence included, without a gap. It has to
        return at once: the time that it takes makes the caller late. A failure is an `AgentFailed`
        event, never an exception.
        """
        ...

    def hang_up(self) -> None:
        """End the call. No event is emitted after it has returned. May be called twice."""
        ...


class ReadCall(AgentCall, Protocol):
    """A call without a thread of its own: the thread that sends the frames reads, too.

    So one thread can drive many calls, and no other thread delays it.
    """

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the agent has sent something."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait until the agent has sent something, or for ``seconds``; return whether it has."""
        ...

    def read(self) -> bool:
        """Emit what has come by now, without waiting; return False if nothing more will come."""
        ...


@runtime_checkable
class TakesReadCalls(Protocol):
    """An agent whose calls can do without a thread."""

    def open_read_call(self, emit: EmitAgentEvent) -> ReadCall:
        """Begin such a call; see `Agent.open_call`."""
        ...


class ManualAgentCall(AgentCall, Protocol):
    """A call whose turns the caller's client ends. ``hear`` may come faster than real time."""

    def commit(self) -> None:
        """Take what was heard since the last commit as the caller's turn, and transcribe it."""
        ...

    def drop_sound(self) -> None:
        """Forget what was not committed yet."""
        ...

    def respond(self) -> None:
        """Answer the committed turn. `ReplyComplete` alone answers a turn without words."""
        ...

    def cancel(self) -> None:
        """Discard the answer under way."""
        ...


@runtime_checkable
class TakesManualCalls(Protocol):
    """An agent that can leave the end of turns to the client."""

    def open_manual_call(self, emit: EmitAgentEvent) -> ManualAgentCall:
        """Begin such a call; see `Agent.open_call`."""
        ...


@runtime_checkable
class SendsPackets(Protocol):
    """An agent that is reached by packets, which may be lost or late."""

    packets: PacketWay
    """What happens to those of the caller in the calls that are opened from now on."""


class Agent(Protocol):
    """Takes calls, one at a time."""

    @property
    def sample_rate(self) -> int:
        """The rate in Hz at which it hears the caller; a multiple of 50."""
        ...

    def open_call(self, emit: EmitAgentEvent) -> AgentCall:
        """Dial, and return when the agent is ready to hear the first frame.

        Dialling is not part of the call's clock. Events may be emitted from now on: an agent may
        greet. Raises `voicebench.errors.CannotMeasure` if there is no connection.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know; ``url`` for a server."""
        ...

    def close(self) -> None:
        """Release models and connections."""
        ...


class AgentKind(Protocol):
    """One kind of agent: how it is named, checked and opened."""

    @property
    def example(self) -> str:
        """A value of ``--agent`` that names this kind, for messages and the documentation."""
        ...

    @property
    def has_packets(self) -> bool:
        """Whether its agents are `SendsPackets`."""
        ...

    def takes(self, agent: str) -> bool:
        """Return whether ``agent`` (of ``--agent``) names this kind."""
        ...

    def check(self, agent: str, settings: Settings) -> None:
        """Raise a `voicebench.errors.UsageError` for what cannot work; loads nothing."""
        ...

    def reach(self, agent: str, settings: Settings) -> None:
        """Dial a server and hang up, before anything is fetched, loaded or written.

        Raises a `voicebench.errors.VoicebenchError` that names the option which mends it.
        """
        ...

    def open(self, agent: str, settings: Settings, say: Callable[[str], None]) -> Agent:
        """Load or reach the agent. Raises a `voicebench.errors.VoicebenchError`."""
        ...
