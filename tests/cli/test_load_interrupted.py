"""Ctrl-C during a level on a real server: every finished turn and level is kept, and said."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from loopback import until
from served_process import served_process

from voicebench.results.load_folder import read_levels


def test_ctrl_c_keeps_every_finished_turn_and_says_what_they_show(tmp_path: Path) -> None:
    with served_process("sim:ttft=20ms,token=2ms,ttfb=10ms,speed=20x,words=2") as served:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "voicebench", "load", "--server", served.voice_url),
                *("--callers", "3", "--for", "10m", "--no-gate", "--results", str(tmp_path)),
                *("--set", "load.think=100ms", "--set", "load.speech=100ms"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

        def lines() -> int:
            return sum(
                len(path.read_bytes().splitlines()) for path in tmp_path.glob("*/turns.jsonl")
            )

        try:
            until(lambda: lines() >= 3)  # on disk at once, not at the end of a block
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 130, err
    [folder] = tmp_path.iterdir()
    [level] = read_levels(folder)
    assert level["interrupted"] is True
    counts = level["turns"]
    assert isinstance(counts, dict)
    assert sum(counts.values()) == lines() >= 3
    assert json.loads((folder / "load.json").read_text())["verdict"] == "INTERRUPTED"
    assert (folder / "INCOMPLETE").exists()
    assert "3 callers" in out
