"""The trend and the baseline of runs under load: only runs with the same meaning are joined."""

from __future__ import annotations

from pathlib import Path

import pytest
from load_folders import edit_json, written_capacity, written_load

from voicebench.errors import ResultsError
from voicebench.judging.final import Word
from voicebench.judging.gates import Verdict
from voicebench.load.capacity_baseline import BaselineCapacity
from voicebench.load.recorded.load_baseline import Wanted, read_load_baseline, set_load_baseline
from voicebench.load.recorded.load_history import load_history
from voicebench.load.recorded.load_run import read_load_run
from voicebench.load.search import CapacityAnswer
from voicebench.results.folder import INCOMPLETE
from voicebench.results.reading import read_document


def test_a_trend_has_the_capacity_with_its_bracket(tmp_path: Path) -> None:
    folder = written_capacity(tmp_path, at_least=2)
    written_capacity(tmp_path, at_least=2)
    history = load_history(tmp_path, "search")
    assert len(history.points) == 2
    assert history.figures[0].name == "capacity"
    answer = read_load_run(folder).replay.answer
    assert answer is not None
    point = history.points[0]
    assert point.values["capacity"] == answer.capacity
    assert point.ranges["capacity"].low == answer.capacity
    assert point.limits == {"capacity": 2}
    assert point.title == "search: capacity"
    assert point.values["first_audio_due.p50"] is not None


def test_runs_with_other_meanings_get_lines_of_their_own(tmp_path: Path) -> None:
    written_load(tmp_path, 3, name="x")
    written_load(tmp_path, 3, name="x")
    written_load(tmp_path, 4, name="x")
    written_load(tmp_path, 3, name="x", gates=["errors.rate <= 20%"])
    series = load_history(tmp_path).by_series()
    assert [len(points) for points in series.values()] == [2, 1, 1]
    assert list(series)[:2] == ["x: load, 3 callers", "x: load, 4 callers"]


def test_an_interrupted_run_is_in_no_trend(tmp_path: Path) -> None:
    (written_capacity(tmp_path) / INCOMPLETE).touch()
    assert load_history(tmp_path).points == ()


@pytest.mark.parametrize(
    ("capacity", "high", "verdict"),
    [
        (90, None, Verdict.PASS),
        (89, None, Verdict.NOT_SHOWN),
        (80, 90, Verdict.FAIL),
        (80, 91, Verdict.NOT_SHOWN),
        (None, None, Verdict.NOT_SHOWN),
        (None, 50, Verdict.FAIL),
        (120, 130, Verdict.PASS),
    ],
)
def test_a_capacity_against_its_baseline(
    capacity: int | None, high: int | None, verdict: Verdict
) -> None:
    baseline = BaselineCapacity("results/before", 100, 0.10)
    assert baseline.verdict(CapacityAnswer(capacity, high, 400)) is verdict


def test_a_baseline_is_set_found_and_read(tmp_path: Path) -> None:
    folder = written_capacity(tmp_path, at_least=2)
    settings = read_document(folder / "settings.json")
    kept = set_load_baseline(folder, tmp_path)
    assert kept.name == "search.capacity"
    for wanted in ("set", "latest", str(folder)):
        found = read_load_baseline(wanted, tmp_path, Wanted("capacity", "search", settings), 0.1)
        assert found.capacity == read_document(folder / "capacity.json")["capacity"]


def test_what_cannot_be_a_baseline_is_refused(tmp_path: Path) -> None:
    level = written_load(tmp_path, 3)
    folder = written_capacity(tmp_path)
    settings = read_document(folder / "settings.json")
    load = settings["load"]
    assert isinstance(load, dict)
    other = {**settings, "load": {**load, "think": "exp:9s"}}
    with pytest.raises(ResultsError, match=r"load\.think: exp:3s → exp:9s"):
        read_load_baseline(str(folder), tmp_path, Wanted("capacity", "search", other), 0.1)
    with pytest.raises(
        ResultsError, match=r"no complete run of a search for capacity of 'search'.*load\.think"
    ):
        read_load_baseline("latest", tmp_path, Wanted("capacity", "search", other), 0.1)
    with pytest.raises(ResultsError, match="no baseline of a search for capacity is set"):
        read_load_baseline("set", tmp_path, Wanted("capacity", "search", settings), 0.1)
    with pytest.raises(ResultsError, match="it is a single level, and not a search"):
        read_load_baseline(str(level), tmp_path, Wanted("capacity", "search", settings), 0.1)
    (folder / INCOMPLETE).touch()
    with pytest.raises(ResultsError, match="INTERRUPTED"):
        read_load_baseline(str(folder), tmp_path, Wanted("capacity", "search", settings), 0.1)


def test_a_lower_capacity_than_the_baseline_does_not_pass(tmp_path: Path) -> None:
    folder = written_capacity(tmp_path, at_least=2)
    assert read_load_run(folder).final.word is Word.PASS
    before = BaselineCapacity("results/before", 400, 0.1)
    edit_json(folder / "capacity.json", baseline=before.as_dict())
    run = read_load_run(folder)
    assert run.final.word in (Word.NOT_SHOWN, Word.FAIL)
    assert "against the baseline: 400 callers before" in run.final.why()
