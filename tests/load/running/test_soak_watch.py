"""Client and server are watched: a process that leaks is seen to, one that does not is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from voicebench.load.drift import ERROR, LEAST_GROUPS, drift_of
from voicebench.load.running.soak_watch import SoakWatch

PROGRAM = """
import sys
kept = []
for line in sys.stdin:
    if line.startswith("leak"):
        kept.append(b"x" * 8_000_000)
        kept += [open("/dev/null") for _ in range(5)]
    print("done", flush=True)
"""
BLOCKS = LEAST_GROUPS + 2


@contextmanager
def program() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def tell(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(word + "\n")
    process.stdin.flush()
    process.stdout.readline()


def test_a_server_that_leaks_drifts_and_a_client_that_does_not_does_not() -> None:
    with program() as client, program() as server:
        tell(client, "ready")
        tell(server, "ready")
        watch = SoakWatch(lambda: [client.pid], lambda: [server.pid])
        for _ in range(BLOCKS):
            tell(client, "work")
            tell(server, "leak")
            watch.read()
    drifts = {
        name: drift_of(name, [value for value in values if value is not None], ERROR)
        for name, values in watch.curves.items()
    }
    assert drifts["server_memory_mb"].is_shown
    assert drifts["server_descriptors"].is_shown
    assert drifts["server_descriptors"].rise == 5 * (BLOCKS - 1)
    assert not drifts["server_connections"].is_shown
    assert not any(drifts[name].is_shown for name in drifts if name.startswith("client_"))


def test_processes_that_are_not_there_are_not_read() -> None:
    watch = SoakWatch(tuple, lambda: [2**22 + 1])
    watch.read()
    assert set(watch.curves) == {
        f"{side}_{name}"
        for side in ("client", "server")
        for name in ("memory_mb", "descriptors", "connections")
    }
    assert all(values == [None] for values in watch.curves.values())
