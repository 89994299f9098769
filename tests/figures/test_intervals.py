"""Intervals: hand-computed bounds, open ends, and a small sample of their coverage."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from voicebench.figures.intervals import (
    BOOTSTRAP_UP_TO,
    Interval,
    is_doubtful_mean,
    mean_interval,
    percentile_interval,
    share_interval,
    values_to_bound,
)


def test_six_values_bound_the_median_by_nearly_their_extremes() -> None:
    # P(all six above) is 1/64 = 1.6 %, under the 2.5 % that may be missed on each side.
    interval = percentile_interval([10, 20, 30, 40, 50, 60], 50)
    assert interval is not None
    assert interval.low is not None
    assert interval.high is not None
    assert 10 < interval.low < 20
    assert 50 < interval.high < 60
    assert interval.low - 10 == pytest.approx(60 - interval.high)


def test_five_values_bound_no_median() -> None:
    assert percentile_interval([10, 20, 30, 40, 50], 50) == Interval(None, None)


def test_an_interpolated_bound_lies_where_nyblom_puts_it() -> None:
    # n = 6, p = 1/2: P(X5 > median) = 57/64, P(X6 > median) = 63/64; wanted 0.975.
    given, missing = 0.975 - 57 / 64, 63 / 64 - 0.975
    step = 1 / (1 + 5 * 0.5 * missing / (1 * 0.5 * given))
    interval = percentile_interval([10, 20, 30, 40, 50, 60], 50)
    assert interval is not None
    assert interval.high == pytest.approx(50 + 10 * step)


@pytest.mark.parametrize(("n", "closed"), [(20, False), (71, False), (72, True), (200, True)])
def test_the_p95_is_open_above_until_72_turns(n: int, closed: bool) -> None:
    interval = percentile_interval([float(value) for value in range(n)], 95)
    assert interval is not None
    assert interval.low is not None
    assert (interval.high is not None) is closed
    assert interval.is_closed is closed


@pytest.mark.parametrize(("q", "n"), [(50, 6), (95, 72), (5, 72), (99, 368), (90, 36)])
def test_how_many_turns_bound_a_percentile(q: float, n: int) -> None:
    assert values_to_bound(q) == n
    values = [float(value) for value in range(n)]
    bounded, unbounded = percentile_interval(values, q), percentile_interval(values[1:], q)
    assert bounded is not None
    assert unbounded is not None
    assert bounded.is_closed
    assert not unbounded.is_closed


def test_percentile_intervals_mirror() -> None:
    values = [float(value) ** 2 for value in range(100)]
    up, down = percentile_interval(values, 90), percentile_interval([-v for v in values], 10)
    assert up is not None
    assert down is not None
    assert up.low is not None
    assert up.high is not None
    assert down.low == pytest.approx(-up.high)
    assert down.high == pytest.approx(-up.low)


def test_equal_values_have_a_point_for_an_interval() -> None:
    for interval in (mean_interval([5.0] * 10), percentile_interval([5.0] * 10, 50)):
        assert interval is not None
        assert (interval.low, interval.high) == (5, 5)


def test_too_few_values_have_no_interval() -> None:
    assert mean_interval([1.0]) is None
    assert mean_interval([]) is None
    assert percentile_interval([], 50) is None
    assert share_interval(0, 0) is None


def test_the_same_values_give_the_same_interval() -> None:
    values = [200.0, 210, 250, 190, 205, 400]
    assert mean_interval(values) == mean_interval(values)


def test_the_bootstrap_has_become_students_t_where_it_hands_over() -> None:
    values = np.random.default_rng(1).normal(300, 15, BOOTSTRAP_UP_TO).tolist()
    boot, student = mean_interval(values), mean_interval([*values, float(np.mean(values))])
    assert boot is not None
    assert student is not None
    assert boot.low is not None
    assert boot.high is not None
    assert student.low is not None
    assert student.high is not None
    assert boot.high - boot.low == pytest.approx(student.high - student.low, rel=0.05)


def test_no_error_in_twenty_turns_may_still_be_sixteen_percent() -> None:
    # Wilson by hand: z² / (n + z²) with z = 1.96.
    interval = share_interval(0, 20)
    assert interval is not None
    assert interval.low == 0
    assert interval.high is not None
    assert interval.high == pytest.approx(3.8415 / 23.8415, abs=1e-4)
    whole = share_interval(20, 20)
    assert whole is not None
    assert whole.high == 1
    assert whole.low == pytest.approx(1 - interval.high)


def test_a_higher_level_is_wider() -> None:
    values = [float(value) for value in range(200)]
    for q in (50, 90):
        narrow, wide = (percentile_interval(values, q, level) for level in (0.9, 0.99))
        assert narrow is not None
        assert wide is not None
        assert wide.low is not None
        assert wide.high is not None
        assert wide.low < (narrow.low or 0)
        assert wide.high > (narrow.high or math.inf)


Draw = Callable[[np.random.Generator, int], np.ndarray]


@pytest.mark.parametrize(
    ("draw", "mean", "median"),
    [
        (lambda rng, n: rng.normal(300, 15, n), 300, 300),
        (lambda rng, n: 300 * np.exp(rng.normal(0, 0.25, n)), 300 * math.exp(0.03125), 300),
    ],
    ids=["normal", "lognormal"],
)
def test_intervals_cover_what_they_say(draw: Draw, mean: float, median: float) -> None:
    # 200 repetitions: 95 % ± 4.6 % is three standard errors;
    # benchmarks/interval_coverage.py has 1,000.
    rng = np.random.default_rng(7)
    samples = [draw(rng, 20).tolist() for _ in range(200)]
    for truth, interval_of in (
        (mean, mean_interval),
        (median, lambda values: percentile_interval(values, 50)),
    ):
        intervals = [interval_of(sample) for sample in samples]
        covering = sum(covers(interval, truth) for interval in intervals)
        assert 0.904 <= covering / len(samples) <= 0.996


def covers(interval: Interval | None, truth: float) -> bool:
    assert interval is not None
    assert interval.low is not None
    assert interval.high is not None
    return interval.low <= truth <= interval.high


def test_the_mean_of_few_skewed_values_is_doubted() -> None:
    skewed = [1.0] * 15 + [2.0] * 3 + [9.0, 12.0]
    assert is_doubtful_mean(skewed)
    assert not is_doubtful_mean(skewed * 2)
    assert not is_doubtful_mean([-value for value in skewed])
    assert not is_doubtful_mean(range(20))
    assert not is_doubtful_mean([5.0] * 10)
    assert not is_doubtful_mean([])
