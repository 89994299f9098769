"""Ctrl-C and a request to terminate keep every finished turn, and end with 130."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from voicebench.results.run import read_run

SCRIPT = "sim:ttft=20ms,token=5ms,ttfb=20ms,speed=20x,words=6"
DEADLINE_S = 20.0


@pytest.mark.parametrize("request_to_stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_its_turns(
    tmp_path: Path, request_to_stop: signal.Signals
) -> None:
    command = [sys.executable, "-m", "voicebench", "run", "--quiet", "--results", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--target", SCRIPT, "--runs", "10000", "--warmup", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        turns = wait_for_turns(tmp_path, count=3)
        process.send_signal(request_to_stop)
        told, errors = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors
    run = read_run(turns.parent)
    assert run.summary.turns >= 2  # after the cold one
    assert run.summary.failed == 0
    assert not run.complete
    assert told.splitlines()[-1] == f"! INTERRUPTED  after {run.summary.turns} of 10000 turns"
    assert json.loads((run.path / "summary.json").read_text())["verdict"] == "INTERRUPTED"


def wait_for_turns(results: Path, count: int) -> Path:
    """Return the run's file of turns once it has ``count`` whole lines."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        for path in results.glob("*/turns.jsonl"):
            if path.read_text().count("\n") >= count:
                return path
        time.sleep(0.02)
    raise AssertionError("no turn was recorded")
