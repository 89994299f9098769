"""The place of a turn under load: which caller and call it belongs to, and when it was due."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoadPlace:
    """Identity and due moment of a turn of a level. Times in nanoseconds."""

    level: int
    """The number of the level in its run, from 1."""
    caller: int
    call: int
    """0 for the first call of this caller, 1 for the one that replaces it."""
    number: int
    """The turn's number in its call, from 0."""
    due_ns: int
    """The moment at which it ought to start, on the clock of the level."""
    late_ns: int
    """Due moment to turn start: our own delay, not the server's."""
    client_lag_ns: int | None = None
    """Our stamp minus the kernel's receive time, the largest up to first audio."""
    setup_ns: int | None = None
    """Dial to ready; only in the first turn of a call."""
    unfinished: bool = False
    """Whether it was still open when the level ended."""
    cut_after_ns: int | None = None
    """From first audio to the moment at which the caller interrupts by the plan; None: never. The
    reply may have been heard out before."""
    interrupts: bool = False
    """Whether with this turn the caller interrupts the one before."""
    fault: str | None = None
    """The fault of the network that was made for it (it counts for no gate): reset, slow, stall."""
