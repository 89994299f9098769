"""``docs/how-to/sprint.md``: its commands run, its keys exist, its formulas agree with the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from command_line import voicebench
from handmade import sprint_turns
from recorded_folders import write_result

from voicebench.judging.gates import CLOSE_MARGIN
from voicebench.report.console import verdicts
from voicebench.sprints import analysis, imported, readings, score
from voicebench.sprints import first_lines as opening
from voicebench.sprints.readings import TARGETS
from voicebench.sprints.sprint import ASPECTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "sprint.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^voicebench (sprint .+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_result(tmp_path / "results", sprint_turns(), name="default")
    (tmp_path / "tests.xml").write_text("<testsuite><testcase name='a'/></testsuite>")
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    assert voicebench(*shlex.split(command)) == 0


def test_three_commands_were_found() -> None:
    assert len(COMMANDS) == 3


def test_every_key_of_an_import_is_explained() -> None:
    schema = imported.ImportedFile.model_json_schema()
    for key, described in schema["properties"].items():
        reference = described.get("$ref") or described.get("items", {}).get("$ref")
        name = f"[[{key}]]" if "items" in described else f"[{key}]" if reference else key
        row = re.search(rf"^\| `{re.escape(name)}` \|.*$", PAGE, re.MULTILINE)
        assert row, name
        if reference:
            keys = schema["$defs"][reference.rpartition("/")[2]]["properties"].keys()
            assert all(f"`{inner}" in row[0] for inner in keys - set(ASPECTS)), name


def test_the_bounds_are_the_ones_of_the_code() -> None:
    assert f"at most {CLOSE_MARGIN:.0%} of it".replace("%", " %") in PAGE
    assert verdicts.MAINTAINED_WITHIN == 0.10
    assert "within a tenth of what it was" in PAGE
    assert f"`worst_deficit_ms` ≤ {score.CONTINUITY_MS:.0f} ms" in PAGE
    assert f"10 × ({score.SLOWEST_ANSWER_MS:.0f} ms − median" in PAGE
    assert score.SLOWEST_ANSWER_MS - score.QUICKEST_ANSWER_MS == 1000
    assert f"more than {analysis.SLOW_FIRST_RUN:.0%}".replace("%", " %") in PAGE
    assert f"if it is under {analysis.LOW_SCORE:.0f}" in PAGE


def test_the_targets_of_every_sprint_are_named() -> None:
    for target in TARGETS:
        assert f"| `{target.name}` | < {target.limit_ms:g} ms |" in PAGE
    assert f"up to {opening.MOST_ADVICE} of its hints" in PAGE


def test_every_status_has_its_sign() -> None:
    for status, sign in readings.SIGNS.items():
        called = "n/m pass" if status == "partly" else status
        assert re.search(rf"^\| (?:.*, )?{re.escape(sign)} {called}[ ,]", PAGE, re.MULTILINE), (
            status
        )


def test_every_aspect_has_its_formula() -> None:
    assert re.findall(r"^\| (\w+) \| (?:10 ×|for each)", PAGE, re.MULTILINE) == list(ASPECTS)
