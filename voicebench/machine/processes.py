"""Processes and threads of ours: the core of one, its priority, and the end of a child process."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

CAN_PIN = hasattr(os, "sched_setaffinity")
END_S = 10.0


def stay_on(core: int | None) -> None:
    """Keep this process on one core, where the system can do that."""
    if core is not None and CAN_PIN:
        with suppress(OSError):  # the core may have been taken away since
            os.sched_setaffinity(0, {core})


def hurry_this_thread() -> None:
    """Give this thread real-time priority where that is permitted; none that it starts later."""
    with suppress(OSError, AttributeError, ValueError):
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(1))


def end_child(process: subprocess.Popen[bytes]) -> None:
    """End a child that goes when its standard input is closed; kill it if it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
