"""Whole turns by ``voicebench run``: a language model of random weights and a voice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.gpu.judged import Report

TURNS = 20
METRICS = ("llm_ttft_ms", "first_chunk_ms", "tts_ttfb_ms", "first_audio_ms", "first_sound_ms")


def measure(
    report: Report, name: str, *, model: Path, voice: str, devices: dict[str, str], folder: Path
) -> None:
    """Run turns; ``devices`` has those of the language model and of the voice."""
    settings = {
        "llm.device": devices["llm"],
        "tts.device": devices["tts"],
        "llm.max_tokens": "40",
    }
    command = [
        *(sys.executable, "-m", "voicebench", "run", "--json", "--no-gate", "--allow-noise"),
        *("--runs", str(TURNS), "--warmup", "3", "--llm", str(model), "--voice", voice),
        *("--results", str(folder / "results"), "--name", "gpu"),
        *(part for key, value in settings.items() for part in ("--set", f"{key}={value}")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    part = "whole turn"
    if not done.stdout.strip():
        raise RuntimeError(f"{name}: exit code {done.returncode}: {done.stderr[-800:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    report.keep(f"{part} {name}", result)
    for metric in METRICS:
        figure = result["metrics"][metric]
        found = f"{figure['p50']:.1f} ms, p95 {figure['p95']:.1f}"
        report.add(part, f"{metric}, {name}", found)
    turns = result["turns"]
    report.add(part, f"failed turns, {name}", str(turns["failed"]), "0", turns["failed"] == 0)
