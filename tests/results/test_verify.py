"""`verify` finds what was changed, cut or left out, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handmade import failed_turn, make_turn, sprint_turns
from recorded_folders import write_result

from voicebench.errors import ResultsError
from voicebench.figures.intervals import mean_interval
from voicebench.results.checksums import NAME
from voicebench.results.verify import verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = write_result(tmp_path, [*sprint_turns(), failed_turn(9)])
    (made / NAME).unlink()
    return made


def findings(folder: Path) -> list[str]:
    return [str(finding) for finding in verify(folder).findings]


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def change_summary(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "summary.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_a_result_as_it_was_written_holds(folder: Path) -> None:
    checked = verify(folder)
    assert checked.holds
    assert checked.turns == 9
    assert checked.figures > 9 * 25
    assert checked.notes == ["the run wrote no checksums: only figures are checked"]


def test_checksums_hold_what_the_run_wrote(tmp_path: Path) -> None:
    made = write_result(tmp_path, sprint_turns())
    assert verify(made).holds
    assert not verify(made).notes


def test_a_changed_word_is_found_by_the_checksums(tmp_path: Path) -> None:
    made = write_result(tmp_path, sprint_turns())
    replace(made / "turns.jsonl", " today.", " todaz.")
    assert "turns.jsonl: has changed since the run ended" in findings(made)


def test_a_file_taken_away_is_found_by_the_checksums(tmp_path: Path) -> None:
    made = write_result(tmp_path, sprint_turns())
    (made / "environment.json").unlink()
    assert "environment.json: is missing" in findings(made)


def test_a_checksum_of_a_file_elsewhere_is_not_followed(tmp_path: Path) -> None:
    made = write_result(tmp_path, sprint_turns())
    (made / NAME).write_text("0" * 64 + "  ../../etc/passwd\n")
    assert "../../etc/passwd: is missing" in findings(made)


def test_a_changed_stamp_shows_in_the_rows_and_in_the_summary(folder: Path) -> None:
    replace(folder / "turns.jsonl", "[252000000,", "[251000000,")
    found = findings(folder)
    assert any("turn 3, first_audio_ms is 252.0, and the turn gives 251.0" in one for one in found)
    assert any("summary.json: metrics.first_audio_ms.min is 252.0" in one for one in found)


def test_a_changed_figure_of_the_idle_turns_is_found(tmp_path: Path) -> None:
    made = write_result(tmp_path, [*sprint_turns(), make_turn(phase="idle")])
    (made / NAME).unlink()
    assert verify(made).holds

    def change(document: dict[str, Any]) -> None:
        document["phases"]["idle"]["first_audio_ms"] = 86.0

    change_summary(made, change)
    assert findings(made) == [
        "summary.json: phases.idle.first_audio_ms is 86.0, and the turns give 186.0"
    ]
    change_summary(made, lambda document: document.pop("phases"))
    assert verify(made).holds  # a result of before the phases had figures


def test_a_changed_cell_is_found(folder: Path) -> None:
    replace(folder / "runs.csv", ",252.0,", ",152.0,")
    assert findings(folder) == [
        "runs.csv: turn 3, first_audio_ms is 152.0, and the turn gives 252.0"
    ]


def test_a_changed_text_cell_is_found(folder: Path) -> None:
    replace(folder / "runs.csv", "The weather is,3", "The weather was,3")
    assert len(findings(folder)) == 1


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda d: d["metrics"]["llm_total_ms"].update(mean=177.0), "metrics.llm_total_ms.mean"),
        (lambda d: d["turns"].update(failed=0), "turns.failed is 0"),
        (lambda d: d.update(verdict="PASS"), "verdict is PASS"),
        (lambda d: d["gates"][2].update(verdict="PASS"), "gates[3].verdict is PASS"),
        (lambda d: d["gates"].pop(2), "does not judge the gate 'first_audio.p95 < 300ms'"),
        (lambda d: d.pop("metrics"), "has no metrics"),
        (lambda d: d["metrics"]["first_audio_ms"].update(p95="362"), "p95 is 362"),
        (lambda d: d["gates"][2].update(gate="nonsense"), "'nonsense'"),
    ],
)
def test_a_changed_summary_is_found(
    folder: Path, change: Callable[[dict[str, Any]], object], found: str
) -> None:
    change_summary(folder, change)
    checked = verify(folder)
    assert not checked.holds
    assert any(found in str(one) for one in checked.findings), checked.findings


def test_a_figure_of_another_version_is_named_as_not_checked(folder: Path) -> None:
    change_summary(folder, lambda d: d["metrics"]["first_audio_ms"].update(p42=1.0))
    checked = verify(folder)
    assert checked.holds
    assert "summary.json: not checked: metrics.first_audio_ms.p42" in checked.notes


def test_a_cut_last_line_is_found(folder: Path) -> None:
    path = folder / "turns.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    found = findings(folder)
    assert "turns.jsonl: its last line is cut off" in found
    assert "runs.csv: has 1 rows more than there are turns" in found


def test_a_line_that_is_gone_is_found(folder: Path) -> None:
    path = folder / "turns.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    assert "summary.json: turns.measured is 9, and the turns give 8" in findings(folder)


def test_a_line_of_something_else_is_found(folder: Path) -> None:
    with (folder / "turns.jsonl").open("a") as file:
        file.write("hello\n")
    assert "turns.jsonl: cannot be read to its end" in findings(folder)[0]


def test_figures_that_are_none_are_found(folder: Path) -> None:
    replace(folder / "turns.jsonl", '"sample_rate":16000', '"sample_rate":0')
    assert "turns.jsonl: cannot be read to its end" in findings(folder)[0]


def test_missing_files_are_found(folder: Path) -> None:
    (folder / "summary.json").unlink()
    (folder / "runs.csv").unlink()
    found = findings(folder)
    assert "summary.json: is missing" in found
    assert any(one.startswith("runs.csv: cannot be read") for one in found)


def test_a_broken_off_run_is_checked_as_far_as_it_goes(folder: Path) -> None:
    (folder / "summary.json").unlink()
    (folder / "INCOMPLETE").touch()
    checked = verify(folder)
    assert checked.holds
    assert checked.notes == ["the run was interrupted; what was finished is checked"]


def test_what_is_no_result_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="not a run folder"):
        verify(tmp_path)


def test_nothing_is_written(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    verify(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_turn_of_every_kind_holds(tmp_path: Path) -> None:
    turns = [
        make_turn(1, prompt="=1+1"),
        make_turn(2, prompt="NA\r\nline"),
        make_turn(3, audio=(), silence_ms=None),
    ]
    assert verify(write_result(tmp_path, turns, gates=())).holds


def test_the_final_verdict_is_checked_and_that_of_older_results_was_the_gates_alone(
    folder: Path,
) -> None:
    change_summary(folder, lambda document: document.update(verdict="PASS"))
    assert "summary.json: verdict is PASS, and the turns give FAIL" in findings(folder)
    invalid = {"invalid": True, "noise": []}
    change_summary(folder, lambda document: document.update(judgement=invalid, verdict="FAIL"))
    assert "summary.json: verdict is FAIL, and the turns give INVALID" in findings(folder)
    change_summary(folder, lambda document: (document.pop("exit_code"), document.pop("why")))
    assert findings(folder) == []


def test_an_older_result_keeps_the_interval_that_reached_under_zero(tmp_path: Path) -> None:
    turns = [make_turn(1), make_turn(2, audio=((900, 500),))]
    made = write_result(tmp_path, turns, gates=["first_audio.mean < 1s"])
    (made / NAME).unlink()
    assert findings(made) == []

    def change(document: dict[str, Any]) -> None:
        interval = mean_interval([186.0, 900.0])
        assert interval is not None
        document["gates"][0]["interval"] = interval.as_dict()

    change_summary(made, change)
    assert findings(made) == []
    change_summary(made, lambda document: document["gates"][0]["interval"].update(low=-1.0))
    assert findings(made) == ["summary.json: gates[1].interval.low is -1.0, and the turns give 0.0"]
