"""Measuring from Python gives the run folder of `voicebench run`; broken pipelines do not pass."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from command_line import voicebench as command

import voicebench
from voicebench.errors import CannotMeasure, IllegalEvent, SettingsError, UsageError
from voicebench.events import (
    AudioChunk,
    Emit,
    Event,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from voicebench.judging.final import Word
from voicebench.text.chat_template import PastMessage

SIM = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"
RATE = 16_000
QUIET = {"run.warmup": 0, "judge.allow_noise": True}
TONE = (0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE // 2) / RATE)).astype(np.float32)


def answer(prompt: str, emit: Emit) -> None:
    """Answer at once with a tone."""
    emit(Token(prompt))
    emit(TextChunk(prompt))
    emit(AudioChunk(TONE, RATE))


def test_the_run_is_the_run_folder_that_commands_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    run = voicebench.measure(
        SIM, QUIET, runs=3, gates=["first_audio.p50 < 3s"], results=tmp_path, say=lines.append
    )
    assert run.path.parent == tmp_path
    assert (run.turns, run.failed) == (3, 0)
    assert sum("(measured) is done" in line for line in lines) == 3
    assert command("report", str(run.path)) == 0
    assert "first_audio" in capsys.readouterr().out
    assert command("verify", str(run.path)) == 0
    again = voicebench.read_run(run.path)
    assert again.metrics == run.metrics
    assert again.path == run.path


def test_settings_come_from_a_mapping_by_key_or_section_or_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f'[run]\ntarget = "{SIM}"\nruns = 1\nwarmup = 0\n')
    for settings in (
        {"run": {"target": SIM, "runs": 1, "warmup": 0}},
        {"run.target": SIM, "run.runs": 1, "run.warmup": 0},
        path,
        str(path),
    ):
        run = voicebench.measure(settings, results=tmp_path / "results")
        assert run.turns == 1
        assert run.settings["run"]["target"] == SIM  # type: ignore[index]


def test_a_wrong_setting_names_the_call_and_the_remedy() -> None:
    with pytest.raises(SettingsError, match=r"measure\(\): unknown key 'run.turns'"):
        voicebench.measure(SIM, {"run.turns": 3})
    with pytest.raises(UsageError, match="int is not something to measure"):
        voicebench.measure(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="lacks it"):
        voicebench.measure(threading.Thread())  # type: ignore[arg-type]  # it has a method run


def test_an_own_pipeline_is_timed_by_its_events(tmp_path: Path) -> None:
    """Events that another thread takes from a queue come as late as the queue gives them."""

    def slow(prompt: str, emit: Emit) -> None:
        prepared: queue.Queue[Event | None] = queue.Queue()

        def produce() -> None:
            time.sleep(0.03)
            prepared.put(Token(prompt))
            prepared.put(TextChunk(prompt))
            time.sleep(0.05)
            prepared.put(AudioChunk(TONE, RATE))
            prepared.put(None)

        thread = threading.Thread(target=produce)
        thread.start()
        while (event := prepared.get()) is not None:
            emit(event)
        thread.join()

    run = voicebench.measure(slow, QUIET, runs=3, results=tmp_path)
    assert min(run.metrics["llm_ttft_ms"].values) >= 29
    assert min(run.metrics["first_audio_ms"].values) >= 79
    assert run.settings["run"]["target"].startswith("own:test_an_own")  # type: ignore[index]
    described = json.loads((run.path / "environment.json").read_text())["target"]
    assert described["function"].endswith("slow")


class Echo:
    """A whole target."""

    def __init__(self) -> None:
        self.closed = False

    def run(self, prompt: str, emit: Emit) -> None:
        emit(TurnStarted(prompt))
        answer(prompt, emit)
        emit(TurnFailed("the line is dead", "engine", "tts"))

    def describe(self) -> dict[str, object]:
        return {"target": "echo"}

    def close(self) -> None:
        self.closed = True


def test_a_run_whose_turns_all_fail_raises_and_keeps_its_folder(tmp_path: Path) -> None:
    target = Echo()
    with pytest.raises(CannotMeasure, match=r"every one of the 2 .* the line is dead"):
        voicebench.measure(target, QUIET, runs=2, results=tmp_path)
    assert not target.closed
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert voicebench.read_run(folder).failed == 2


def test_exceptions_are_failed_turns_and_the_cause_if_no_turn_is_left(tmp_path: Path) -> None:
    calls = []

    def unsteady(prompt: str, emit: Emit) -> None:
        calls.append(prompt)
        if len(calls) == 3:
            raise ValueError("no voice today")
        answer(prompt, emit)

    run = voicebench.measure(unsteady, QUIET, runs=4, results=tmp_path)
    assert (run.turns, run.failed) == (4, 1)
    assert not run.judge("errors.rate <= 0").passed

    def broken(prompt: str, emit: Emit) -> None:
        raise ValueError("no voice at all")

    with pytest.raises(CannotMeasure, match="ValueError: no voice at all") as raised:
        voicebench.measure(broken, QUIET, runs=2, results=tmp_path)
    assert isinstance(raised.value.__cause__, ValueError)


def test_silence_and_whole_numbers_are_no_answer(tmp_path: Path) -> None:
    def silent(prompt: str, emit: Emit) -> None:
        emit(AudioChunk(np.zeros(RATE, np.float32), RATE))

    with pytest.raises(CannotMeasure, match="silent"):
        voicebench.measure(silent, QUIET, runs=1, results=tmp_path)

    def whole(prompt: str, emit: Emit) -> None:
        emit(AudioChunk((TONE * 32767).astype(np.int16), RATE))

    with pytest.raises(IllegalEvent, match="int16, not float32"):
        voicebench.record(whole, "x")


def test_an_interrupt_is_passed_on_and_the_finished_turns_are_kept(tmp_path: Path) -> None:
    calls = []

    def stopped(prompt: str, emit: Emit) -> None:
        calls.append(prompt)
        if len(calls) == 3:
            raise KeyboardInterrupt
        answer(prompt, emit)

    with pytest.raises(KeyboardInterrupt, match="finished turns"):
        voicebench.measure(stopped, QUIET, runs=9, results=tmp_path)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    run = voicebench.read_run(folder)
    judgement = run.judge("first_audio.p50 < 3s")
    assert judgement.final.word is Word.INTERRUPTED
    assert not judgement.passed


def test_conversations_need_a_pipeline_that_can_be_told_what_was_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="in_conversation"):
        voicebench.measure(answer, {"run.turns_per_conversation": 2}, results=tmp_path)


class Remembering(Echo):
    """A target that can be told what was said before."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[list[str]] = []

    def run(self, prompt: str, emit: Emit) -> None:
        emit(TurnStarted(prompt))
        answer(prompt, emit)
        emit(TurnFinished())

    def in_conversation(self, earlier: Sequence[PastMessage], scope: str) -> Remembering:
        self.told.append([message.role for message in earlier])
        return self


