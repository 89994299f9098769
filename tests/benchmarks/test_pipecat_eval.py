"""`pipecat eval`: its messages as the relay speaks them, and its figures from drawn logs."""

from __future__ import annotations

import base64
import json
import sys
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.eval_form import EvalForm
from benchmarks.peers.pipecat_eval import (
    EvalFigures,
    compared_with_eval,
    evaluate,
    figures_of,
    scenarios,
)
from benchmarks.peers.relay import HEAR_RATE, SPEAK_RATE, Message, RelayedCall
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.agent_events import AgentAudio, SpeechEndSeen
from voicebench.calls.heard import StampedAgentEvent

MS = 1_000_000
SOUND = b"\x01\x00" * 10
CONNECT = {
    "label": "rtvi-ai",
    "type": "client-message",
    "data": {"t": "eval-connect", "d": {"skip_tts": False, "capture_bot_audio": True}},
}
READY = {"label": "rtvi-ai", "type": "client-ready", "id": "7", "data": {}}


def form(*, sends_sound: bool) -> EvalForm:
    made = EvalForm(SOUND, "Hello.")
    if sends_sound:
        assert made.heard(json.dumps(CONNECT)) == (None, ())
    return made


def kinds(messages: list[Message]) -> list[str]:
    found = [json.loads(message) for message in messages]
    assert all(one["label"] == "rtvi-ai" for one in found)
    return [one["type"] for one in found]


def told(made: EvalForm, *messages: Message | dict[str, Any]) -> list[Message]:
    return [
        answer
        for message in messages
        for answer in made.told(json.dumps(message) if isinstance(message, dict) else message)
    ]


def test_the_harness_is_greeted_when_it_is_ready() -> None:
    pcm, answers = form(sends_sound=True).heard(json.dumps(READY))
    assert pcm is None
    messages = list(answers)
    assert json.loads(messages[0])["id"] == "7"
    assert kinds(messages) == [
        "bot-ready",
        *("bot-llm-started", "bot-llm-text"),
        *("bot-started-speaking", "bot-tts-text", "eval-bot-audio"),
        *("bot-llm-stopped", "bot-stopped-speaking"),
    ]
    data = json.loads(messages[5])["data"]
    assert data == {"audio": base64.b64encode(SOUND).decode(), "sampleRate": SPEAK_RATE}


def test_sound_is_sent_to_a_harness_that_asked_for_it() -> None:
    assert kinds(told(form(sends_sound=False), SOUND)) == ["bot-started-speaking"]
    assert kinds(told(form(sends_sound=True), SOUND)) == ["bot-started-speaking", "eval-bot-audio"]


def test_its_sound_is_passed_on_and_another_rate_is_refused() -> None:
    data = {"base64Audio": base64.b64encode(SOUND).decode(), "numChannels": 1}
    raw = {"label": "rtvi-ai", "type": "raw-audio", "id": "1", "data": data}
    made = form(sends_sound=False)
    data["sampleRate"] = HEAR_RATE
    assert made.heard(json.dumps(raw)) == (SOUND, ())
    data["sampleRate"] = 24_000
    with pytest.raises(ValueError, match="24000 Hz"):
        made.heard(json.dumps(raw))


def test_a_turn_is_told_in_the_order_that_a_pipeline_has() -> None:
    made = form(sends_sound=False)
    answers = told(
        made,
        {"type": "speech_stopped"},
        {"type": "transcript", "text": "Is it open?", "final": True},
        {"type": "reply", "text": "Yes, "},
        {"type": "reply", "text": "it is."},
        SOUND,
        {"type": "reply", "text": " Until ten."},
        SOUND,
        {"type": "complete"},
        {"type": "reply", "text": "Anything"},
        SOUND,
        {"type": "clear"},
    )
    assert kinds(answers) == [
        *("user-stopped-speaking", "user-input"),
        *("bot-llm-started", "bot-llm-text", "bot-llm-text"),
        *("bot-started-speaking", "bot-tts-text", "bot-llm-text", "bot-tts-text"),
        *("bot-llm-stopped", "bot-stopped-speaking"),
        *("bot-llm-started", "bot-llm-text", "bot-started-speaking", "bot-tts-text"),
        *("bot-interrupted", "bot-llm-stopped", "bot-stopped-speaking"),
    ]
    heard = json.loads(answers[1])["data"]
    assert (heard["text"], heard["input_type"], heard["final"]) == (
        "Is it open?",
        "transcription",
        True,
    )
    assert json.loads(answers[6])["data"]["text"] == "Yes, it is."


