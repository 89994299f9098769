"""The answer to one turn over a WebSocket, taken apart message by message, without any I/O.

A protocol has one class for it. Two engines use that class: the target, which waits for each
message in a thread of its own, and the reading loop of `load` (`voicebench.load.reading`), which
reads thousands of connections in one thread. So both agree on what is sound, what is an error, and
when the turn is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from voicebench.events import Event
from voicebench.remote.connection.socket_messages import Beginning, Incoming


@dataclass(frozen=True, slots=True)
class TurnsBefore:
    """The memory that a client has of its earlier turns with a server."""

    turns: int = 0
    repeats_numbers: bool | None = None
    """Whether the server repeats the turn's number; None if unknown, or if there are none."""
    sample_rate: int | None = None
    """That of the sound so far, in Hz."""
    response: str | None = None
    """The id of the latest response, in a protocol that has ids."""


class PlainSound(NamedTuple):
    """A message that holds nothing but sound: 16-bit samples, little-endian, mono."""

    samples: bytes | memoryview
    sample_rate: int


class SocketAnswer(Protocol):
    """The answer to one turn while its messages arrive."""

    @property
    def done(self) -> bool:
        """Whether the turn is over: no message of it is due any more."""
        ...

    def request(self) -> Iterable[str]:
        """Yield the messages that ask for the answer."""
        ...

    def take(self, incoming: Incoming | Beginning) -> Iterator[Event]:
        """Yield the events in ``incoming``. Raises `voicebench.errors.EngineError`."""
        ...

    def take_plain(self, message: str | bytes) -> PlainSound | None:
        """Take a message that holds nothing but more sound of this turn, and return the sound.

        Anything else is not taken: it is None, and `take` has to take it. Nothing is decoded, so
        this costs a tenth of `take`.
        """
        ...

    def made_of(self, sound: PlainSound) -> str | bytes:
        """Return a message that `take` takes as this sound of the turn."""
        ...

    def end(
        self, received: Sequence[Incoming], set_aside: Sequence[str | bytes]
    ) -> Iterator[Event]:
        """Yield the last events of a turn that is done.

        ``received`` came together with its end, ``set_aside`` before its request. Raises
        `voicebench.errors.EngineError` if something of the turn came after its end.
        """
        ...

    def cancelling(self, heard_s: float) -> Iterable[str]:
        """Yield the messages that cancel the turn, of which ``heard_s`` seconds were heard."""
        ...

    def after(self) -> TurnsBefore:
        """Return what is remembered after this turn."""
        ...
