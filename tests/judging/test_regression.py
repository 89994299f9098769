"""The baseline: what is compared, what fails, and what the turns do not show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from drawn_turns import drawn_turn, failed_turn, turn_with_first_audio

from voicebench.figures.columns import columns_of
from voicebench.figures.comparison import Outcome, Side, compare, side_of
from voicebench.figures.figure import parse_figure
from voicebench.judging.gates import Verdict
from voicebench.judging.regression import (
    USUAL,
    RegressionResult,
    Regressions,
    check_regressions,
    family_level,
)

MEAN = parse_figure("first_audio.mean")


def side(values: Sequence[float], failures: int = 0) -> Side:
    turns = [turn_with_first_audio(value) for value in values] + [failed_turn()] * failures
    return side_of(columns_of(turns), {}, {})


def apart(values: Sequence[float], name: str) -> Side:
    """A side whose prompts are its own, so that no turn pairs up with one of another side."""
    turns = [
        replace(turn_with_first_audio(value), prompt=f"{name} {number}")
        for number, value in enumerate(values)
    ]
    return side_of(columns_of(turns), {}, {})


def noisy(middle: float, seed: int, spread: float = 15, n: int = 30) -> Side:
    return side(np.random.default_rng(seed).normal(middle, spread, n).tolist())


def against(figures: Sequence[str], first: Side, second: Side, **how: bool) -> Regressions:
    wanted = [parse_figure(figure) for figure in figures]
    return check_regressions(wanted, first, second, allowed=0.1, **how)


def check(figure: str, first: Side, second: Side, **how: bool) -> RegressionResult:
    results = against([figure], first, second, **how).results
    if figure.startswith("errors"):
        [result] = [one for one in results if one.compared.figure.name == figure]
    else:
        [result] = results
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


# A difference beyond its limit that the turns do not show.

WIDE = [180.0, 220, 250, 280, 300, 330, 360, 420]


@pytest.mark.parametrize("decide", [False, True])
@pytest.mark.parametrize("figure", ["first_audio.mean", "first_audio.p50"])
def test_a_change_beyond_its_limit_that_the_interval_does_not_carry_is_not_shown(
    figure: str, decide: bool
) -> None:
    first = apart(WIDE, "a")
    second = apart([1.36 * value for value in (180, 520, 150, 180, 480, 300, 250, 280)], "b")
    result = check(figure, first, second, decide=decide)
    assert result.compared.outcome is Outcome.NONE_SHOWN
    assert result.verdict is Verdict.NOT_SHOWN
    needed = result.compared.turns_needed
    assert needed is not None
    assert needed > 8
    assert result.note == f"too few turns to show it: about {needed} turns in each run would decide"
    assert result.as_dict()["turns_needed"] == needed


def test_a_better_change_or_one_within_its_limit_is_no_such_case() -> None:
    slow, fast = apart([1.3 * value for value in WIDE], "a"), apart(WIDE, "b")
    assert check("first_audio.mean", slow, fast).verdict is Verdict.PASS
    result = check("first_audio.mean", fast, apart([1.05 * value for value in WIDE], "c"))
    assert result.compared.outcome is Outcome.NONE_SHOWN
    assert result.verdict is Verdict.PASS


def test_of_a_figure_that_was_zero_any_worsening_is_larger_than_allowed() -> None:
    smooth = drawn_turn(audio=[(100, 100)])
    stalling = drawn_turn(audio=[(100, 100), (300, 100)])
    before = side_of(columns_of([smooth] * 10), {}, {})
    now = side_of(columns_of([smooth] * 9 + [stalling]), {}, {})
    result = check("stall_ms.mean", before, now)
    assert result.compared.first == 0
    assert result.verdict is Verdict.NOT_SHOWN
    assert check("stall_ms.mean", now, before).verdict is Verdict.PASS


def test_a_change_within_the_instruments_own_error_is_none_that_is_not_shown() -> None:
    first = apart([value / 1e4 for value in WIDE], "a")
    second = apart([1.2 * value / 1e4 for value in WIDE], "b")
    blurred = {"instrument": {"p50_ms": 0.05}}
    for environment, verdict in (({}, Verdict.NOT_SHOWN), (blurred, Verdict.PASS)):
        before, now = (replace(one, environment=environment) for one in (first, second))
        figure = parse_figure("first_audio.p50")
        compared = compare([figure], before, now)[0]
        assert compared.outcome is Outcome.NONE_SHOWN
        assert check("first_audio.p50", before, now).verdict is verdict


def test_a_change_that_is_shown_to_lie_within_the_instruments_error_is_no_regression() -> None:
    first, second = apart([0.02] * 8, "a"), apart([0.03] * 8, "b")
    assert check("first_audio.p50", first, second).verdict is Verdict.FAIL
    blurred = [
        replace(one, environment={"instrument": {"p50_ms": 0.05}}) for one in (first, second)
    ]
    result = check("first_audio.p50", *blurred)
    assert (result.verdict, result.note) == (
        *(Verdict.PASS, "worse, by less than the instrument's own error (0.05 ms)"),
    )
    slower = replace(apart([0.2] * 8, "b"), environment=blurred[1].environment)
    assert check("first_audio.p50", blurred[0], slower).verdict is Verdict.FAIL


def test_a_number_of_turns_that_no_run_takes_is_not_named() -> None:
    odd = [step % 2 for step in range(12)]
    first = apart([100.0 + 80 * one for one in odd], "a")
    second = apart([100.0 + 80 * one + 0.06 for one in odd], "b")
    result = check_regressions([MEAN], first, second, allowed=0.0).results[0]
    assert result.verdict is Verdict.NOT_SHOWN
    assert result.note == (
        "too few turns to show it, and more than 100,000 in each run would be needed"
    )


def test_more_failed_turns_than_allowed_that_are_not_shown_are_told() -> None:
    result = check("errors.rate", side([1.0] * 8), side([1.0] * 6, failures=2))
    assert result.verdict is Verdict.NOT_SHOWN


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("now", [300.0, 500.0])
def test_turns_too_few_for_any_interval_pass_nothing(n: int, now: float) -> None:
    result = check("first_audio.p50", apart([300.0] * n, "a"), apart([now] * n, "b"))
    assert result.verdict is (Verdict.NOT_SHOWN if now > 330 else Verdict.UNDECIDED)
    assert "at least 6 turns in each run would decide" in result.note


@pytest.mark.slow
@pytest.mark.parametrize("figure", ["first_audio.mean", "first_audio.p50"])
def test_so_many_turns_as_it_says_do_show_the_change(figure: str) -> None:
    rng, wanted = np.random.default_rng(4), parse_figure(figure)
    # Seven turns with a deviation of 60 ms, and seven that are all 30 ms later.
    even = np.array([-1.35, -0.76, -0.35, 0, 0.35, 0.76, 1.35])
    before = 300 + 60 * even / even.std(ddof=1)
    [compared] = compare([wanted], apart(before.tolist(), "a"), apart((before + 30).tolist(), "b"))
    n = compared.turns_needed
    assert n is not None
    found = 0
    for _ in range(60):
        runs = [apart(rng.normal(300 + shift, 60, n).tolist(), f"{shift}") for shift in (0, 30)]
        found += compare([wanted], runs[0], runs[1])[0].outcome is Outcome.WORSE
    assert found >= 45  # 54 expected


# What is compared.


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


@pytest.mark.parametrize("share", ["under", "within"])
def test_fewer_turns_under_a_limit_are_worse(share: str) -> None:
    fast, slow = side([100] * 30), side([100] * 10 + [400] * 20)
    assert check(f"first_audio.{share}(300ms)", fast, slow).verdict is Verdict.FAIL
    assert check(f"first_audio.{share}(300ms)", slow, fast).verdict is Verdict.PASS


def test_a_figure_that_only_the_baseline_shows_was_lost() -> None:
    with_tokens = side_of(columns_of([drawn_turn(tokens=[5], audio=[(9, 100)])] * 9), {}, {})
    without = side([9] * 9)
    assert check("llm_ttft.mean", with_tokens, without).verdict is Verdict.NOT_MEASURED


def test_a_figure_that_the_baseline_does_not_show_is_not_compared_and_that_is_said() -> None:
    with_tokens = side_of(columns_of([drawn_turn(tokens=[5], audio=[(9, 100)])] * 9), {}, {})
    found = against(["llm_ttft.mean", "first_audio.mean"], side([9] * 9), with_tokens)
    assert [result.compared.figure.name for result in found.results] == ["first_audio.mean"]
    assert found.left_out == ("llm_ttft.mean is not compared: the baseline does not show it",)


def test_extremes_are_compared_by_the_median_and_doubles_are_asked_once() -> None:
    figures = [f"first_audio.{name}" for name in ("max", "p95", "p50", "p95")]
    found = against(figures, noisy(300, 1), noisy(300, 2))
    assert [result.compared.figure.name for result in found.results] == ["first_audio.p50"]
    assert found.results[0].note == (
        "the median replaces max, which has no interval; too few turns to compare p95"
    )


@pytest.mark.parametrize("statistic", ["min", "max", "stdev"])
def test_a_slower_run_fails_though_its_gate_has_no_interval(statistic: str) -> None:
    assert check(f"first_audio.{statistic}", noisy(300, 1), noisy(330, 2)).verdict is Verdict.FAIL


def test_a_metric_of_which_neither_way_is_better_is_left_out() -> None:
    found = against(["audio_s.mean", "first_audio.mean"], noisy(300, 1), noisy(300, 2))
    assert found.left_out == ("audio_s.mean is not compared: neither way is better",)
    assert [one.compared.figure.name for one in found.results] == ["first_audio.mean"]


@pytest.mark.parametrize("gated", [(), ("errors.rate",), ("audio_s.mean",), ("llm_ttft.p50",)])
def test_where_the_gates_do_not_say_how_fast_the_usual_figures_are_compared(
    gated: Sequence[str],
) -> None:
    found = against(gated, noisy(300, 1), noisy(330, 2))
    names = [one.compared.figure.name for one in found.results]
    assert names == ["first_audio.p50", "first_sound.p50", "gapless_start.p50", "errors.rate"]
    assert found.results[0].verdict is Verdict.FAIL
    assert found.results[0].note == ""
    assert {figure.name for figure in USUAL} >= set(names)


def test_of_a_baseline_without_a_turn_nothing_is_compared() -> None:
    assert against(["errors.rate", "first_audio.p50"], side([]), noisy(300, 1)).results == ()


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
