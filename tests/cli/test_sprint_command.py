"""`voicebench sprint`: what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from handmade import sprint_turns
from ran_command import Command
from recorded_folders import write_result

ROOT = Path(__file__).parents[2]
IMPORT = str(ROOT / "docs" / "sprints" / "sprint-046.toml")
JUNIT = "<testsuite><testcase name='a'/><testcase name='b'/></testsuite>"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def test_the_reference_is_imported_sprint_after_sprint(voicebench: Command) -> None:
    earlier = IMPORT.replace("046", "045")
    assert voicebench("sprint", "45", "--import", earlier).code == 0
    ran = voicebench("sprint", "46", "--import", IMPORT)
    assert ran.code == 0
    assert ran.out.splitlines()[:2] == [
        "Sprint 46: TTS streaming",
        "Score 40/50 (80 %); sprint 45: 39/50 (78 %)",
    ]
    page = Path("results/sprints/sprint-046.md").read_text(encoding="utf-8")
    assert "| Total | 39/50 (78 %) | 40/50 (80 %) | +1 |  |" in page
    assert json.loads(Path("results/sprints/sprint-046.json").read_text())["previous"] == 45


def test_a_sprint_is_measured_by_the_latest_run(voicebench: Command, tmp_path: Path) -> None:
    write_result(tmp_path / "results", sprint_turns(), stamp="20250105T101500Z")
    write_result(tmp_path / "results", sprint_turns()[:3], name="new")
    Path("tests.xml").write_text(JUNIT)
    ran = voicebench(
        *("sprint", "47", "--junit", "tests.xml", "--score", "humanity=6", "--lang", "fr")
    )
    assert ran.code == 0, ran.err
    assert "under load" not in ran.err
    page = Path("results/sprints/sprint-047.md").read_text(encoding="utf-8")
    assert "20260105T101500Z-new" in page
    assert "**Taux de réussite :** 1/3 sous 300 ms (33,3 %)" in page
    assert "2/2 tests réussis (100 %)." in page
    assert "| Humanité | 6/10 | saisi à la main |" in page


def test_a_sprint_names_the_runs_under_load_that_it_leaves_out(
    voicebench: Command, tmp_path: Path
) -> None:
    write_result(tmp_path / "results", sprint_turns())
    for stamp in ("20250101T000000Z", "20260106T000000Z"):
        (tmp_path / "results" / f"{stamp}-load").mkdir()
        (tmp_path / "results" / f"{stamp}-load" / "levels.jsonl").touch()
    ran = voicebench("sprint", "47")
    assert ran.code == 0, ran.err
    assert "left out: 2 runs under load in results/, the latest 20260106T000000Z-load" in ran.err
    ran = voicebench("sprint", "48")  # the first of them was there at the last sprint
    assert "left out: 1 run under load in results/, the latest 20260106T000000Z-load" in ran.err


def test_a_sprint_can_follow_an_imported_one(voicebench: Command, tmp_path: Path) -> None:
    """The commit of an imported sprint is of another repository, so nothing is asked of it."""
    assert voicebench("sprint", "46", "--import", IMPORT).code == 0
    write_result(tmp_path / "results", sprint_turns())
    ran = voicebench("sprint", "47")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[:2] == ["Sprint 47", "✗ FAIL: 2 of 4 gates passed"]
    assert "let both overlap: --overlap" in ran.err


def test_a_sprint_is_not_overwritten_unless_asked(voicebench: Command) -> None:
    assert voicebench("sprint", "46", "--import", IMPORT).code == 0
    page = Path("results/sprints/sprint-046.md")
    page.write_text("mine")
    ran = voicebench("sprint", "46", "--import", IMPORT)
    assert ran.code == 2
    assert "is there already; give --force to replace it" in ran.err
    assert page.read_text() == "mine"
    assert voicebench("sprint", "46", "--import", IMPORT, "--force").code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["46"], "there is no result in results/; name one with --result, or --import"),
        (["46", "--import", IMPORT, "--junit", "x.xml"], "--import has its own figures"),
        (["46", "--import", "none.toml"], "none.toml cannot be read"),
        (["46", "--import", IMPORT, "--score", "charm=3"], "'charm=3' is not an aspect"),
        (["46", "--result", "none"], "none is not a run folder"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_2(
    voicebench: Command, arguments: list[str], sentence: str
) -> None:
    ran = voicebench("sprint", *arguments)
    assert ran.code == 2
    assert sentence in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert not list(Path("results/sprints").glob("*.md"))
