"""Every format of `voicebench report` against golden files, and what each format promises."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

import pytest
from golden_files import assert_golden
from handmade import make_turn
from outcomes import sprint_with_warmup, varied_turns
from recorded_folders import write_result
from rich.console import Console

from voicebench.judging.final import Word
from voicebench.report.console.console import print_runs
from voicebench.report.console.style import VERDICT_STYLES
from voicebench.report.exchange.badge import COLOURS, badge
from voicebench.report.exchange.ci_services import (
    SUMMARY_LIMIT_BYTES,
    append_step_summary,
    surroundings,
    workflow_commands,
)
from voicebench.report.exchange.exchange import (
    bencher,
    github_benchmark,
    gitlab_metrics,
    json_report,
    run_figures,
)
from voicebench.report.exchange.junit import junit_report
from voicebench.report.exchange.markdown import escape, markdown_report
from voicebench.results.run import RecordedRun, read_run
from voicebench.results.tables import write_events, write_long, write_turns

GOLDEN = Path(__file__).parent / "golden" / "formats"
HOSTILE = (
    "=1+1|<img src=x onerror=alert(1)> `x` ![p](http://e.vil/p) @everyone #1 ::error::x\x1b[31m"
)


def table(runs: Sequence[RecordedRun]) -> str:
    console = Console(file=io.StringIO(), width=110, legacy_windows=False, _environ={})
    print_runs(console, list(runs))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def csv_of(write: Callable[[TextIO, list[Path]], None]) -> Callable[[Sequence[RecordedRun]], str]:
    def made(runs: Sequence[RecordedRun]) -> str:
        file = io.StringIO(newline="")
        write(file, [run.path for run in runs])
        return file.getvalue()

    return made


FORMATS: dict[str, Callable[[Sequence[RecordedRun]], str]] = {
    "table.txt": table,
    "report.md": markdown_report,
    "folded.md": lambda runs: markdown_report(runs, fold=True),
    "turns.csv": csv_of(write_turns),
    "long.csv": csv_of(write_long),
    "events.csv": csv_of(write_events),
    "report.json": json_report,
    "junit.xml": junit_report,
    "github-benchmark.json": lambda runs: github_benchmark(run_figures(runs)),
    "bencher.json": lambda runs: bencher(run_figures(runs)),
    "gitlab.txt": lambda runs: gitlab_metrics(run_figures(runs)),
}


@pytest.fixture
def sprint(tmp_path: Path) -> RecordedRun:
    return read_run(write_result(tmp_path, sprint_with_warmup(), name="sprint"))


@pytest.fixture
def varied(tmp_path: Path) -> RecordedRun:
    folder = write_result(tmp_path, varied_turns(), name="varied", stamp="20260106T101500Z")
    return read_run(folder)


@pytest.fixture
def hostile(tmp_path: Path) -> RecordedRun:
    turn = make_turn(prompt=HOSTILE, tokens=((100, HOSTILE),), chunks=((116, HOSTILE),))
    return read_run(write_result(tmp_path, [turn], name="hostile"))


def without_place(text: str, run: RecordedRun) -> str:
    return text.replace(str(run.path), f"results/{run.path.name}")


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_gives_what_was_last_read(name: str, sprint: RecordedRun) -> None:
    assert_golden(GOLDEN / f"sprint-{name}", without_place(FORMATS[name]([sprint]), sprint))


@pytest.mark.parametrize("name", ["table.txt", "report.md", "junit.xml"])
def test_several_results_stand_side_by_side(
    name: str, sprint: RecordedRun, varied: RecordedRun
) -> None:
    assert_golden(GOLDEN / f"two-{name}", FORMATS[name]([sprint, varied]))


@pytest.mark.parametrize("name", ["report.md", "folded.md", "junit.xml", "report.json"])
def test_every_report_of_a_run_gives_its_advice(name: str, sprint: RecordedRun) -> None:
    assert len(sprint.advice) == 4
    told = re.sub(r"\\u[0-9a-f]{4}|\\|&[a-z]+;", "", FORMATS[name]([sprint]))
    for one in sprint.advice:
        assert re.sub(r"[<>]", "", one.finding)[:60].rstrip() in re.sub(r"[<>]", "", told)
        assert one.remedy[:40] in told


def test_the_badge_is_what_was_last_read(sprint: RecordedRun) -> None:
    assert_golden(GOLDEN / "sprint-badge.svg", badge(sprint))


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_ends_with_a_line_end(name: str, sprint: RecordedRun) -> None:
    assert FORMATS[name]([sprint]).endswith("\n")


def test_markdown_prints_the_words_of_models_as_they_are() -> None:
    told = escape(HOSTILE)
    assert not re.search(r"(?<!\\)[`*_\[\]|]", told)
    assert "<" not in told
    assert "@" not in told
    assert "http://" not in told
    assert "\x1b" not in told


def test_no_reply_draws_into_a_markdown_report(hostile: RecordedRun) -> None:
    told = markdown_report([hostile])
    assert "<img" not in told
    assert not re.search(r"(?<!\\)\]\(", told)
    (row,) = [line for line in told.splitlines() if line.startswith("| 1 |")]
    (head,) = [line for line in told.splitlines() if line.startswith("| run |")]
    assert row.replace("\\|", "").count("|") == head.count("|")


def test_junit_has_a_case_for_each_gate_with_its_figures(sprint: RecordedRun) -> None:
    suite = ElementTree.fromstring(junit_report([sprint]))[0]
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == [one.gate.text for one in sprint.gate_results]
    assert suite.get("tests") == "4"
    failing = {case.get("name"): case.find("failure") for case in cases if len(case) > 1}
    assert set(failing) == {"tts_ttfb.p95 < 100ms", "first_audio.p95 < 300ms"}
    failure = failing["first_audio.p95 < 300ms"]
    assert failure is not None
    assert failure.get("type") == "FAIL"
    assert "361 ms" in (failure.get("message") or "")


def test_junit_is_xml_whatever_a_run_is_called(sprint: RecordedRun) -> None:
    section = sprint.settings["run"]
    assert isinstance(section, dict)
    section["name"] = "a\x00b<&\ud800"
    assert ElementTree.fromstring(junit_report([sprint]))[0].get("name") == "a�b<&�"


def test_an_undecided_gate_is_an_error_and_an_unmeasured_one_a_failure(tmp_path: Path) -> None:
    folder = write_result(tmp_path, [make_turn()], gates=["server.p50 < 1s"])
    suite = ElementTree.fromstring(junit_report([read_run(folder)]))[0]
    assert (suite.get("failures"), suite.get("errors")) == ("1", "0")
    assert suite.find("testcase/failure").get("type") == "NOT MEASURED"  # type: ignore[union-attr]


def test_github_benchmark_leaves_out_what_is_better_when_it_is_more(sprint: RecordedRun) -> None:
    run = read_run(sprint.path, ["synth_speed_x.p50 > 1x", "first_audio.p50 < 1s"])
    names = [entry["name"] for entry in json.loads(github_benchmark(run_figures([run])))]
    assert "sprint: first_audio.p50" in names
    assert not any("synth" in name for name in names)


def test_bencher_has_latency_in_nanoseconds(sprint: RecordedRun) -> None:
    figure = json.loads(bencher(run_figures([sprint])))["sprint: llm_total.mean"]["latency"]
    assert figure["value"] == pytest.approx(197.5e6)
    assert figure["lower_value"] < figure["value"] < figure["upper_value"]


def test_gitlab_metrics_end_as_openmetrics_asks(sprint: RecordedRun) -> None:
    lines = gitlab_metrics(run_figures([sprint])).splitlines()
    assert lines[-1] == "# EOF"
    assert 'voicebench_llm_total_mean_ms{run="sprint"} 197.5' in lines


@pytest.mark.parametrize("word", Word)
def test_white_letters_stand_out_from_the_badge(word: Word) -> None:
    colour = COLOURS[VERDICT_STYLES[word]]
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    assert 1.05 / (luminance + 0.05) >= 4.5


def test_annotations_name_each_gate_that_did_not_pass(sprint: RecordedRun) -> None:
    commands = workflow_commands(sprint)
    assert len(commands) == 2
    assert commands[1].startswith(
        "::error title=voicebench sprint%3A FAIL::first_audio.p95 < 300ms"
    )
    assert "361 ms" in commands[1]


def test_an_annotation_cannot_hold_a_second_command(sprint: RecordedRun) -> None:
    sprint.settings["run"]["name"] = "x\n::add-mask::y,z%"  # type: ignore[index]
    command = workflow_commands(sprint)[1]
    assert "\n" not in command
    assert "x%0A%3A%3Aadd-mask%3A%3Ay%2Cz%25" in command


def test_the_surroundings_are_found_in_the_environment(tmp_path: Path) -> None:
    assert surroundings({}).step_summary is None
    assert not surroundings({"GITHUB_ACTIONS": "false"}).annotates
    found = surroundings({"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "s.md")})
    assert found.annotates
    assert found.step_summary == tmp_path / "s.md"


def test_a_step_summary_keeps_what_was_there_and_stays_under_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    append_step_summary(path, "é" * SUMMARY_LIMIT_BYTES)
    content = path.read_text(encoding="utf-8")
    assert content.startswith("before\néé")
    assert "cut" in content
    assert path.stat().st_size <= SUMMARY_LIMIT_BYTES + 1


def judged(run: RecordedRun) -> RecordedRun:
    """Give a run a stored judgement: a regression, an undecided figure, a noisy machine."""
    regressions = [
        {"figure": "first_audio.p50", "first": 200.0, "second": 301.0, "allowed": 0.1,
         "verdict": "FAIL", "note": ""},
        {"figure": "llm_total.mean", "first": 190.0, "second": 197.5, "allowed": 0.1,
         "verdict": "UNDECIDED", "note": "too few turns"},
        {"figure": "of another version", "verdict": "PASS"},
    ]  # fmt: skip
    noise = [{"finding": "other processes took 98 %", "remedy": "stop them", "invalidates": True}]
    flags = [{"turn": 3, "finding": HOSTILE}]
    stored = {"regressions": regressions, "noise": noise, "flagged": flags, "invalid": True}
    return replace(run, stored={"judgement": stored | {"baseline": "results/baseline/x"}})


def test_a_regression_and_a_noisy_machine_are_test_cases_that_do_not_pass(
    sprint: RecordedRun,
) -> None:
    suite = ElementTree.fromstring(junit_report([judged(sprint)]))[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("7", "3", "2")
    told = {case.get("name"): case.findtext("system-out") for case in suite.iter("testcase")}
    assert told["first_audio.p50 against the baseline"] == (
        "FAIL: 200 ms before, 301 ms now (+50.5 %), 10 % allowed"
    )
    assert "other processes took 98 %; stop them" in str(told["the machine"])


def test_a_regression_fails_a_run_whose_gates_all_pass(sprint: RecordedRun) -> None:
    run = judged(read_run(sprint.path, ["first_audio.p50 < 1s"]))
    told = markdown_report([run])
    assert "**! INVALID: the machine was too noisy for a verdict; measure again**" in told
    assert "| first\\_audio.p50 | 200 ms | 301 ms | +50.5 % | 10 % | ✗ FAIL |" in told
    assert "<img" not in told
    assert "#cf222e" in badge(run)


def test_annotations_tell_of_regressions_and_first_of_the_machine(sprint: RecordedRun) -> None:
    run = judged(read_run(sprint.path, ["first_audio.p50 < 1s"]))
    commands = workflow_commands(run)
    assert commands[0].startswith("::error title=voicebench sprint%3A INVALID::other processes")
    assert commands[1].startswith(
        "::error title=voicebench sprint%3A FAIL::first_audio.p50: 200 ms"
    )
    assert commands[2].startswith("::warning title=voicebench sprint%3A UNDECIDED::llm_total.mean")
    assert len(commands) == 3


@pytest.mark.parametrize("stored", [{}, {"judgement": None}, {"judgement": {"noise": "x"}}])
def test_a_result_without_a_judgement_has_less_to_say(
    sprint: RecordedRun, stored: dict[str, object]
) -> None:
    assert junit_report([replace(sprint, stored=stored)]) == junit_report([sprint])
