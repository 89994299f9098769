"""Clients of others, as they call our agent's PCM socket: what each is told, and its figures."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 180.0


@dataclass(frozen=True)
class Client:
    """One client: its package, its program, and how it is run.

    ``run`` takes its program, the agent's URL, the caller's lines (text and WAV) and a folder. It
    returns its own response times in ms.
    """

    name: str
    package: str
    program: str
    run: Callable[[Path, str, Sequence[tuple[str, Path]], Path], list[float]]


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=folder
    )
    (folder / "said.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    return done.stdout


def call_with_namesake(
    program: Path, url: str, lines: Sequence[tuple[str, Path]], folder: Path
) -> list[float]:
    """Call with the other project's WebSocket adapter, which speaks this very protocol."""
    turns = [
        {
            "id": f"line-{number}",
            "audio": {"file": str(wav)},
            "text": text,
            "start": {"after": "agent_speech_end" if number else "session_start", "delay_ms": 1000},
        }
        for number, (text, wav) in enumerate(lines)
    ]
    scenario = {
        "name": "interop",
        "sample_rate": 16_000,
        "frame_ms": 20,
        "adapter": {"type": "websocket", "options": {"url": url, "agent_sample_rate": 24_000}},
        "defaults": {"response_timeout_ms": 15_000},
        "turns": turns,
    }
    # JSON is YAML.
    path = folder / "scenario.yaml"
    path.write_text(json.dumps(scenario), encoding="utf-8")
    out = folder / "report"
    _run([str(program), "run", str(path), "--out", str(out), "--format", "json"], folder)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return [
        float(turn["response_latency_ms"])
        for session in report["sessions"]
        for turn in session["turns"]
        if turn.get("response_latency_ms") is not None
    ]


def call_with_voice_evals(
    program: Path, url: str, lines: Sequence[tuple[str, Path]], folder: Path
) -> list[float]:
    """Call with the live probe: a map of our messages, and the lines as fixtures."""
    (folder / "map.json").write_text(json.dumps(PROTOCOL_MAP), encoding="utf-8")
    clips = [
        {"text": text, "file": str(wav), "sha256": hashlib.sha256(wav.read_bytes()).hexdigest()}
        for text, wav in lines
    ]
    manifest = {"format": {"sample_rate": 16_000}, "clips": clips}
    (folder / "fixtures.json").write_text(json.dumps(manifest), encoding="utf-8")
    steps = []
    for number, (text, _) in enumerate(lines):
        cue: dict[str, object] = {"mode": "speak_now"}
        if number:
            cue = {"mode": "wait_agent_end", "response_to": f"s{number}", "timeout_ms": 30_000}
        step = {"id": f"s{number + 1}", "intent": "ask", "cue": cue, "utterance": {"text": text}}
        steps.append(step)
    scenario = {
        "schema_version": 2,
        "name": "interop",
        "expected_outcome": "answered",
        "steps": steps,
        "outcome_rule": {
            "source": "final_agent_text",
            "after_step": f"s{len(lines)}",
            "all_of": [" "],
            "value": "answered",
        },
    }
    (folder / "scenario.json").write_text(json.dumps(scenario), encoding="utf-8")
    command = [str(program), "probe", str(folder / "scenario.json"), "--transport", url]
    command += ["--protocol-map", str(folder / "map.json"), "--caller", "fixture"]
    command += ["--fixture-manifest", str(folder / "fixtures.json"), "--json"]
    command += ["--response-timeout-ms", "20000", "--agent-quiet-ms", "1500"]
    command += ["--output-dir", str(folder / "out")]
    said = _run(command, folder)
    figure = json.loads(said)["probe"]["turn_latency"]["e2e_p50_ms"]
    return [] if figure is None else [float(figure)]


_SOUND = {"encoding": "pcm_s16le", "channels": 1, "sample_width": 2, "delivery": "streaming"}
PROTOCOL_MAP = {
    "protocol_version": 1,
    "name": "voicebench-call",
    "audio": {
        "input": _SOUND | {"sample_rate": 16_000, "frame_ms": 20},
        "output": _SOUND | {"sample_rate": 24_000},
    },
    "handshake": {"ready_event": {"type": "ready"}},
    "outbound": {"audio": {"media": "binary", "envelope": {}}},
    "inbound": {
        "discriminator": "type",
        "events": {
            "ready": {"kind": "session_ready"},
            "binary": {"kind": "agent_audio", "direction": "agent", "media": "binary"},
            "reply": {"kind": "agent_text_delta", "selectors": {"text": "$.text"}},
            "transcript": {"kind": "caller_transcript_final", "selectors": {"text": "$.text"}},
            "complete": {"kind": "response_done"},
        },
    },
    "capabilities": {
        "duplex": True,
        "incremental_output": True,
        "response_ids": False,
        "input_transcripts": True,
        "agent_transcripts": True,
        "response_end_events": True,
        "stage_events": False,
        "explicit_input_commit": False,
        "cancellation": False,
        "playback_ack": False,
        "outcome_events": False,
        "transcript_semantics": "delta",
    },
}
"""How ``/v1/call`` speaks, in the probe's words."""

CLIENTS = (
    Client("voicebench 0.2", "voicebench==0.2.0", "voicebench", call_with_namesake),
    Client("voice-evals", "voice-evals[probe]==0.2.1", "voice-eval", call_with_voice_evals),
)
