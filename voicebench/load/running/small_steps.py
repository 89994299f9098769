"""Small steps: a process of least priority pauses four times a millisecond while it computes.

Least priority alone does not keep it out of a reader's way. Linux owes it a small share of the time
in which the reader ran (3 of 1,027). As long as it is owed anything, it is chosen before a reader
that has just let another thread run. It then keeps the core until the system looks again, at its
next tick: up to 4 ms later, where a second has 250 ticks. A pause lets the system choose at once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

STEP_S = 0.000_25
PAUSE_S = 0.000_05
"""The system adds about as much again."""


@contextmanager
def small_steps() -> Iterator[None]:
    """Let this process pause after each small step of what it computes in this block.

    Only its main thread may ask for that. Where the system has no idle class, nothing happens.
    """
    if not (hasattr(os, "SCHED_IDLE") and hasattr(signal, "setitimer")):
        yield
        return
    pauses = False

    def pause(*_: object) -> None:
        nonlocal pauses
        if not pauses:  # the timer goes on during a pause
            pauses = True
            time.sleep(PAUSE_S)
            pauses = False

    before = signal.signal(signal.SIGALRM, pause)
    signal.setitimer(signal.ITIMER_REAL, STEP_S, STEP_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
