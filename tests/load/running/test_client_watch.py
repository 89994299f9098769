"""How busy the client was, and others: from real counters of this process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from loopback import closed_port

from voicebench.load.running.client_cores import away_from
from voicebench.load.running.client_watch import ClientWatch
from voicebench.machine.environment import usable_core_numbers

BUSY = """
import os, socket, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    pass
"""

WORK = "import time\nwhile time.process_time() < {}: pass"


@contextmanager
def busy_server(core: int) -> Iterator[int]:
    """Start a process that keeps a core busy and listens; yield its port."""
    with subprocess.Popen(
        [sys.executable, "-c", BUSY, str(core)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def work(seconds: float) -> None:
    """Use so much processor time."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_the_client_is_as_busy_as_its_client_process() -> None:
    began = time.perf_counter()
    watch = ClientWatch([(os.getpid(),)], ())
    idle = ClientWatch([(os.getppid(), os.getpid())], ())
    work(0.5)
    state, other = watch.look(), idle.look()
    elapsed = time.perf_counter() - began
    assert state.busiest_core is not None
    assert other.busiest_core is not None
    # The counters have steps of 10 ms.
    assert 0.45 / elapsed - 0.1 <= state.busiest_core <= 1.0
    # The second process of a core gives way to the first one, and does not count.
    assert other.busiest_core < state.busiest_core
    assert state.foreign is not None
    assert 0.0 <= state.foreign <= 1.0


@pytest.mark.skipif(len(usable_core_numbers()) < 2, reason="the parent has no core to move to")
@pytest.mark.parametrize("is_away", [False, True], ids=["any core", "off the client's core"])
def test_another_program_is_seen_also_while_the_parent_keeps_off_the_clients_cores(
    is_away: bool,
) -> None:
    cores = len(usable_core_numbers())
    kept_free = usable_core_numbers()[-1:] if is_away else []
    used_s = 0.5
    watch = ClientWatch([(os.getpid(),)], ())
    began = time.perf_counter()
    with away_from(kept_free):
        subprocess.run([sys.executable, "-c", WORK.format(used_s)], check=True)
        foreign = watch.look().foreign
    elapsed = time.perf_counter() - began
    assert foreign is not None
    # It used more, because Python had to start; and the counters have steps of 10 ms.
    assert foreign * elapsed * cores >= used_s - 0.05


def test_foreign_load_is_unknown_beside_a_server_whose_process_is_unknown() -> None:
    watch = ClientWatch([(os.getpid(),)], {closed_port()})
    work(0.05)
    assert watch.look().foreign is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_a_server_on_another_core_does_not_hide_what_others_use_of_ours() -> None:
    usable = os.sched_getaffinity(0)
    if len(usable) < 2:
        pytest.skip("there is one core")
    other, ours, *_ = sorted(usable)
    with busy_server(other) as port, busy_server(ours):
        try:
            os.sched_setaffinity(0, {ours})
            watch = ClientWatch([(os.getpid(),)], {port})
            time.sleep(1.0)
            foreign = watch.look().foreign
        finally:
            os.sched_setaffinity(0, usable)
    assert foreign is not None
    assert foreign > 0.3
