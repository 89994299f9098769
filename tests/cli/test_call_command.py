"""`voicebench call` with what cannot work: one sentence, and its exit code."""

from __future__ import annotations

import csv
import wave
from pathlib import Path

import numpy as np
import pytest
from ran_command import Command

from voicebench.audio.synthetic_voice import synthetic_voice

SIMULATED = "sim:wait=200ms,reply=30ms,voice=40ms,speech=500ms"


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


def recording(rate: int, loudness: float, *, is_tone: bool = False) -> None:
    sound = np.sin(np.arange(rate) * 0.1) if is_tone else synthetic_voice(rate, rate)
    samples = (sound * loudness * 32767).astype("<i2")
    with wave.open("line.wav", "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples).tobytes())
    Path("script.toml").write_text('[[step]]\nwav = "line.wav"\n', encoding="utf-8")


def refused(voicebench: Command, *arguments: str, code: int) -> str:
    """Return the one line that says why ``voicebench call`` did not run."""
    ran = voicebench("call", *arguments, "--voice", "synthetic", "--quiet")
    assert ran.code == code, ran.err
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    return line


def test_a_misspelt_script_is_answered_with_the_nearest(voicebench: Command) -> None:
    assert "did you mean english?" in refused(voicebench, "engish", "--agent", SIMULATED, code=2)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "script script.toml has no step; add [[step]]"),
        ("step = []", "script script.toml has no step; add [[step]]"),
        ('[[step]]\nsay = " "', 'step 1: say is empty; write say = "…"'),
        ("[[step]]", "script script.toml, step 1 has neither say, wav nor noise"),
        ('[[step]]\nnoise = "cough"\nat = "1s"', "script script.toml has no line; add a [[step]]"),
    ],
    ids=["empty", "no step", "empty line", "empty step", "noise only"],
)
@pytest.mark.parametrize("more", [(), ("--check",)], ids=["call", "check"])
def test_a_script_without_lines(
    voicebench: Command, text: str, named: str, more: tuple[str, ...], results: Path
) -> None:
    Path("script.toml").write_text(text, encoding="utf-8")
    assert named in refused(voicebench, "script.toml", "--agent", SIMULATED, *more, code=2)
    assert not list(results.glob("*"))


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("loss = 0.02", "loss 0.02 is no share of 0 to 50 %; write for example loss = '2%'"),
        ('loss = "60%"', "loss '60%' is no share of 0 to 50 %"),
        ('jitter = "5s"', "jitter is longer than 1000 ms"),
        ('loss = "2%"\nseed = -1', "seed -1 is no whole number"),
        ('loss = "2%"', "the script call loses or delays packets, and the way to this agent has"),
        ('jitter = "40ms"', "call an agent behind WebRTC"),
    ],
)
def test_packets_are_lost_only_where_there_are_any(
    voicebench: Command, line: str, named: str, results: Path
) -> None:
    Path("script.toml").write_text(f'{line}\n[[step]]\nsay = "Hello."\n', encoding="utf-8")
    assert named in refused(voicebench, "script.toml", "--agent", SIMULATED, code=2)
    assert not list(results.glob("*"))


@pytest.mark.parametrize("rate", [4000, 96_000])
def test_a_recording_of_a_rate_that_is_not_heard(
    voicebench: Command, rate: int, results: Path
) -> None:
    recording(rate, 0.5)
    said = refused(voicebench, "script.toml", "--agent", SIMULATED, code=2)
    assert f"step 1: line.wav has a sample rate of {rate} Hz; use one of 8000 to 48000 Hz" in said
    assert not list(results.glob("*"))


@pytest.mark.parametrize("rate", [8000, 11_025, 44_100])
def test_a_recording_of_another_rate_than_the_agent_is_resampled(
    voicebench: Command, rate: int, results: Path
) -> None:
    recording(rate, 0.5)
    ran = voicebench("call", "script.toml", "--agent", SIMULATED, "--no-gate", "--quiet")
    assert ran.code == 0, ran.err
    assert len(list(results.iterdir())) == 1


@pytest.mark.parametrize("more", [("--agent", SIMULATED), ("--check",)], ids=["call", "check"])
@pytest.mark.parametrize(
    ("loudness", "named"),
    [(0, "line.wav has no audible sound"), (0.5, "line.wav: the audio is one unchanging sound")],
    ids=["silence", "tone"],
)
def test_a_recording_without_speech(
    voicebench: Command, loudness: float, named: str, more: tuple[str, ...], results: Path
) -> None:
    recording(16_000, loudness, is_tone=True)
    said = refused(voicebench, "script.toml", *more, code=2)
    assert f"step 1: {named}" in said
    assert said.endswith("; use a recording with speech")
    assert not list(results.glob("*"))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "cannot be read (No such file or directory); name a WAV file from the script's"),
        (b"hello there", "is not a usable WAV file (not a WAV at byte 0"),
    ],
    ids=["no file", "no WAV"],
)
def test_a_recording_that_cannot_be_used_is_named_before_an_agent_is_called(
    voicebench: Command, content: bytes | None, named: str, results: Path
) -> None:
    recording(16_000, 0.5)
    Path("line.wav").unlink()
    if content is not None:
        Path("line.wav").write_bytes(content)
    nobody = "ws://127.0.0.1:9/call"
    assert f"step 1: line.wav {named}" in refused(
        voicebench, "script.toml", "--agent", nobody, code=2
    )
    assert not list(results.glob("*"))


def decided(voicebench: Command, results: Path, gate: str, most: int) -> tuple[int, int]:
    """Return the exit code of calls until ``gate`` is decided, and how many were placed."""
    recording(16_000, 0.5)
    options = ("--until-decided", "--max-calls", str(most), "--allow-noise", "--quiet")
    ran = voicebench("call", "script.toml", "--agent", SIMULATED, "--gate", gate, *options)
    (folder,) = results.iterdir()
    with (folder / "calls.csv").open(encoding="utf-8") as file:
        placed = {row["call"] for row in csv.DictReader(file) if row["phase"] == "measured"}
    return ran.code, len(placed)


def test_calls_go_on_until_the_gate_is_decided(voicebench: Command, results: Path) -> None:
    code, placed = decided(voicebench, results, "response.p50 < 2s", 60)
    assert code == 0
    assert 1 < placed < 60


def test_calls_end_with_the_largest_number_though_nothing_is_decided(
    voicebench: Command, results: Path
) -> None:
    assert decided(voicebench, results, "response.p95 < 2s", 4) == (5, 4)


def test_an_agent_at_whose_url_nobody_listens(voicebench: Command) -> None:
    said = refused(voicebench, "--agent", "ws://127.0.0.1:9/call", code=4)
    assert "ws://127.0.0.1:9/call cannot be reached (Connection refused)" in said
    assert "start the server, or correct the URL" in said


def test_an_agent_of_no_known_kind(voicebench: Command, results: Path) -> None:
    said = refused(voicebench, "--agent", "ftp://127.0.0.1:9/call", code=2)
    assert "--agent 'ftp://127.0.0.1:9/call' is no known agent; use 'local'" in said
    assert not list(results.glob("*"))
