from __future__ import annotations

import pytest
from drawn_turns import drawn_turn

from benchmarks.first_audio.ratios import figure, ratio, values_of
from voicebench.turn.timeline import Failure

FAILED = drawn_turn(end=5, failure=Failure("broken", "engine", "tts"))


def test_a_row_that_always_takes_twice_as_long_has_a_ratio_of_two_without_doubt() -> None:
    fast = [10.0, 20.0, 30.0, 80.0]
    found = ratio([2 * value for value in fast], fast, 50)
    assert found is not None
    assert found.ratio == pytest.approx(2)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((2, 2))


def test_the_ratio_is_that_of_the_percentiles_and_not_a_mean_of_ratios() -> None:
    found = ratio([100.0, 200.0, 900.0], [10.0, 50.0, 60.0], 50)
    assert found is not None
    assert found.ratio == pytest.approx(200 / 50)


def test_the_interval_holds_the_ratio_and_widens_with_the_spread() -> None:
    fast = [50.0 + (7 * step) % 10 for step in range(30)]
    near = ratio([100.0 + (3 * step) % 10 for step in range(30)], fast, 50)
    far = ratio([100.0 + 9 * ((3 * step) % 10) for step in range(30)], fast, 50)
    widths = []
    for found in (near, far):
        assert found is not None
        assert found.interval is not None
        low, high = found.interval.low, found.interval.high
        assert low is not None
        assert high is not None
        assert low <= found.ratio <= high
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]


def test_the_same_turns_give_the_same_interval() -> None:
    slow, fast = [3.0, 5.0, 9.0], [1.0, 2.0, 3.0]
    assert ratio(slow, fast, 95) == ratio(slow, fast, 95)


def test_a_prompt_that_failed_in_one_row_counts_for_neither() -> None:
    found = ratio([None, 30.0, 30.0], [1000.0, 10.0, 10.0], 50)
    assert found is not None
    assert found.ratio == pytest.approx(3)
    assert ratio([None, 30.0], [10.0, None], 50) is None


def test_one_prompt_has_a_ratio_and_no_interval() -> None:
    found = ratio([30.0], [10.0], 50)
    assert found is not None
    assert found.interval is None


def test_a_failed_turn_has_no_figures_and_leaves_those_of_the_others() -> None:
    turns = [drawn_turn(audio=[(40, 100)]), FAILED, drawn_turn(audio=[(60, 100)])]
    assert values_of(turns, "first_audio_ms") == [40, None, 60]
    assert figure(turns, "first_audio_ms", 50) == 50
    assert figure([FAILED], "first_audio_ms", 50) is None
