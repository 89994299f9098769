"""Log of one turn over a WebSocket: 16 bytes a message for all of it, and the messages themselves.

Of messages with sound only those of the first second of the reply are kept (`KeptSound`), or all of
them for every k-th turn; of the others the number of samples. All other messages are kept.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from voicebench.load.reading.read_log import UNKNOWN_LAG, lag_of
from voicebench.remote.connection.socket_messages import Beginning
from voicebench.turn.playback import Arrival

Message = str | bytes | Beginning


class CutMark(NamedTuple):
    """The turn was cancelled, after so many seconds of its reply."""

    heard_s: float


class ReadMessage(NamedTuple):
    """One message, or its beginning, as it was read."""

    at_ns: int
    arrival: int
    """Messages with one number came together."""
    samples: int
    """Of its sound."""
    message: Message | CutMark | None
    """None for sound that was not kept."""


class SocketLog:
    """The messages of one turn, as they are read."""

    __slots__ = ("at_ns", "lag_ns", "messages", "samples")

    def __init__(self) -> None:
        self.at_ns = array("q")
        self.lag_ns = array("I")
        self.samples = array("I")
        self.messages: list[Message | CutMark | None] = []

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self.at_ns)

    def add(
        self,
        at_ns: int,
        received_ns: int | None,
        message: Message | CutMark | None,
        samples: int = 0,
    ) -> None:
        """Note a message; ``samples`` is the length of its sound."""
        self.at_ns.append(at_ns)
        self.lag_ns.append(lag_of(at_ns, received_ns))
        self.samples.append(samples)
        self.messages.append(message)

    def sound(self) -> list[Arrival]:
        """Return when sound arrived, and how much."""
        pairs = zip(self.at_ns, self.samples, strict=True)
        return [Arrival(at_ns, samples) for at_ns, samples in pairs if samples]

    def largest_lag_ns(self, until_ns: float = math.inf) -> int | None:
        """Return the largest lag up to a moment; None if the kernel told none."""
        pairs = zip(self.at_ns, self.lag_ns, strict=True)
        known = [lag for at_ns, lag in pairs if at_ns <= until_ns and lag != UNKNOWN_LAG]
        return max(known, default=None)

    def read(self) -> Iterator[ReadMessage]:
        """Yield the messages; those of one read, or that had waited for us, came together."""
        arrival, before_ns = 0, -1
        for at_ns, lag_ns, samples, message in zip(
            self.at_ns, self.lag_ns, self.samples, self.messages, strict=True
        ):
            had_waited = lag_ns != UNKNOWN_LAG and at_ns - lag_ns <= before_ns
            if at_ns != before_ns and not had_waited:
                arrival += 1
            before_ns = at_ns
            yield ReadMessage(at_ns, arrival, samples, message)
