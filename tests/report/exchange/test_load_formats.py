"""Every format of a report on runs under load against golden files."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

import pytest
from golden_files import assert_golden
from load_folders import written_capacity, written_load
from rich.console import Console

from voicebench.judging.final import Word
from voicebench.load.call_plan import TurnRate
from voicebench.load.recorded.level_tables import write_level_figures, write_levels
from voicebench.load.recorded.load_run import LoadRun, read_load_run
from voicebench.report.console.load_console import print_load_runs
from voicebench.report.exchange.exchange import (
    bencher,
    github_benchmark,
    gitlab_metrics,
    json_report,
)
from voicebench.report.exchange.load_exchange import load_badge, load_figures
from voicebench.report.exchange.load_reports import load_commands, load_junit, load_markdown
from voicebench.results.folder import INCOMPLETE

GOLDEN = Path(__file__).parent / "golden" / "load"
Form = Callable[[Sequence[LoadRun]], str]


def table(runs: Sequence[LoadRun]) -> str:
    console = Console(file=io.StringIO(), width=110, legacy_windows=False, _environ={})
    print_load_runs(console, runs)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def csv_of(write: Callable[[TextIO, Sequence[LoadRun]], None]) -> Form:
    def made(runs: Sequence[LoadRun]) -> str:
        file = io.StringIO(newline="")
        write(file, runs)
        return file.getvalue()

    return made


FORMS: dict[str, Form] = {
    "table.txt": table,
    "report.md": load_markdown,
    "folded.md": lambda runs: load_markdown(runs, fold=True),
    "levels.csv": csv_of(write_levels),
    "long.csv": csv_of(write_level_figures),
    "report.json": json_report,
    "junit.xml": load_junit,
    "badge.svg": lambda runs: load_badge(runs[0]),
    "github-benchmark.json": lambda runs: github_benchmark(load_figures(runs)),
    "bencher.json": lambda runs: bencher(load_figures(runs)),
    "gitlab.txt": lambda runs: gitlab_metrics(load_figures(runs)),
    "commands.txt": lambda runs: "\n".join(load_commands(runs[0])) + "\n",
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> LoadRun:
    return read_load_run(written_capacity(tmp_path_factory.mktemp("r"), at_least=2))


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> LoadRun:
    return read_load_run(written_load(tmp_path_factory.mktemp("r"), 25))


def settled(text: str, runs: Sequence[LoadRun]) -> str:
    """Take the place of the run away, and the digits in which two versions of numpy may differ."""
    for run in runs:
        text = text.replace(str(run.path), f"results/{run.path.name}")
    return re.sub(r"\d+\.\d{7,}", lambda found: f"{float(found[0]):.6f}", text)


@pytest.mark.parametrize("name", FORMS)
def test_a_search_gives_what_was_last_read(name: str, searched: LoadRun) -> None:
    assert_golden(GOLDEN / f"search-{name}", settled(FORMS[name]([searched]), [searched]))


@pytest.mark.parametrize(
    "name", ["table.txt", "report.md", "junit.xml", "badge.svg", "commands.txt"]
)
def test_a_level_that_fails_gives_what_was_last_read(name: str, failing: LoadRun) -> None:
    assert_golden(GOLDEN / f"fails-{name}", settled(FORMS[name]([failing]), [failing]))


@pytest.mark.parametrize("name", ["table.txt", "report.md", "junit.xml"])
def test_several_runs_stand_side_by_side(name: str, searched: LoadRun, failing: LoadRun) -> None:
    runs = [searched, failing]
    assert_golden(GOLDEN / f"two-{name}", settled(FORMS[name](runs), runs))


def test_every_form_has_the_one_verdict(searched: LoadRun, failing: LoadRun) -> None:
    for run, word in ((searched, Word.PASS), (failing, Word.FAIL)):
        assert run.final.word is word
        assert json.loads(json_report([run]))["results"][0]["verdict"] == word
        for form in (table, load_markdown, lambda runs: load_badge(runs[0])):
            assert word in form([run])
        suite = ElementTree.fromstring(load_junit([run]))
        passed = suite.get("failures") == suite.get("errors") == "0"
        assert passed == (word is Word.PASS) == (not load_commands(run))


def test_an_interrupted_run_passes_nowhere(tmp_path: Path) -> None:
    folder = written_capacity(tmp_path)
    (folder / INCOMPLETE).touch()
    run = read_load_run(folder)
    assert run.final.word is Word.INTERRUPTED
    assert run.final.exit_code == 130
    assert "interrupted after" in load_markdown([run])
    assert ElementTree.fromstring(load_junit([run])).get("errors") == "1"
    assert load_commands(run)[0].startswith("::error")
    assert list(load_figures([run])) == []
    assert "PASS" not in load_badge(run)


def test_a_saturated_level_fails_in_every_form(tmp_path: Path) -> None:
    run = read_load_run(written_load(tmp_path, TurnRate(3.0), gates=["errors.rate <= 20%"]))
    assert run.final.word is Word.FAIL
    assert "saturated" in run.final.why()
    suite = ElementTree.fromstring(load_junit([run]))
    assert suite.get("failures") == "1"
    assert any("saturated" in command for command in load_commands(run))
