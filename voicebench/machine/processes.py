"""Processes of ours: the core that one stays on, and the end of a child that reads its input."""

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


def end_child(process: subprocess.Popen[bytes]) -> None:
    """End a child that goes when its standard input is closed; kill it if it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
