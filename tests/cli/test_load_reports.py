"""The commands that read run folders, on runs under load: none is skipped silently."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from load_folders import GATES, SIM, written_capacity, written_load
from outcomes import sprint_with_warmup
from ran_command import Command
from recorded_folders import write_result


@pytest.fixture
def search(tmp_path: Path) -> Path:
    return written_capacity(tmp_path / "results", at_least=2)


def test_report_and_verify_agree(voicebench: Command, search: Path, tmp_path: Path) -> None:
    for form, name in (
        ("markdown", "r.md"),
        ("json", "r.json"),
        ("junit", "r.xml"),
        ("badge", "r.svg"),
        ("csv", "r.csv"),
    ):
        path = tmp_path / name
        ran = voicebench("report", str(search), "-f", form, "-o", str(path))
        assert ran.code == 0, ran.err
        ran = voicebench("verify", str(search), "--report", str(path))
        assert ran.code == 0, ran.out
    path.write_text(path.read_text().replace("holds", "fails"))
    assert voicebench("verify", str(search), "--report", str(path)).code == 5


def test_runs_of_both_kinds_are_not_mixed(
    voicebench: Command, search: Path, tmp_path: Path
) -> None:
    other = write_result(tmp_path, sprint_with_warmup(), name="sprint")
    for command in ("report", "compare", "export"):
        ran = voicebench(command, str(search), str(other))
        assert ran.code == 2
        assert "is a run under load and" in ran.err


def test_options_of_single_turns_are_refused(voicebench: Command, search: Path) -> None:
    for more in (
        ("report", "-f", "html", "--sorted"),
        ("report", "--gate", "errors.rate <= 5%"),
    ):
        command, *options = more
        assert voicebench(command, str(search), *options).code == 2
    ran = voicebench("compare", str(search), str(search), "--metric", "first_audio.p50")
    assert ran.code == 2


def test_compare_says_what_the_brackets_show(voicebench: Command, search: Path) -> None:
    ran = voicebench("compare", str(search), str(search))
    assert ran.code == 0
    assert "undecided: the brackets overlap" in ran.out
    assert "Level by level" in ran.out
    document = json.loads(voicebench("compare", str(search), str(search), "--json").out)
    assert document["capacity"]["verdict"] == "undecided"
    assert {one["verdict"] for one in document["levels"]} <= {
        "no difference shown", "too few turns", "not measured"
    }  # fmt: skip


def test_compare_refuses_and_compares_anyway(
    voicebench: Command, search: Path, tmp_path: Path
) -> None:
    other = written_load(tmp_path, 3)
    ran = voicebench("compare", str(search), str(other))
    assert ran.code == 2
    assert "the numbers mean different things: kind: capacity → load" in ran.err
    far = written_load(tmp_path, 25)
    ran = voicebench("compare", str(other), str(far))
    assert ran.code == 5
    assert "nothing was compared" in ran.err


def test_history_and_export_have_runs_under_load(
    voicebench: Command, search: Path, tmp_path: Path
) -> None:
    write_result(search.parent, sprint_with_warmup(), name="sprint")
    ran = voicebench("history", "--results", str(search.parent))
    assert ran.code == 0
    assert "capacity" in ran.out
    assert "first_audio.p50" in ran.out
    rows = voicebench("history", "search", "--results", str(search.parent), "--csv").out
    assert rows.splitlines()[0].split(",")[8] == "capacity"
    page = tmp_path / "trend.html"
    more = ("--results", str(search.parent), "--html", str(page))
    assert voicebench("history", "search", *more).code == 0
    assert "capacity" in page.read_text()
    assert voicebench("history", "other", "--results", str(search.parent)).code == 2
    ran = voicebench("export", str(search))
    assert ran.out.splitlines()[0].endswith(
        "level,level_phase,caller,call,call_turn,due_s,outcome,interrupts"
    )
    assert voicebench("export", "--events", str(search)).code == 0


def test_a_search_is_compared_with_its_baseline(voicebench: Command, search: Path) -> None:
    results = search.parent
    assert voicebench("baseline", "set", str(search), "--results", str(results)).code == 0
    gates = [part for gate in GATES for part in ("--gate", gate)]
    ran = voicebench(
        *("capacity", "--target", SIM, "--results", str(results), "--name", "search", "--quiet"),
        *(*gates, "--for", "8m", "--max", "8", "--at-least", "2", "--baseline", "set", "--json"),
    )
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert document["baseline"]["capacity"] == document["capacity"]
    assert "against the baseline" in document["why"]
    ran = voicebench("baseline", "show", "search", "--results", str(results))
    assert (ran.code, ran.out) == (0, f"{results}/baseline/search.capacity\n")
    assert voicebench("verify", document["folder"]).code == 0


def test_a_gate_in_ci_leaves_its_files(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary, junit, result = (tmp_path / name for name in ("summary.md", "j.xml", "result"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    gates = [part for gate in GATES for part in ("--gate", gate)]
    common = ("--target", SIM, "--results", str(tmp_path / "results"), "--for", "8m", "--quiet")
    files = ("--junit", str(junit), "--result-file", str(result))
    ran = voicebench("load", *common, *gates, *files, "--callers", "25")
    assert ran.code == 3
    assert "::error title=voicebench default%3A FAIL::first_audio_due.p90 < 2s" in ran.err
    assert ElementTree.fromstring(junit.read_text()).get("failures") == "1"
    assert "✗ FAIL" in summary.read_text()
    assert Path(result.read_text().strip()).is_dir()
    ran = voicebench("capacity", *common, *gates, *files, "--max", "4", "--at-least", "9")
    assert ran.code == 2
    assert not result.exists()
    suite = ElementTree.fromstring(junit.read_text())
    assert suite.get("errors") == "1"
    assert "--at-least 9 is above --max 4" in junit.read_text()
