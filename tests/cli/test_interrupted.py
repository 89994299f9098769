"""Ctrl-C: what was finished is kept and told, the turn that it broke off is not."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ran_command import Command, Ran

from voicebench.checks import transports
from voicebench.events import Emit, Token, TurnFailed, TurnStarted
from voicebench.judging.streaming_check import StreamingCheck
from voicebench.measuring import open_run
from voicebench.targets.simulated import Simulated

pytestmark = pytest.mark.usefixtures("scripted_time")

QUICK = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"
SELFTEST = "selftest"
"""The prompt of the turns that measure the instrument."""


@pytest.fixture(params=["ends the turn as broken off", "just leaves"])
def target_that(request: pytest.FixtureRequest) -> str:
    """What a target does with an interrupt before it lets it go on."""
    return str(request.param)


def interrupt_in(
    monkeypatch: pytest.MonkeyPatch, turn: int, target_that: str = "just leaves"
) -> None:
    """Let the user press Ctrl-C in the middle of a turn, counted from 1."""
    plain, taken = Simulated.run, 0

    def run(self: Simulated, prompt: str, emit: Emit) -> None:
        nonlocal taken
        taken += prompt != SELFTEST
        if taken < turn or prompt == SELFTEST:
            plain(self, prompt, emit)
            return
        emit(TurnStarted(prompt))
        emit(Token("half"))
        if target_that == "ends the turn as broken off":
            emit(TurnFailed("interrupted by the user", "interrupted", "turn"))
        raise KeyboardInterrupt

    monkeypatch.setattr(Simulated, "run", run)


def run_of_12(voicebench: Command, results: Path, *more: str) -> Ran:
    arguments = ("--target", QUICK, "--results", str(results), "--runs", "12", "--warmup", "0")
    return voicebench("run", *arguments, *more)


def only_folder(results: Path) -> Path:
    (folder,) = results.iterdir()
    return folder


def test_the_first_and_the_last_line_say_interrupted_after_2_of_12(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target_that: str
) -> None:
    interrupt_in(monkeypatch, 4, target_that)
    ran = run_of_12(voicebench, tmp_path)
    lines = ran.out.splitlines()
    assert ran.code == 130
    told = " ".join(lines[0].split())
    assert told == f"{only_folder(tmp_path).name} ! INTERRUPTED after 2 of 12 turns"
    assert lines[-1] == "! INTERRUPTED  after 2 of 12 turns"
    assert "2 measured turns, 0 failed" in ran.out
    assert "interrupted after 2 of 12 turns: the figures cover only these" in ran.out
    assert "Traceback" not in ran.err


def test_the_turn_that_was_broken_off_is_neither_failed_nor_measured(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target_that: str
) -> None:
    interrupt_in(monkeypatch, 4, target_that)
    document = json.loads(run_of_12(voicebench, tmp_path, "--json").out)
    assert document["turns"] == {"measured": 2, "failed": 0, "cold": 1, "warmup": 0, "idle": 0}
    assert document["run"]["complete"] is False
    folder = only_folder(tmp_path)
    assert len((folder / "turns.jsonl").read_text().splitlines()) == 3
    assert len((folder / "runs.csv").read_text().splitlines()) == 4
    assert (folder / "INCOMPLETE").exists()


def test_every_document_calls_an_interrupted_run_interrupted(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    results, step_summary = tmp_path / "results", tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step_summary))
    interrupt_in(monkeypatch, 4)
    junit = tmp_path / "junit.xml"
    ran = run_of_12(voicebench, results, "--json", "--junit", str(junit))
    document = json.loads(ran.out)
    assert ran.code == 130
    assert (document["verdict"], document["exit_code"]) == ("INTERRUPTED", 130)
    assert document["why"] == "after 2 of 12 turns"
    assert document["judgement"]["verdict"] == "INTERRUPTED"
    assert "::error title=voicebench default%3A INTERRUPTED::interrupted after 2 of 12" in ran.err
    assert "! INTERRUPTED: after 2 of 12 turns" in step_summary.read_text()
    suite = ElementTree.parse(junit).getroot()[0]
    assert suite.get("errors") == "1"
    told = {case.get("name"): case.findtext("system-out") for case in suite.iter("testcase")}
    assert told["the run"] == "INTERRUPTED: interrupted after 2 of 12 turns"
    folder = str(only_folder(results))
    for form in ("table", "markdown", "html", "json", "junit"):
        assert "INTERRUPTED" in voicebench("report", folder, "-f", form).out
    badge = voicebench("report", folder, "-f", "badge").out
    assert "interrupted" in badge
    assert "#1a7f37" not in badge


def test_an_interrupt_before_the_first_measured_turn_is_told(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    interrupt_in(monkeypatch, 2)
    ran = run_of_12(voicebench, tmp_path)
    assert ran.code == 130
    assert ran.out.splitlines()[-1] == "! INTERRUPTED  after 0 of 12 turns"
    assert "NOT MEASURED" in ran.out  # the gates; no FAIL, since no turn failed
    assert "FAIL" not in ran.out


def test_an_interrupt_before_any_turn_is_told(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    interrupt_in(monkeypatch, 1)
    ran = run_of_12(voicebench, tmp_path / "r", "--junit", str(tmp_path / "junit.xml"))
    assert ran.code == 130
    assert "after 0 of 12 turns" in ran.out
    assert "Traceback" not in ran.err
    assert "interrupted after 0 of 12 turns" in (tmp_path / "junit.xml").read_text()


def test_a_turn_that_failed_by_itself_stays_failed(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = Simulated.run

    def run(self: Simulated, prompt: str, emit: Emit) -> None:
        if prompt == SELFTEST:
            plain(self, prompt, emit)
            return
        emit(TurnStarted(prompt))
        emit(TurnFailed("the voice broke", "engine", "tts"))
        raise KeyboardInterrupt  # right after the end of the turn

    monkeypatch.setattr(Simulated, "run", run)
    run_of_12(voicebench, tmp_path)
    (line,) = (only_folder(tmp_path) / "turns.jsonl").read_text().splitlines()
    assert json.loads(line)["failure"]["reason"] == "the voice broke"


def test_an_interrupt_while_the_voice_is_asked_again_leaves_the_rest(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def impatient(*_: object) -> StreamingCheck:
        raise KeyboardInterrupt

    monkeypatch.setattr(open_run, "check_streaming", impatient)
    ran = run_of_12(voicebench, tmp_path)
    assert ran.code == 130
    assert ran.out.splitlines()[-1] == "! INTERRUPTED  after 12 of 12 turns"


def test_two_set_ups_in_turn_are_interrupted_alike(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(f'[run]\nname = "{name}"\ntarget = "{QUICK}"\n')
    results = tmp_path / "results"
    arguments = ("--results", str(results), "--runs", "12", "--warmup", "0")
    interrupt_in(monkeypatch, 6)  # two cold turns, A B B, and then this one
    ran = voicebench("run", str(tmp_path / "a.toml"), "--against", str(tmp_path / "b.toml"),
                     *arguments)  # fmt: skip
    assert ran.code == 130
    assert "! INTERRUPTED  after 1 of 12 turns" in ran.out
    assert "! INTERRUPTED  after 2 of 12 turns" in ran.out
    assert "FAIL" not in ran.out
    assert all((folder / "INCOMPLETE").exists() for folder in results.iterdir())


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_an_interrupted_sweep_chooses_nothing(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, more: tuple[str, ...]
) -> None:
    best = tmp_path / "best.toml"
    interrupt_in(monkeypatch, 6)  # two cold turns, three measured ones, and then this one
    arguments = ("--vary", "chunker.first_words=1,4", "--results", str(tmp_path / "results"))
    ran = voicebench("tune", "--target", QUICK, *arguments, "--runs", "6", "--warmup", "0",
                     "-o", str(best), *more)  # fmt: skip
    assert ran.code == 130
    assert "interrupted after 3 of 12 turns" in ran.err
    assert "best:" not in ran.out
    assert not best.exists()
    if more:
        document = json.loads(ran.out)
        assert (document["interrupted"], document["best"]) == (True, None)


def test_an_interrupted_sweep_without_a_measured_turn_is_no_failure_to_measure(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    interrupt_in(monkeypatch, 1)
    arguments = ("--target", QUICK, "--results", str(tmp_path), "--runs", "6")
    ran = voicebench("tune", *arguments)
    assert ran.code == 130
    assert "interrupted after 0 of 24 turns" in ran.err


def test_an_interrupted_selftest_says_so(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(transports, "measure_transports", impatient)
    ran = voicebench("selftest", "--turns", "1")
    assert (ran.code, ran.out) == (130, "")
    assert ran.err.splitlines()[-1] == "voicebench: interrupted"


def test_an_interrupt_while_models_are_loaded_says_so(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def impatient(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(open_run, "open_target", impatient)
    ran = run_of_12(voicebench, tmp_path)
    assert (ran.code, ran.out) == (130, "")
    assert ran.err.splitlines()[-1] == "voicebench: interrupted"
