"""Interfaces of the queue of a device: to its turns, and to a language model that shares steps."""

from __future__ import annotations

from typing import Protocol

Rank = tuple[int, int, int]


class StepSharing(Protocol):
    """A language model that computes the token steps of several turns in one pass."""

    def expect(self, steps: int) -> None:
        """Announce token steps that begin now: the next pass waits until each asks or has ended."""

    def ended(self) -> None:
        """Record that an announced step has ended."""


class QueuedTurn(Protocol):
    """The part of a turn that decides when it goes."""

    @property
    def is_cancelled(self) -> bool:
        """Whether it starts no further step."""
        ...

    @property
    def is_unheard(self) -> bool:
        """Whether it has had no output yet."""
        ...

    @property
    def is_reading(self) -> bool:
        """Whether its next token step reads the prompt, or a piece of it."""
        ...

    def left_s(self) -> float:
        """Return how much audio its listener has left, in seconds; 0 before the first."""
        ...

    def has_enough(self) -> bool:
        """Return whether its listener's buffer is long enough for tokens to go before speech."""
        ...

    def rank(self) -> Rank:
        """Return its place among all turns; the smallest goes first."""
        ...
