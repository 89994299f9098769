"""A run in Python: its figures, its judgement with intervals, its data frames."""

from __future__ import annotations

from pathlib import Path

import pytest

import voicebench
from voicebench.errors import UsageError
from voicebench.judging.final import Word
from voicebench.judging.gates import Verdict

SIM = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> voicebench.Run:
    return voicebench.measure(
        SIM,
        {"run.warmup": 0, "judge.allow_noise": True},
        runs=8,
        gates=["first_audio.p50 < 3s"],
        results=tmp_path_factory.mktemp("results"),
    )


def test_a_figure_has_its_interval(run: voicebench.Run) -> None:
    values = run.metrics["first_audio_ms"].values
    median, interval = run.figure("first_audio.p50")
    assert len(values) == 8
    assert median is not None
    assert interval is not None
    assert interval.low is not None
    assert interval.high is not None
    assert min(values) <= interval.low <= median <= interval.high <= max(values)
    with pytest.raises(UsageError, match="first_audio"):
        run.figure("first_audoi.p50")


def test_the_gates_of_the_run_are_judged_if_none_is_given(run: voicebench.Run) -> None:
    judgement = run.judge()
    assert [result.gate.text for result in judgement.gates] == ["first_audio.p50 < 3s"]
    assert judgement.passed
    assert run.judge("first_audio.p50 < 3s") == judgement


def test_too_few_turns_are_undecided_and_never_a_pass(run: voicebench.Run) -> None:
    judgement = run.judge(["first_audio.p95 < 3s"])
    assert judgement.gates[0].verdict is Verdict.UNDECIDED
    assert not judgement.passed
    said = str(judgement)
    assert said.startswith("UNDECIDED: 8 measured turns, 0 failed")
    assert "95 % interval ≥" in said
    assert "8 turns; " in said
    assert "an interval of p95 needs 72 turns" in said
    assert run.judge(["first_audio.p95 < 3s"], decide=False).passed


def test_what_is_slow_fails_and_what_was_not_seen_does_not_pass(run: voicebench.Run) -> None:
    slow = run.judge(["first_audio.p50 < 1ms", "first_audio.p50 < 3s"])
    assert slow.final.word is Word.FAIL
    assert "1 of 2 gates passed" in str(slow)
    unseen = run.judge("connect.p50 < 3s")
    assert not unseen.passed
    assert unseen.final.word is Word.NOT_MEASURED
    assert "8 turns, 8 without it" in str(unseen)


def test_a_run_that_nothing_judged_has_not_passed(run: voicebench.Run) -> None:
    judgement = run.judge([])
    assert judgement.final.word is Word.NOT_JUDGED
    assert not judgement.passed


def test_frames_have_the_tables_of_export(run: voicebench.Run) -> None:
    turns = run.frame()
    measured = turns[turns["phase"] == "measured"]
    assert len(turns) == 9  # one is cold
    assert measured["first_audio_ms"].tolist() == pytest.approx(
        run.metrics["first_audio_ms"].values, abs=0.001
    )
    assert set(run.frame("long")["metric"]) >= {"first_audio_ms", "turn_ms"}
    assert "token" in set(run.frame("events")["event"])


def test_without_pandas_one_line_says_how_to_add_it(
    run: voicebench.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(UsageError, match=r"voicebench-latency\[pandas\]"):
        run.frame()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=str(tmp_path)):
        voicebench.read_run(tmp_path)
