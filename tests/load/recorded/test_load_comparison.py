"""Two runs under load compared: brackets that overlap decide nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from load_folders import written_capacity, written_load

from voicebench.figures.comparison import Outcome
from voicebench.figures.intervals import Interval
from voicebench.load.recorded.level_intervals import (
    LevelFigure,
    difference,
    good_share,
    quantile_of,
)
from voicebench.load.recorded.load_comparison import (
    capacity_change,
    compare_load,
    load_comparability,
)
from voicebench.load.recorded.load_run import LoadRun, read_load_run
from voicebench.load.search import CapacityAnswer
from voicebench.results.folder import INCOMPLETE


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> LoadRun:
    return read_load_run(written_capacity(tmp_path_factory.mktemp("r"), at_least=2))


def with_answer(run: LoadRun, capacity: int | None, high: int | None) -> LoadRun:
    answer = CapacityAnswer(capacity, high, 400)
    return replace(run, replay=replace(run.replay, answer=answer))


@pytest.mark.parametrize(
    ("first", "second", "verdict", "interval"),
    [
        ((10, 12), (12, 20), "better", (1, 9)),
        ((10, 12), (11, 20), "undecided", (0, 9)),
        ((20, 30), (10, 12), "worse", (-19, -9)),
        ((20, 30), (10, 21), "undecided", (-19, 0)),
        ((20, None), (10, 12), "worse", (None, -9)),
        ((10, 12), (40, None), "better", (29, None)),
        ((10, None), (40, None), "undecided", (None, None)),
        ((None, 12), (40, None), "better", (29, None)),
        ((None, None), (40, 50), "undecided", (None, None)),
        ((10, 12), (10, 12), "undecided", (-1, 1)),
    ],
)
def test_capacities_differ_if_their_brackets_do_not_overlap(
    search: LoadRun,
    first: tuple[int | None, int | None],
    second: tuple[int | None, int | None],
    verdict: str,
    interval: tuple[int | None, int | None],
) -> None:
    found = capacity_change(with_answer(search, *first), with_answer(search, *second))
    assert (found.verdict, found.interval) == (verdict, interval)


def test_a_run_that_may_not_be_judged_decides_nothing(search: LoadRun, tmp_path: Path) -> None:
    folder = written_capacity(tmp_path, at_least=2)
    (folder / INCOMPLETE).touch()
    stopped = read_load_run(folder)
    found = capacity_change(with_answer(search, 10, 12), with_answer(stopped, 40, 50))
    assert found.verdict == "undecided"
    assert "INTERRUPTED" in found.why


def test_equal_runs_show_no_difference_at_any_level(search: LoadRun) -> None:
    compared = compare_load(search, search)
    assert compared.has_compared
    assert compared.found.refused == ()
    callers = [one.level.callers for one in compared.levels]
    assert callers == sorted(callers, key=lambda one: one or 0)
    assert {one.outcome for one in compared.levels} <= {
        Outcome.NONE_SHOWN, Outcome.TOO_FEW, Outcome.NOT_MEASURED
    }  # fmt: skip


def test_a_slower_server_is_worse_at_the_same_load(tmp_path: Path) -> None:
    slow = "sim:ttft=520ms,token=1ms,ttfb=20ms,speed=50x,words=4,slots=1,service=exp:400ms"
    first = read_load_run(written_load(tmp_path, 3))
    second = read_load_run(written_load(tmp_path, 3, **{"run.target": slow}))
    compared = compare_load(first, second)
    by_figure = {one.figure: one for one in compared.levels}
    median = by_figure["first_audio_due.p50"]
    assert median.outcome is Outcome.WORSE
    assert median.interval is not None
    assert median.interval.low is not None
    assert 0 < median.interval.low < 500 < (median.interval.high or 0)
    assert ("run.target" in str(one) for one in compared.found.shown)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"gates": ["errors.rate <= 20%"]}, "load.gates"),
        ({"think": "exp:9s"}, "load.think"),
        ({"quick": True}, "load.quick"),
    ],
)
def test_runs_that_mean_other_things_are_refused(
    tmp_path: Path, given: dict[str, Any], named: str
) -> None:
    first = read_load_run(written_load(tmp_path, 3))
    second = read_load_run(written_load(tmp_path, 3, **given))
    assert named in load_comparability(first, second).refused[0]


def test_a_search_and_a_level_are_refused(search: LoadRun, tmp_path: Path) -> None:
    level = read_load_run(written_load(tmp_path, 3))
    assert "kind: capacity → load" in load_comparability(search, level).refused[0]


def test_levels_of_other_loads_are_not_compared(tmp_path: Path) -> None:
    first, second = (read_load_run(written_load(tmp_path, callers)) for callers in (3, 4))
    compared = compare_load(first, second)
    assert compared.levels == ()
    assert not compared.has_compared


def test_intervals_are_wider_than_those_of_independent_turns(tmp_path: Path) -> None:
    [level] = read_load_run(written_load(tmp_path, 25)).levels
    share = good_share(level, level.rule.gates)
    median = quantile_of(level, "first_audio_due_ms", 50)
    assert share is not None
    assert median is not None
    for figure in (share, median):
        assert figure.effective_n < level.held.measured.n
        assert figure.interval.low is not None
        assert figure.interval.high is not None
        assert figure.interval.low < figure.value < figure.interval.high
    assert quantile_of(level, "client_lag_ms", 50) is None


def test_the_interval_of_a_difference_is_open_where_a_figure_is() -> None:
    known = LevelFigure(10.0, Interval(7.0, 14.0), 100)
    half = LevelFigure(20.0, Interval(18.0, None), 100)
    found = difference(known, half)
    assert found.high is None
    assert found.low == pytest.approx(10 - (2**2 + 4**2) ** 0.5)
