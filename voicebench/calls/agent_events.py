"""The events of an agent in a call. They say what happened, not when.

An agent emits them from any thread, at the moment that their classes describe. It reads no clock:
the recorder of the call stamps each event. Sound may come faster than real time. The caller's
simulated listener plays it in order, without a gap where it can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class AgentAudio:
    """Speech of the agent is in host memory: float32 mono in [-1, 1], shape ``(samples,)``."""

    pcm: NDArray[np.float32]
    sample_rate: int
    """In Hz; the same in the whole call."""


@dataclass(frozen=True, slots=True)
class AgentCleared:
    """The agent takes back all sound that the listener has not played yet."""


@dataclass(frozen=True, slots=True)
class ReplyComplete:
    """All sound of the present answer was sent, and nothing of it was taken back.

    An agent that cannot say so leaves it out. With it, an answer that ended by itself is told from
    one that was stopped.
    """


@dataclass(frozen=True, slots=True)
class SpeechStartSeen:
    """The agent noticed that the caller began to speak, while it was silent itself."""


@dataclass(frozen=True, slots=True)
class SpeechEndSeen:
    """The agent decided that the caller has finished: its *endpoint*."""


@dataclass(frozen=True, slots=True)
class CallerTranscript:
    """The agent's transcript of the caller's words. ``text`` is not empty.

    A transcript that is not ``final`` replaces the one before it. Several final ones are parts of
    one line, in order.
    """

    text: str
    final: bool = True


@dataclass(frozen=True, slots=True)
class ReplyText:
    """A visible text delta of the reply is in hand. ``text`` is not empty."""

    text: str


@dataclass(frozen=True, slots=True)
class FrameSent:
    """The next frame of the caller leaves now.

    A client that sends in a thread of its own emits one for each frame, in order, so that the
    moment is known at which the frame was really sent. It is no event of the agent.
    """


@dataclass(frozen=True, slots=True)
class AgentFailed:
    """The call cannot go on. ``reason`` is one sentence with the agent's name or URL."""

    reason: str


AgentEvent = (
    AgentAudio
    | AgentCleared
    | ReplyComplete
    | SpeechStartSeen
    | SpeechEndSeen
    | CallerTranscript
    | ReplyText
    | FrameSent
    | AgentFailed
)

EmitAgentEvent = Callable[[AgentEvent], None]
"""Take one event, now. Safe to call from any thread."""
