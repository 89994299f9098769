"""Regressions: shown and as large as allowed fails; small, unshown and better ones do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from drawn_turns import failed_turn, turn_with_first_audio

from voicebench.columns import columns_of
from voicebench.comparison import Side, side_of
from voicebench.figures import parse_figure
from voicebench.gates import Verdict
from voicebench.regression import RegressionResult, check_regressions, family_level

MEAN = parse_figure("first_audio.mean")


def side(values: Sequence[float], failures: int = 0) -> Side:
    turns = [turn_with_first_audio(value) for value in values] + [failed_turn()] * failures
    return side_of(columns_of(turns), {}, {})


def noisy(middle: float, seed: int, spread: float = 15, n: int = 30) -> Side:
    return side(np.random.default_rng(seed).normal(middle, spread, n).tolist())


def check(figure: str, first: Side, second: Side, **how: bool) -> RegressionResult:
    [result] = check_regressions([parse_figure(figure)], first, second, allowed=0.1, **how)
    return result


@pytest.mark.parametrize("figure", ["first_audio.mean", "first_audio.p50"])
@pytest.mark.parametrize(
    ("now", "verdict"), [(330, Verdict.FAIL), (300, Verdict.PASS), (250, Verdict.PASS)]
)
def test_a_shown_shift_of_the_allowed_size_fails(figure: str, now: float, verdict: Verdict) -> None:
    assert check(figure, noisy(300, 1), noisy(now, 2)).verdict is verdict


def test_a_shown_shift_that_is_certainly_smaller_passes_and_is_told() -> None:
    result = check("first_audio.mean", noisy(300, 1, 3), noisy(310, 2, 3))
    assert (result.verdict, result.note) == (Verdict.PASS, "worse, by less than is allowed")


def test_noise_that_could_hide_a_regression_passes_or_is_undecided() -> None:
    first, second = noisy(300, 1, 150, 10), noisy(310, 3, 150, 10)
    assert check("first_audio.mean", first, second).verdict is Verdict.PASS
    undecided = check("first_audio.mean", first, second, decide=True)
    assert undecided.verdict is Verdict.UNDECIDED
    assert undecided.note == "10 % cannot be ruled out with so few turns"


def test_a_p95_of_few_turns_is_compared_by_the_median() -> None:
    result = check("first_audio.p95", noisy(300, 1), noisy(330, 2))
    assert result.compared.figure.name == "first_audio.p50"
    assert result.note == "too few turns to compare p95"
    assert result.verdict is Verdict.FAIL


def test_a_p95_of_many_turns_is_compared_by_itself() -> None:
    result = check("first_audio.p95", noisy(300, 1, n=200), noisy(360, 2, n=200))
    assert result.compared.figure.name == "first_audio.p95"
    assert result.verdict is Verdict.FAIL


def test_failed_turns_are_compared_in_points() -> None:
    assert check("errors.rate", side([1] * 30), side([1] * 15, 15)).verdict is Verdict.FAIL
    assert check("errors.rate", side([1] * 30), side([1] * 30)).verdict is Verdict.PASS


def test_fewer_turns_under_a_limit_are_worse() -> None:
    fast, slow = side([100] * 30), side([100] * 10 + [400] * 20)
    assert check("first_audio.under(300ms)", fast, slow).verdict is Verdict.FAIL
    assert check("first_audio.under(300ms)", slow, fast).verdict is Verdict.PASS


def test_a_figure_that_only_the_baseline_shows_was_lost() -> None:
    from drawn_turns import drawn_turn

    with_tokens = side_of(columns_of([drawn_turn(tokens=[5], audio=[(9, 100)])] * 9), {}, {})
    without = side([9] * 9)
    assert check("llm_ttft.mean", with_tokens, without).verdict is Verdict.NOT_MEASURED
    assert check("llm_ttft.mean", without, with_tokens).verdict is Verdict.PASS


def test_extremes_are_not_compared_and_doubles_are_asked_once() -> None:
    figures = [parse_figure(f"first_audio.{name}") for name in ("max", "p95", "p50", "p95")]
    results = check_regressions(figures, noisy(300, 1), noisy(300, 2), allowed=0.1)
    assert [result.compared.figure.name for result in results] == ["first_audio.p50"]


@pytest.mark.parametrize(("figures", "level"), [(1, 0.95), (2, 0.95), (4, 0.975), (10, 0.99)])
def test_more_figures_need_wider_intervals(figures: int, level: float) -> None:
    assert family_level(figures) == pytest.approx(level)


@pytest.mark.slow
def test_no_difference_raises_few_alarms_and_a_tenth_is_found() -> None:
    # A small sample of benchmarks/interval_coverage.py: 5 % noise, 30 turns.
    alarms = [check("first_audio.mean", noisy(300, s), noisy(300, s + 500)) for s in range(40)]
    finds = [check("first_audio.mean", noisy(300, s), noisy(330, s + 500)) for s in range(40)]
    assert sum(result.verdict is Verdict.FAIL for result in alarms) <= 5
    assert sum(result.verdict is Verdict.FAIL for result in finds) >= 36
