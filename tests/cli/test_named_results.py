"""A run is named by its path, by its bare name, or as the latest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ran_command import Command

from voicebench.cli.report import Format, form_of
from voicebench.errors import ResultsError
from voicebench.results.reading import find_result, run_folders

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


def test_a_baseline_is_named_by_its_bare_name_too(voicebench: Command, names: list[str]) -> None:
    measured = ("run", "--target", SIM, "--runs", "2", "--no-gate", "-q", "--name", "a")
    for baseline in (names[0], f"results/{names[0]}", "latest"):
        ran = voicebench(*measured, "--baseline", baseline)
        assert ran.code in (0, 3, 5), ran.err
        assert f"results/{names[0][:9]}" in ran.out


def test_a_misspelt_run_folder_is_answered_with_the_likely_one(
    voicebench: Command, names: list[str]
) -> None:
    wrong = names[1].removesuffix("b") + "c"
    ran = voicebench("report", wrong)
    assert ran.code == 2
    assert f"{wrong} is not a run folder: it is not there, nor in results; did you mean" in ran.err
    ran = voicebench("report", f"results/{wrong}")
    assert f"results/{wrong} is not a run folder: it is not there; did you mean" in ran.err


def test_the_results_folder_is_that_of_the_settings_file(
    voicebench: Command, names: list[str], tmp_path: Path
) -> None:
    (tmp_path / "results").rename(tmp_path / "bench")
    assert voicebench("report", "latest").code == 2
    (tmp_path / "voicebench.toml").write_text('[run]\nresults = "bench"\n')
    assert names[-1] in voicebench("report", "latest").out
    assert names[0] in voicebench("verify", names[0]).out
    assert names[-1] in voicebench("history", "--json").out
    assert voicebench("baseline", "set", "latest", "--allow-noise").out.startswith(
        "baseline: bench/baseline/"
    )


def test_of_two_runs_in_one_second_the_later_is_the_latest(tmp_path: Path) -> None:
    for name, second in (("20260101T000000Z-z", "00.25"), ("20260101T000000Z-a", "00.75")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "turns.jsonl").write_text("{}\n")
        start = f'{{"started_at": "2026-01-01T00:00:{second}+00:00"}}'
        (folder / "environment.json").write_text(start)
    assert find_result(Path("latest"), tmp_path).name == "20260101T000000Z-a"
    assert [folder.name[-1] for folder in run_folders(tmp_path)] == ["z", "a"]


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


def test_all_baselines_of_a_name_are_shown(voicebench: Command, tmp_path: Path) -> None:
    shown = ("baseline", "show", "a", "--results", str(tmp_path))
    ran = voicebench(*shown)
    assert (ran.code, ran.out) == (2, "")
    assert "no baseline is set for 'a'" in ran.err
    kept = [tmp_path / "baseline" / name for name in ("a", "a.capacity", "a.load")]
    for folder in kept[1:]:
        folder.mkdir(parents=True)
    assert voicebench(*shown).out.splitlines() == [str(folder) for folder in kept[1:]]
    kept[0].mkdir()
    (kept[0] / "turns.jsonl").touch()
    assert voicebench(*shown).out.splitlines() == [str(folder) for folder in kept]
