"""A process that stays on a core, and the end of a child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from voicebench.machine import processes
from voicebench.machine.processes import CAN_PIN, end_child, stay_on

UNTIL_CLOSED = "import sys; sys.stdin.read(); sys.exit(7)"
FOR_EVER = "import signal; print(end='ready', flush=True); signal.pause()"


def child(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_a_child_goes_by_itself_when_its_input_ends() -> None:
    with child(UNTIL_CLOSED) as process:
        end_child(process)
        assert process.returncode == 7


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_child_that_does_not_go_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "END_S", 0.01)
    with child(FOR_EVER) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"ready"
        end_child(process)
        assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(not CAN_PIN, reason="this system pins nothing")
def test_one_core_is_left_and_none_that_is_missing() -> None:
    def cores_after(core: int | None) -> set[int]:
        stay_on(core)
        return os.sched_getaffinity(0)

    before = os.sched_getaffinity(0)
    for core, left in ((max(before), {max(before)}), (None, before), (1 << 12, before)):
        with ThreadPoolExecutor(1) as own_thread:  # Linux pins a thread alone
            assert own_thread.submit(cores_after, core).result() == left
    assert os.sched_getaffinity(0) == before
