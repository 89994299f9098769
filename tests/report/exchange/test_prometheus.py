"""Runs in Prometheus' text form, read by the parser of its own client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from handmade import failed_turn
from load_folders import written_capacity
from outcomes import sprint_with_warmup, varied_turns
from prometheus_client.parser import text_string_to_metric_families
from recorded_folders import write_result

from voicebench.judging.final import Word
from voicebench.load.recorded.load_run import read_load_run
from voicebench.report.exchange.prometheus import load_prometheus, prometheus_report
from voicebench.results.folder import INCOMPLETE
from voicebench.results.run import RecordedRun, read_run

Samples = dict[str, list[tuple[dict[str, str], float]]]


def samples_in(text: str) -> Samples:
    """Return the labels and values of each name; no series may stand there twice."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels not in [one for one, _ in found.get(sample.name, [])]
            found.setdefault(sample.name, []).append((labels, sample.value))
    return {name.removeprefix("voicebench_run_"): held for name, held in found.items()}


def samples_of(*runs: RecordedRun) -> Samples:
    return samples_in(prometheus_report(runs))


def value(samples: Samples, name: str, **labels: str) -> float:
    (found,) = [one for have, one in samples[name] if labels.items() <= have.items()]
    return found


@pytest.fixture
def sprint(tmp_path: Path) -> RecordedRun:
    return read_run(write_result(tmp_path, sprint_with_warmup(), name="sprint"))


def test_the_figures_are_those_of_the_run_in_seconds_and_ratios(sprint: RecordedRun) -> None:
    samples = samples_of(sprint)
    assert value(samples, "metric_mean_seconds", metric="llm_total") == pytest.approx(0.1975)
    assert value(samples, "metric_seconds", metric="first_audio", quantile="1") == 0.361
    assert value(samples, "metric_turns", metric="first_audio") == 8
    assert value(samples, "turns", outcome="answered") == 8
    assert value(samples, "turns", outcome="failed") == 0
    began = datetime(2026, 1, 5, 10, 15, tzinfo=UTC).timestamp()
    assert value(samples, "started_timestamp_seconds") == began
    for held in samples.values():
        assert {(one["run"], one["target"]) for one, _ in held} == {("sprint", "cascade")}


def test_a_quantile_of_too_few_turns_is_left_out(sprint: RecordedRun) -> None:
    samples = samples_of(sprint)
    quantiles = [
        labels["quantile"]
        for labels, _ in samples["metric_seconds"]
        if labels["metric"] == "first_audio"
    ]
    assert quantiles == ["0.5", "1"]


def test_gates_and_verdict_are_those_of_the_run(sprint: RecordedRun) -> None:
    samples = samples_of(sprint)
    passed = {labels["gate"]: one for labels, one in samples["gate_passed"]}
    assert passed == {
        "llm_total.mean < 200ms": 1,
        "tts_ttfb.p95 < 100ms": 0,
        "first_audio.p95 < 300ms": 0,
        "errors.rate <= 0": 1,
    }
    assert value(samples, "gate_limit_seconds", gate="first_audio.p95 < 300ms") == 0.3
    assert value(samples, "gate_value_seconds", gate="first_audio.p95 < 300ms") == 0.361
    assert value(samples, "gate_value_ratio", gate="errors.rate <= 0") == 0
    assert value(samples, "passed") == 0
    assert value(samples, "verdict", verdict="FAIL") == 1
    assert value(samples, "exit_code") == 3
    good = samples_of(read_run(sprint.path, ["llm_total.mean < 200ms"] * 2))
    assert (value(good, "passed"), value(good, "exit_code")) == (1, 0)


def test_nothing_passes_in_a_run_without_a_verdict(sprint: RecordedRun) -> None:
    (sprint.path / INCOMPLETE).touch()
    run = read_run(sprint.path, ["llm_total.mean < 200ms"])
    assert run.final.word is Word.INTERRUPTED
    samples = samples_of(run)
    assert value(samples, "gate_passed") == 0
    assert value(samples, "passed") == 0
    assert value(samples, "exit_code") == 130


@pytest.mark.parametrize(
    ("gates", "word"), [([], "NOT JUDGED"), (["server.p50 < 1s"], "NOT MEASURED")]
)
def test_what_was_not_judged_or_not_measured_has_not_passed(
    sprint: RecordedRun, gates: Sequence[str], word: str
) -> None:
    samples = samples_of(read_run(sprint.path, gates))
    assert value(samples, "verdict", verdict=word) == 1
    assert value(samples, "passed") == 0
    assert not any(passed for _, passed in samples.get("gate_passed", []))
    assert "gate_value_seconds" not in samples


def test_several_runs_of_any_name_stand_in_one_document(tmp_path: Path) -> None:
    runs = [
        read_run(write_result(tmp_path, varied_turns(), stamp=f"2026010{n}T101500Z"))
        for n in (1, 2)
    ]
    hostile = 'a"b\\c\nd}'
    settings = {**runs[1].settings, "run": {"name": hostile, "target": "x"}}
    samples = samples_of(runs[0], replace(runs[1], settings=settings))
    assert {labels["run"] for labels, _ in samples["passed"]} == {runs[0].name, hostile}
    same = samples_of(*runs)
    assert {labels["run"] for labels, _ in same["passed"]} == {run.path.name for run in runs}


def test_a_run_whose_turns_all_failed_has_no_figures(tmp_path: Path) -> None:
    samples = samples_of(read_run(write_result(tmp_path, [failed_turn()])))
    assert value(samples, "turns", outcome="failed") == 1
    assert value(samples, "verdict", verdict="NOTHING MEASURED") == 1
    assert "metric_seconds" not in samples


def test_a_run_under_load_has_its_capacity_and_its_level(tmp_path: Path) -> None:
    folder = written_capacity(tmp_path, at_least=2)
    samples = samples_in(load_prometheus([read_load_run(folder)]))
    assert value(samples, "capacity_callers") >= 2
    assert value(samples, "rate_ratio", rate="errors") == 0
    assert 0 < value(samples, "metric_seconds", metric="first_audio_due", quantile="0.95") < 30
    assert value(samples, "gate_passed", gate="capacity >= 2") == 1
    assert value(samples, "passed") == 1
    (folder / INCOMPLETE).touch()
    stopped = samples_in(load_prometheus([read_load_run(folder)]))
    assert value(stopped, "passed") == 0
    assert not {"gate_passed", "capacity_callers"} & set(stopped)
