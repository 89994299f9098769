"""`pipecat eval` calls our agent: what it is told, and its figures of each call.

One line is said twice. In a *scripted* scenario the harness plays a recording and waits for events.
It prints no time for them; its log stamps them. In a *simulation* it plays a caller, and measures
``latency``: by its definition from the moment at which the agent says that the caller has stopped.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.relay import RelayedCall

TIMEOUT_S = 180.0
SCRIPTED, SIMULATED = "scripted", "simulated"
_EVENT = re.compile(r"^ *([\d.]+)  \[ *\S+\]  (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class EvalFigures:
    """What `pipecat eval` found of one line."""

    passed: bool
    """The expectations of both scenarios held."""
    scripted_ms: float | None
    """From the end of the recording to ``bot_started_speaking``, by the stamps of its log."""
    latency_ms: float | None
    """Its measure ``latency``, from the same two events, to the millisecond."""


def scenarios(line: str, wav: Path, whisper: Path) -> dict[str, object]:
    """Return the scenario file for one line."""
    heard = [
        {"event": "user_stopped_speaking", "within_ms": 10_000},
        {"event": "user_transcription", "check_from": "turn_start"},
        {"event": "bot_started_speaking", "check_from": "turn_start"},
        {"event": "llm_response", "check_from": "turn_start", "within_ms": 30_000},
    ]
    return {
        "name": "interop",
        "judge": {
            "modality": "audio",
            "transcription": {"service": "whisper", "model": str(whisper)},
            "eval": {"factory": "eval_parts.judge", "explainer": False},
        },
        "scenarios": [
            {
                "name": SCRIPTED,
                "user": {"modality": "audio"},
                "turns": [{"user": line, "audio": str(wav), "expect": heard}],
            },
            {
                "name": SIMULATED,
                "user": {
                    "modality": "audio",
                    "speech": {"factory": "eval_parts.voice", "wav": str(wav)},
                },
                "persona": "A caller who says one line and hangs up.",
                "goal": "Ask, and hear an answer.",
                "success": "the agent answered",
                "simulator": {"factory": "eval_parts.caller", "line": line},
                "metrics": [{"measure": "latency", "max_value": 3}],
            },
        ],
    }


def evaluate(
    program: Path, url: str, line: str, wav: Path, *, whisper: Path, folder: Path
) -> EvalFigures:
    """Let `pipecat eval run` take both scenarios of a line; its logs stay in ``folder``."""
    # JSON is YAML.
    path = folder / "interop.yaml"
    path.write_text(json.dumps(scenarios(line, wav, whisper)), encoding="utf-8")
    command = [str(program), "eval", "run", str(path), "--bot-url", url, "--verbose"]
    command += ["--logs-dir", str(folder), "--no-cache"]
    parts = str(Path(__file__).parent)
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": parts, "HF_HUB_OFFLINE": "1"},
    )
    (folder / "said.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    logs = [
        (folder / f"interop__{name}.eval.log").read_text(encoding="utf-8")
        for name in (SCRIPTED, SIMULATED)
    ]
    with wave.open(str(wav), "rb") as file:
        length_s = file.getnframes() / file.getframerate()
    return figures_of(done.returncode == 0, *logs, length_s=length_s)


def figures_of(passed: bool, scripted: str, simulated: str, *, length_s: float) -> EvalFigures:
    """Return the figures of both logs; ``length_s`` is how long the recording is."""
    sent = _moment(scripted, "send: ")
    heard = _moment(scripted, "event: user_stopped_speaking", after=sent)
    answered = _moment(scripted, "event: bot_started_speaking", after=heard)
    stopped = _moment(simulated, "event: user_stopped_speaking")
    spoken = _moment(simulated, "event: tts_response", after=stopped)
    return EvalFigures(
        passed,
        None if sent is None or answered is None else (answered - sent - length_s) * 1000,
        None if stopped is None or spoken is None else (spoken - stopped) * 1000,
    )


def _moment(log: str, begin: str, *, after: float | None = 0.0) -> float | None:
    """Return when the first line that begins so was logged, in s; None if none was."""
    if after is None:
        return None
    for seconds, text in _EVENT.findall(log):
        if text.startswith(begin) and float(seconds) >= after:
            return float(seconds)
    return None


def compared_with_eval(figures: EvalFigures, calls: Sequence[RelayedCall]) -> list[str]:
    """Return both figures in lines, each beside ours of the same call; ``calls`` as they came."""
    lines = [f"pipecat eval    {'passed' if figures.passed else 'FAILED'}"]
    theirs = {SCRIPTED: figures.scripted_ms, SIMULATED: figures.latency_ms}
    for number, (name, figure) in enumerate(theirs.items()):
        call = calls[number] if number < len(calls) else None
        own = call.response_ms() if call is not None else []
        if figure is None or call is None or not own:
            lines.append(f"  {name:10}{figure}, ours {own}: no pair")
            continue
        lines.append(f"  {name:10}{figure:.0f} ms, ours {own[0]:.0f} ms: {figure - own[0]:+.0f} ms")
        lines.append(f"{'':12}{call.shown_stages()}")
    return lines
