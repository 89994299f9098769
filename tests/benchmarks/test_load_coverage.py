"""The coverage of levels and searches, on a few seeds of the benchmark."""

from __future__ import annotations

import pytest

from benchmarks.load_coverage import SHARE, SHORT_S, SMALL, brackets, coverage, standings
from voicebench.load.level_rule import LevelStanding


def test_the_capacity_of_the_formula_is_where_the_share_is_crossed() -> None:
    true = SMALL.capacity()
    assert true == 18
    assert SMALL.truth(true) >= SHARE > SMALL.truth(true + 1)


@pytest.mark.slow
def test_searches_bracket_the_true_capacity() -> None:
    found = brackets(SMALL, 5)
    assert (found.false_holds, found.false_fails) == (0, 0)
    assert found.bracketed == 5
    assert 9 <= found.median <= 18 < found.median_high


@pytest.mark.slow
def test_naive_intervals_miss_what_the_bounds_of_a_level_include() -> None:
    found = coverage(SMALL, SMALL.capacity(), 20)
    assert found.sequence >= 0.9
    assert found.naive < found.widened <= found.sequence
    assert found.inflation > 1.5


@pytest.mark.slow
def test_a_level_above_the_capacity_is_not_found_to_hold() -> None:
    results = standings(SMALL, SMALL.capacity() + 1, 12)
    assert results[LevelStanding.HOLDS] <= 1
    crowded = standings(SMALL, 2 * SMALL.capacity(), 4)
    assert crowded[LevelStanding.FAILS] == 4


def test_no_short_level_of_a_queue_that_is_far_from_full_fails() -> None:
    results = standings(SMALL, 8, 100, SHORT_S)
    assert results[LevelStanding.FAILS] == 0
    assert results[LevelStanding.HOLDS] > 30
