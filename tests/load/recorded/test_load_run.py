"""A recorded run under load: the same figures and answer as when it was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from load_folders import edit_json, edit_level, written_capacity, written_load

from voicebench.errors import ResultsError, UsageError
from voicebench.judging.final import Word
from voicebench.load.call_plan import CallRate, TurnRate
from voicebench.load.recorded.load_run import read_load_run
from voicebench.results.folder import INCOMPLETE
from voicebench.results.load_folder import read_levels


@pytest.mark.parametrize("arrivals", [4, CallRate(0.05), TurnRate(0.5)])
def test_a_level_read_back_is_what_was_measured(
    tmp_path: Path, arrivals: int | CallRate | TurnRate
) -> None:
    folder = written_load(tmp_path, arrivals)
    run = read_load_run(folder)
    assert [level.document for level in run.levels] == read_levels(folder)
    assert run.answer_document() == json.loads((folder / "load.json").read_text())


def test_a_search_read_back_gives_its_answer(tmp_path: Path) -> None:
    folder = written_capacity(tmp_path, at_least=2)
    run = read_load_run(folder)
    assert [level.document for level in run.levels] == read_levels(folder)
    assert run.answer_document() == json.loads((folder / "capacity.json").read_text())
    assert run.replay.contradiction == ""
    assert run.shown_level is not None
    assert run.shown_level.purpose == "confirm"


def test_unfinished_turns_are_in_the_figures_read_back(tmp_path: Path) -> None:
    slow = "sim:ttft=20ms,token=1ms,ttfb=20ms,speed=50x,words=4,slots=1,service=exp:9s"
    folder = written_load(tmp_path, 20, drain_s=1.0, **{"run.target": slow})
    run = read_load_run(folder)
    [level] = run.levels
    assert level.held.judgement.rates["unfinished.rate"]
    assert level.document == read_levels(folder)[0]


def test_an_unconfirmed_answer_is_none(tmp_path: Path) -> None:
    folder = written_capacity(tmp_path)
    levels = folder / "levels.jsonl"
    kept = [line for line in levels.read_text().splitlines() if '"confirm"' not in line]
    levels.write_text("".join(f"{line}\n" for line in kept))
    run = read_load_run(folder)
    assert run.final.word is Word.INVALID
    assert "the search would go on with" in run.final.why()


@pytest.mark.parametrize(
    "changed", [{"callers": 7}, {"purpose": "narrow"}, {"seed": 5}, {"interrupted": True}]
)
def test_levels_of_another_search_give_no_answer(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    folder = written_capacity(tmp_path)
    edit_level(folder, 1, **changed)
    assert read_load_run(folder).final.word in (Word.INVALID, Word.INTERRUPTED)


def test_a_stored_standing_is_not_believed(tmp_path: Path) -> None:
    folder = written_load(tmp_path, 25)
    edit_level(folder, 0, standing="holds", gates=[], reasons=[])
    edit_json(folder / "load.json", verdict="PASS", exit_code=0)
    assert read_load_run(folder).final.word is Word.FAIL


def test_a_client_that_was_too_busy_makes_a_run_invalid(tmp_path: Path) -> None:
    folder = written_load(tmp_path, 3)
    assert read_load_run(folder).final.word is Word.PASS
    edit_level(folder, 0, client={"busiest_core": 0.9, "foreign": None})
    run = read_load_run(folder)
    assert (run.final.word, run.final.exit_code) == (Word.INVALID, 5)
    assert "90 % busy" in run.final.why()


def test_too_few_turns_are_undecided(tmp_path: Path) -> None:
    folder = written_load(tmp_path, 3)
    edit_level(folder, 0, window={"start_s": 100.0, "end_s": 130.0})
    assert read_load_run(folder).final.word is Word.UNDECIDED


def test_other_gates_judge_a_level_but_not_a_search(tmp_path: Path) -> None:
    level = written_load(tmp_path, 3)
    assert read_load_run(level, ["first_audio_due.p90 < 100ms"]).final.word is Word.FAIL
    assert read_load_run(level, ["llm_ttft.p90 < 5s"]).final.word is Word.PASS
    with pytest.raises(UsageError, match="is a search for capacity"):
        read_load_run(written_capacity(tmp_path), ["errors.rate <= 5%"])


def test_a_killed_run_shows_what_it_has(tmp_path: Path) -> None:
    folder = written_capacity(tmp_path)
    (folder / "capacity.json").unlink()
    (folder / INCOMPLETE).touch()
    levels = (folder / "levels.jsonl").read_text().splitlines(keepends=True)
    (folder / "levels.jsonl").write_text("".join(levels[:2]) + levels[2][:40])
    run = read_load_run(folder)
    assert len(run.levels) == 2
    assert run.final.word is Word.INTERRUPTED
    assert run.final.why().startswith("after 2 levels")


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"has no levels\.jsonl"):
        read_load_run(tmp_path)
    (tmp_path / "levels.jsonl").touch()
    (tmp_path / "turns.jsonl").touch()
    with pytest.raises(ResultsError, match="holds no finished turn"):
        read_load_run(tmp_path)
