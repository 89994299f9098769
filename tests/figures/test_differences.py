"""Differences of two runs: pairing, intervals, and what counts as shown."""

from __future__ import annotations

import math

import numpy as np
import pytest

from voicebench.figures.differences import (
    Difference,
    mean_difference,
    pair_up,
    paired_mean_difference,
    quantile_correlation,
    recovered_difference,
)
from voicebench.figures.intervals import Interval


def test_prompts_pair_up_by_their_k_th_time() -> None:
    assert pair_up(["a", "b", "a", "c"], ["a", "a", "b", "a"]) == [(0, 0), (2, 1), (1, 2)]
    assert pair_up(["a"], ["b"]) == []


def test_the_distances_to_both_bounds_are_added_as_standard_errors() -> None:
    interval = recovered_difference((100, Interval(90, 130)), (200, Interval(196, 240)))
    assert interval.low == pytest.approx(100 - math.hypot(4, 30))
    assert interval.high == pytest.approx(100 + math.hypot(40, 10))


def test_an_open_bound_leaves_the_difference_open_on_one_side() -> None:
    interval = recovered_difference((100, Interval(90, 110)), (200, Interval(190, None)))
    assert interval.low == pytest.approx(100 - math.hypot(10, 10))
    assert interval.high is None
    assert recovered_difference((1, Interval(0, None)), (1, Interval(0, 2))).low is None


def test_pairs_that_rise_together_narrow_the_difference() -> None:
    sides = ((100, Interval(90, 110)), (100, Interval(90, 110)))
    independent, paired = recovered_difference(*sides), recovered_difference(*sides, 0.9)
    assert independent.high is not None
    assert paired.high is not None
    assert paired.high < independent.high / 2


def test_the_correlation_needs_five_turns_beyond_the_percentile() -> None:
    values = np.arange(100.0)
    assert quantile_correlation(values, values, 49.5, 49.5) == pytest.approx(1)
    assert quantile_correlation(values, values, 97, 97) == 0
    assert quantile_correlation(values, values[::-1], 49.5, 49.5) == 0


def test_paired_turns_show_what_independent_ones_hide() -> None:
    rng = np.random.default_rng(3)
    prompts = rng.normal(300, 60, 40)
    first, second = prompts + rng.normal(0, 5, 40), prompts + 10 + rng.normal(0, 5, 40)
    independent, paired = mean_difference(first, second), paired_mean_difference(first, second)
    assert independent is not None
    assert paired is not None
    assert not Difference(0, 0, 10, independent).is_shown
    assert Difference(0, 0, 10, paired).is_shown


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        (Interval(1, 2), True),
        (Interval(-2, -1), True),
        (Interval(-1, 1), False),
        (Interval(0, 1), False),
        (Interval(1, None), True),
        (Interval(None, -1), True),
        (Interval(None, None), False),
        (None, False),
    ],
)
def test_a_difference_is_shown_where_its_interval_leaves_out_zero(
    interval: Interval | None, shown: bool
) -> None:
    assert Difference(0, 0, 0, interval).is_shown is shown


def test_one_value_has_no_difference() -> None:
    assert mean_difference(np.array([1.0]), np.array([1.0, 2.0])) is None


def test_large_samples_agree_with_the_bootstrap() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.normal(300, 15, 500), rng.normal(310, 30, 500)
    boot = mean_difference(first, second)
    student = mean_difference(np.append(first, 300.0), second)
    assert boot is not None
    assert student is not None
    assert boot.low == pytest.approx(student.low, abs=0.4)
    assert boot.high == pytest.approx(student.high, abs=0.4)
