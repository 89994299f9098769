"""A run under load in Python: its answer, its levels, their figures, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from load_folders import written_capacity, written_load

import voicebench
from voicebench.errors import ResultsError, UsageError


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_capacity(tmp_path_factory.mktemp("r"), at_least=2)


def test_a_search_has_its_capacity_and_its_levels(search: Path) -> None:
    found = voicebench.read_load(search)
    assert (found.kind, found.passed, str(found)[:4]) == ("capacity", True, "PASS")
    assert found.capacity is not None
    assert 2 <= found.capacity < (found.fails_at or 9)
    assert found.level is not None
    assert (found.level.callers, found.level.purpose) == (found.capacity, "confirm")
    assert found.level.load == f"{found.capacity} callers"
    assert found.level.standing == "holds"
    assert found.turns > sum(level.turns for level in found.levels) > 0


def test_a_level_has_figures_with_intervals_as_compare_has_them(search: Path) -> None:
    level = voicebench.read_load(search).level
    assert level is not None
    value, around = level.figure("first_audio_due.p50")
    assert value == level.document()["metrics"]["first_audio_due_ms"]["p50"]  # type: ignore[index]
    assert value is not None
    assert around is not None
    assert around.low is not None
    assert around.low <= value
    share, _ = level.figure("good.rate")
    assert share == level.rates["good.rate"]
    assert level.figure("nothing.p50") == (None, None)
    for name in ("good", "first_audio_due.mean", "first_audio_due.p100"):
        with pytest.raises(UsageError, match="is not a figure of a level"):
            level.figure(name)


def test_a_level_that_fails_has_not_passed(tmp_path: Path) -> None:
    found = voicebench.read_load(written_load(tmp_path, 30, for_s=240.0))
    assert (found.kind, found.passed, found.capacity, found.fails_at) == ("load", False, None, None)
    assert [level.standing for level in found.levels] == ["fails"]
    frame = pytest.importorskip("pandas") and found.frame()
    assert list(frame["callers"]) == [30]


def test_each_reader_names_the_other(search: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="read_load"):
        voicebench.read_run(search)
    with pytest.raises(ResultsError, match="is not the folder of a run under load"):
        voicebench.read_load(tmp_path)
