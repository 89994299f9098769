"""How busy the client was, and others: from real counters of this process."""

from __future__ import annotations

import os
import time

from loopback import closed_port

from voicebench.load.running.client_watch import ClientWatch


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


def test_foreign_load_is_unknown_beside_a_server_whose_process_is_unknown() -> None:
    watch = ClientWatch([(os.getpid(),)], {closed_port()})
    work(0.05)
    assert watch.look().foreign is None
