"""The messages of an agent behind a WebSocket: what the caller sends, what the agent's mean.

A dialect is one protocol: PCM with words by settings, OpenAI's Realtime, telephony media streams,
Pipecat's frames. It belongs to one call, and knows no connection and no clock. Time is told by the
caller's frames: each is 20 ms.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voicebench.calls.agent_events import AgentEvent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Message = str | bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """A message that the caller sends back."""

    message: Message


class WireDialect(Protocol):
    """One protocol, for one call."""

    hear_rate: int
    """The rate in Hz at which the agent hears the caller."""

    def opening(self) -> Iterable[Message]:
        """Return the messages that open the call, before its clock."""
        ...

    def is_ready(self, message: Message) -> bool:
        """Return whether ``message`` says that the agent is ready for the first frame."""
        ...

    @property
    def waits_for_ready(self) -> bool:
        """Whether the agent says when it is ready."""
        ...

    def frame(self, samples: NDArray[np.int16]) -> Iterable[Message]:
        """Return the messages for the next 20 ms of the caller."""
        ...

    def take(self, message: Message) -> Iterable[AgentEvent | Answered]:
        """Return what ``message`` of the agent means.

        Raises `ValueError` with the reason (a verb and its object) for one that breaks the
        protocol.
        """
        ...

    def closing(self) -> Iterable[Message]:
        """Return the messages that end the call."""
        ...


def as_text(message: Mapping[str, object]) -> str:
    """Return a message as compact JSON."""
    return json.dumps(message, separators=(",", ":"))


def table_in(message: Message) -> dict[str, object]:
    """Return the JSON object in a text message. Raises `ValueError` if it has none."""
    if isinstance(message, bytes):
        raise ValueError("sends a binary message where JSON is expected")
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"sends a text that is not a JSON object: {message[:60]!r}")
    return found


def text_under(table: Mapping[str, object], *path: str) -> str:
    """Return the text at ``path`` in ``table``; empty if there is none."""
    found: object = table
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""
