"""The start and the memory of a run, as a user has them: a process of its own, timed from outside.

The models are in the cache and the files are warm: a first run, not measured, sees to that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from voicebench.figures.metrics import BY_NAME
from voicebench.results.codec import decode_line
from voicebench.turn.timeline import Timeline

REPEATS = 3
TURNS = 3


def measure(folder: Path) -> dict[str, float]:
    """Return ``first_audio_s``, ``first_measured_s`` (medians) and ``memory_gb`` (the largest)."""
    runs = [one_run(folder / "startup") for _ in range(REPEATS + 1)][1:]
    return {
        "first_audio_s": sorted(run["first_audio_s"] for run in runs)[REPEATS // 2],
        "first_measured_s": sorted(run["first_measured_s"] for run in runs)[REPEATS // 2],
        "memory_gb": max(run["memory_gb"] for run in runs),
        "cold_ms": sorted(run["cold_ms"] for run in runs)[REPEATS // 2],
    }


def one_run(results: Path) -> dict[str, float]:
    """Run ``voicebench run`` and return its figures, in seconds since the process was started."""
    command = [sys.executable, "-m", "voicebench", "run", "--quiet", "--json"]
    command += ["--runs", str(TURNS), "--allow-noise", "--results", str(results)]
    before = {path.name for path in results.glob("*")}
    begun = time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    [folder] = [path for path in results.glob("*-default") if path.name not in before]
    lines = (folder / "turns.jsonl").read_text(encoding="utf-8").splitlines()
    turns = [decode_line(line, str(folder)) for line in lines]
    return since(begun, turns) | {"memory_gb": usage.ru_maxrss * 1024 / 1e9}


def since(begun: float, turns: list[Timeline]) -> dict[str, float]:
    """Return when the first audio and the first measured turn came, ``begun`` being a wall time.

    ``cold_ms`` is the first audio of the first turn after loading.
    """
    first_audio_ms = BY_NAME["first_audio_ms"].of(turns[0]) or 0.0
    measured = next(turn for turn in turns if turn.phase == "measured")
    return {
        "first_audio_s": _started(turns[0]) + first_audio_ms / 1000 - begun,
        "first_measured_s": _started(measured) - begun,
        "cold_ms": first_audio_ms,
    }


def _started(turn: Timeline) -> float:
    return datetime.fromisoformat(turn.started_at).timestamp()
