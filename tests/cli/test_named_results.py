"""A run is named by its path, by its bare name, or as the latest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ran_command import Command

from voicebench.cli.report import Format, form_of
from voicebench.errors import ResultsError
from voicebench.results.reading import find_result

SIM = "sim:ttft=4ms,token=1ms,ttfb=3ms,speed=1000x,words=6"


@pytest.fixture
def names(
    voicebench: Command, scripted_time: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Measure two runs into ``results``; return the folders' names, the older first."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        ran = voicebench("run", "--target", SIM, "--runs", "2", "--name", name, "--no-gate", "-q")
        assert ran.code in (0, 5), ran.err
    return sorted(folder.name for folder in (tmp_path / "results").iterdir())


def test_a_bare_name_and_the_latest_are_found(voicebench: Command, names: list[str]) -> None:
    for name in (names[0], f"results/{names[0]}"):
        assert names[0] in voicebench("report", name).out
    assert names[-1] in voicebench("report", "latest").out
    assert voicebench("compare", names[0], "latest").code == 0
    assert voicebench("verify", "latest").code == 0
    assert voicebench("export", "latest").out.count("\n") > 2


def test_an_unfinished_folder_is_not_the_latest(names: list[str], tmp_path: Path) -> None:
    (tmp_path / "results" / "99991231T235959Z-empty").mkdir()
    assert find_result(Path("latest")).name == names[-1]


def test_no_run_at_all_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ResultsError, match="there is no run in results"):
        find_result(Path("latest"))
    assert find_result(Path("nobody")) == Path("nobody")


@pytest.mark.parametrize(
    ("file", "form"),
    [("a.html", Format.HTML), ("a.MD", Format.MARKDOWN), ("a.xml", Format.JUNIT), ("a", None)],
)
def test_the_form_is_that_of_the_suffix(file: str, form: Format | None) -> None:
    assert form_of(Path(file)) is (form or Format.TABLE)
    assert form_of(None) is Format.TABLE


def test_a_page_is_written_by_its_suffix_and_never_into_a_terminal(
    voicebench: Command, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert voicebench("report", "latest", "-o", "page.md").code == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8").startswith("# voicebench")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    ran = voicebench("report", "latest", "-f", "html")
    assert ran.code == 2
    assert "-o report.html" in ran.err