SCRIPTED_LOG = """\
   0.043  [ t0]  send: 'Is it open?' (line0.wav)
   0.044  [ --]  event: bot_started_speaking
   2.090  [ t0]  event: user_stopped_speaking
   2.216  [ t0]  event: bot_started_speaking
   3.000  [ t0]  event: bot_started_speaking
"""
SIMULATED_LOG = """\
   0.145  [ --]  event: tts_response  'Hello. How can I help you?'
   6.963  [ --]  event: user_stopped_speaking
   7.101  [ --]  event: tts_response  "Yes, it is."
   7.446  [ --]  event: tts_response  "Until ten."
"""


def test_its_figures_are_those_of_the_events_after_the_line() -> None:
    figures = figures_of(True, SCRIPTED_LOG, SIMULATED_LOG, length_s=1.673)
    assert figures.scripted_ms == pytest.approx(500)
    assert figures.latency_ms == pytest.approx(138)
    unanswered = figures_of(False, "   0.043  [ t0]  send: 'Is it open?'", "", length_s=1.0)
    assert unanswered == EvalFigures(False, None, None)


def drawn_call(*, end_ms: int, answer_ms: int) -> RelayedCall:
    """Draw a call of 4 s: a line until 1 s, its end seen and an answer so long after it."""
    call = RelayedCall(start_ns=time.perf_counter_ns() - 4000 * MS)
    tone = np.full(HEAR_RATE // 50, 8000)
    tone[::2] *= -1
    silence = np.zeros_like(tone)
    for at_ms in range(20, 4001, 20):
        samples = tone if 500 < at_ms <= 1000 else silence
        call.caller.append((at_ms * MS, samples.astype("<i2").tobytes()))
    call.agent.append(StampedAgentEvent((1000 + end_ms) * MS, SpeechEndSeen()))
    sound = np.concatenate((np.zeros(SPEAK_RATE // 10, np.float32), synthetic_voice(9000, 24_000)))
    call.agent.append(StampedAgentEvent((900 + answer_ms) * MS, AgentAudio(sound, SPEAK_RATE)))
    return call


def test_each_figure_stands_beside_ours_of_the_same_call() -> None:
    calls = [drawn_call(end_ms=300, answer_ms=500), drawn_call(end_ms=280, answer_ms=450)]
    lines = compared_with_eval(EvalFigures(True, 480.0, 120.0), calls)
    assert lines[0] == "pipecat eval    passed"
    assert lines[1].startswith("  scripted  480 ms, ours 50")
    assert lines[2].endswith("our agent sent the end of the turn after 300 ms, sound after 400 ms")
    assert "120 ms, ours 45" in lines[3]
    assert ": -33" in lines[3]


def test_a_call_that_did_not_happen_has_no_pair() -> None:
    lines = compared_with_eval(
        EvalFigures(False, None, 120.0), [drawn_call(end_ms=300, answer_ms=500)]
    )
    assert lines[0].endswith("FAILED")
    assert len(lines) == 3
    assert all(line.endswith("no pair") for line in lines[1:])


PROGRAM = """#!{python}
import pathlib, sys
print(*sys.argv[1:])
folder = pathlib.Path(sys.argv[sys.argv.index("--logs-dir") + 1])
for name, log in zip(("scripted", "simulated"), {logs!r}):
    (folder / f"interop__{{name}}.eval.log").write_text(log)
"""


def test_the_harness_is_told_the_line_and_the_agent_and_its_logs_are_read(tmp_path: Path) -> None:
    program, wav = tmp_path / "pipecat", tmp_path / "line.wav"
    logs = (SCRIPTED_LOG, SIMULATED_LOG)
    program.write_text(PROGRAM.format(python=sys.executable, logs=logs), encoding="utf-8")
    program.chmod(0o755)
    with wave.open(str(wav), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(HEAR_RATE)
        file.writeframes(b"\0\0" * HEAR_RATE)
    figures = evaluate(
        program, "ws://agent", "Is it open?", wav, whisper=tmp_path / "ears", folder=tmp_path
    )
    assert figures == figures_of(True, *logs, length_s=1.0)
    assert "eval run" in (tmp_path / "said.txt").read_text()
    assert "ws://agent" in (tmp_path / "said.txt").read_text()
    file_ = json.loads((tmp_path / "interop.yaml").read_text())
    assert file_ == json.loads(json.dumps(scenarios("Is it open?", wav, tmp_path / "ears")))
    assert [one["name"] for one in file_["scenarios"]] == ["scripted", "simulated"]