def test_a_target_with_a_memory_is_told_each_conversation(tmp_path: Path) -> None:
    target = Remembering()
    settings = {**QUIET, "run.turns_per_conversation": 2}
    run = voicebench.measure(target, settings, runs=4, results=tmp_path)
    assert run.failed == 0
    assert target.told == 2 * [[], ["user", "assistant"]]


@pytest.mark.parametrize("key", ["llm.model", "run.sequential", "run.target", "wire.turn_s"])
def test_settings_that_a_python_object_would_not_see_are_refused(key: str) -> None:
    value = {"run.sequential": True, "wire.turn_s": 3}.get(key, "cascade")
    with pytest.raises(UsageError, match=f"{key} has no effect"):
        voicebench.measure(answer, {key: value})


def test_no_command_measures_a_python_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("run", "--target", "own:answer") == 2
    shown = capsys.readouterr()
    assert "voicebench.measure" in shown.out + shown.err


def test_record_times_one_turn_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    turn = voicebench.record(answer, "Good morning")
    assert turn.metrics["audio_s"] == pytest.approx(0.5)
    assert turn.timeline.prompt == "Good morning"
    assert turn.pcm.shape == TONE.shape
    alone = voicebench.record(lambda emit: emit(AudioChunk(TONE, RATE)))
    assert "llm_ttft_ms" not in alone.metrics
    assert alone.metrics["first_audio_ms"] >= 0
    assert not list(tmp_path.iterdir())
    with pytest.raises(ZeroDivisionError):
        voicebench.record(lambda emit: 1 / 0)


def test_importing_voicebench_loads_none_of_it() -> None:
    code = (
        "import sys, voicebench; before = set(sys.modules);"
        "assert not {'numpy', 'pydantic'} & before;"
        "assert [n for n in before if n.startswith('voicebench')] == ['voicebench'];"
        "assert 'measure' in dir(voicebench);"
        "voicebench.measure; assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_the_stub_names_what_the_package_gives() -> None:
    stub = Path(voicebench.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    for name in voicebench.__all__:
        assert f" as {name}\n" in stub or f"{name}: str" in stub
        assert getattr(voicebench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        voicebench.mesure  # type: ignore[attr-defined]  # noqa: B018
