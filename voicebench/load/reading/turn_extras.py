"""Interruptions and faults of a turn in the reader's loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Go = Callable[[], None]


def at_once(_port: int, go: Go) -> None:
    """Go on at once."""
    go()


@dataclass(frozen=True, slots=True)
class TurnExtras:
    """The interruption and the fault of one turn."""

    cut_after_ns: int | None = None
    """How long after first audio the caller interrupts; None: never."""
    before_request: Callable[[int, Go], None] = at_once
    """Takes our own port and what sends the request; it calls that when the fault was made."""


PLAIN_TURN = TurnExtras()
