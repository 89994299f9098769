"""Processor time of processes with their children, and energy counters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from benchmarks.callers.consumed import energy_j, read_counters

BUSY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]]) if len(sys.argv) > 1 else None
while time.process_time() < 0.3:
    pass
print("busy", flush=True)
sys.stdin.read()
"""
"""Uses 0.3 s of processor time, then waits until its input ends; so does a child of it."""


def test_the_time_of_children_counts(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUSY, BUSY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert [parent.stdout.readline() for _ in range(2)] == [b"busy\n"] * 2
        alone = psutil.Process(parent.pid).cpu_times()
        both = read_counters([parent.pid], tmp_path).processor_s
        assert both >= alone.user + alone.system + 0.25


def test_what_was_consumed_is_the_difference() -> None:
    before = read_counters([os.getpid()])
    sum(range(3_000_000))
    spent = read_counters([os.getpid()]).since(before)
    assert 0 < spent.processor_s < 30


def counter(folder: Path, zone: str, microjoules: str) -> None:
    (folder / zone).mkdir()
    (folder / zone / "energy_uj").write_text(microjoules, encoding="ascii")


def test_energy_is_the_sum_of_the_packages_without_their_parts(tmp_path: Path) -> None:
    counter(tmp_path, "intel-rapl:0", "2000000\n")
    counter(tmp_path, "intel-rapl:1", "500000\n")
    counter(tmp_path, "intel-rapl:0:0", "1000000\n")  # the cores of the first package
    assert energy_j(tmp_path) == 2.5


def test_energy_that_is_not_shown_is_missing_and_not_zero(tmp_path: Path) -> None:
    assert energy_j(tmp_path) is None
    counter(tmp_path, "intel-rapl:0", "none of your business")
    assert energy_j(tmp_path) is None
    assert (
        read_counters([os.getpid()], tmp_path).since(read_counters([], tmp_path)).energy_j is None
    )
