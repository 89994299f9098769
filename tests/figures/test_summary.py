"""Distributions of drawn turns: what enters them, and what a percentile may be called."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from drawn_turns import drawn_turn, failed_turn, turn_with_first_audio

from voicebench.events import Phase
from voicebench.figures.metrics import METRICS
from voicebench.figures.summary import Distribution, Summary, carries, percentile, summarize


def under_300(value: float) -> bool:
    return value < 300


def summary_of(*first_audio_ms: float) -> Summary:
    return summarize([turn_with_first_audio(ms) for ms in first_audio_ms])


def first_audio(summary: Summary) -> Distribution:
    return summary.metrics["first_audio_ms"]


# Percentiles.


@pytest.mark.parametrize(
    ("values", "q", "by_hand"),
    [
        ((10,), 50, 10),
        ((10, 20), 50, 15),
        ((30, 10, 20), 50, 20),
        ((10, 20, 30, 40), 50, 25),
        ((0, 10, 20, 30, 40), 90, 36),  # 0.9 of four steps is 3.6 steps
        (range(0, 101), 95, 95),
        (range(1, 21), 95, 19.05),
    ],
)
def test_a_percentile_interpolates_linearly(
    values: Sequence[float], q: float, by_hand: float
) -> None:
    assert percentile(values, q) == pytest.approx(by_hand)
    assert percentile(values, q) == np.percentile(list(values), q)


@pytest.mark.parametrize(
    ("q", "needed"),
    [(50, 2), (75, 4), (90, 10), (95, 20), (99, 100), (99.5, 200), (99.9, 1000)],
)
def test_a_percentile_is_carried_from_one_over_its_tail_on(q: float, needed: int) -> None:
    assert carries(needed, q)
    assert not carries(needed - 1, q)


def test_nothing_carries_the_hundredth_percentile() -> None:
    assert not carries(10**9, 100)


def test_p95_of_five_turns_is_their_maximum_and_is_called_so() -> None:
    distribution = first_audio(summary_of(100, 110, 120, 130, 500))
    assert distribution.quantile(95) == (500, False)
    assert distribution.as_dict()["limited"] == ["p90", "p95", "p99"]


def test_p99_of_71_turns_is_their_maximum_and_is_called_so() -> None:
    distribution = Distribution(tuple(range(71)), missing=0)
    assert distribution.quantile(99) == (70, False)
    value, at_most = distribution.quantile(95)
    assert value == pytest.approx(66.5)
    assert at_most
    assert distribution.as_dict()["limited"] == ["p99"]


def test_a_missing_value_carries_no_percentile() -> None:
    nineteen_of_twenty = Distribution(tuple(range(19)), missing=1)
    assert nineteen_of_twenty.quantile(95) == (18, False)


def test_one_hundred_turns_limit_nothing() -> None:
    assert Distribution(tuple(range(100)), missing=0).as_dict()["limited"] == []


# What enters.


@pytest.mark.parametrize("other", ["cold", "warmup", "idle"])
def test_turns_of_another_phase_never_enter_the_statistics(other: Phase) -> None:
    turns = [
        turn_with_first_audio(9000, phase=other),
        turn_with_first_audio(100),
        failed_turn(phase=other),
        turn_with_first_audio(120),
    ]
    summary = summarize(turns)
    assert (summary.turns, summary.failed) == (2, 0)
    assert first_audio(summary).values == (100, 120)
    assert first_audio(summary).mean() == 110


def test_each_phase_has_a_statistic_of_its_own() -> None:
    turns = [turn_with_first_audio(9000, phase="cold"), turn_with_first_audio(100)]
    assert first_audio(summarize(turns, "cold")).values == (9000,)
    assert first_audio(summarize(turns, "warmup")).n == 0


def test_failed_turns_stay_in_n_and_in_the_error_rate_and_lend_no_figure() -> None:
    summary = summarize([turn_with_first_audio(100), failed_turn(), turn_with_first_audio(120)])
    assert (summary.turns, summary.failed) == (3, 1)
    assert summary.error_rate == pytest.approx(1 / 3)
    assert first_audio(summary).n == 3
    assert first_audio(summary).missing == 1
    assert first_audio(summary).values == (100, 120)  # not the 1 ms of the failed turn
    assert first_audio(summary).as_dict()["min"] == 100


def test_a_turn_too_slow_to_be_pretty_is_kept() -> None:
    values = [100.0] * 30 + [60_000.0]
    assert first_audio(summary_of(*values)).values == tuple(values)
    assert first_audio(summary_of(*values)).as_dict()["max"] == 60_000


def test_a_metric_that_only_some_turns_show_counts_the_others_as_missing() -> None:
    summary = summarize([drawn_turn(tokens=(50,), audio=((100, 10),)), turn_with_first_audio(120)])
    assert summary.metrics["llm_ttft_ms"].values == (50,)
    assert summary.metrics["llm_ttft_ms"].missing == 1
    assert first_audio(summary).missing == 0
    assert summary.failed == 0


def test_a_zero_is_a_value_and_not_a_missing_one() -> None:
    stalls = summary_of(100, 120).metrics["stall_count"]
    assert stalls.values == (0, 0)
    assert stalls.mean() == 0
    assert stalls.as_dict()["max"] == 0


def test_every_metric_has_a_distribution() -> None:
    assert list(summary_of(100).metrics) == [metric.name for metric in METRICS]


# Nothing measured.


def test_without_turns_there_are_no_figures_and_no_error_rate() -> None:
    summary = summarize([])
    assert summary.turns == 0
    assert summary.error_rate is None
    assert first_audio(summary).n == 0
    assert first_audio(summary).share(under_300) is None


def test_a_distribution_without_values_has_none_everywhere() -> None:
    assert Distribution((), missing=4).as_dict() == {
        "n": 4,
        "missing": 4,
        "mean": None,
        "stdev": None,
        "min": None,
        "p50": None,
        "p90": None,
        "p95": None,
        "p99": None,
        "max": None,
        "limited": [],
    }


def test_when_every_turn_failed_the_error_rate_is_one_and_no_figure_is_left() -> None:
    summary = summarize([failed_turn(), failed_turn()])
    assert summary.error_rate == 1
    assert first_audio(summary).mean() is None
    assert first_audio(summary).quantile(50) == (None, False)
    assert first_audio(summary).share(under_300) == 0


# The other figures.


def test_the_figures_of_eight_drawn_turns() -> None:
    # First audio of the reference sprint's eight runs.
    figures = first_audio(summary_of(338, 301, 252, 295, 286, 301, 310, 361)).as_dict()
    assert figures["n"] == 8
    assert figures["mean"] == pytest.approx(305.5)
    assert figures["stdev"] == pytest.approx((7550 / 7) ** 0.5)
    assert figures["min"] == 252
    assert figures["p50"] == 301
    assert figures["max"] == figures["p95"] == 361
    assert figures["limited"] == ["p90", "p95", "p99"]


def test_three_of_the_eight_are_under_300() -> None:
    summary = summary_of(338, 301, 252, 295, 286, 301, 310, 361)
    assert first_audio(summary).share(under_300) == 0.375


def test_a_value_at_the_limit_is_not_under_it() -> None:
    assert first_audio(summary_of(299.999, 300)).share(under_300) == 0.5


def test_a_failed_turn_is_not_under_any_limit() -> None:
    summary = summarize([turn_with_first_audio(100), failed_turn()])
    assert first_audio(summary).share(under_300) == 0.5


def test_one_value_has_no_deviation() -> None:
    assert Distribution((100.0,), missing=0).deviation() is None
    assert Distribution((100.0, 100.0), missing=0).deviation() == 0


def test_the_figures_can_be_written_as_strict_json() -> None:
    for summary in (summarize([]), summary_of(100), summary_of(*range(30))):
        for distribution in summary.metrics.values():
            json.dumps(distribution.as_dict(), allow_nan=False)
