"""Distributions: what is written is what is drawn."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.errors import UsageError
from voicebench.load.distributions import (
    CountDistribution,
    DurationDistribution,
    read_count,
    read_duration,
)

GRID = [(index + 0.5) / 20_000 for index in range(20_000)]
"""Points that cover the range evenly: the mean over them is the distribution's mean."""

TEXTS = ("2s", "fixed:1500ms", "exp:1.2s", "uniform:1s:3s", "lognormal:2.5s:0.5", "lognormal:2s:0")


@pytest.mark.parametrize("text", TEXTS)
def test_the_mean_of_the_draws_is_the_written_mean(text: str) -> None:
    found = read_duration(text, "think")
    mean = sum(map(found.draw, GRID)) / len(GRID)
    assert mean == pytest.approx(found.mean_s, rel=0.002)


@pytest.mark.parametrize("text", TEXTS)
def test_a_pause_met_at_random_is_longer_in_proportion_to_itself(text: str) -> None:
    found = read_duration(text, "think")
    squares = sum(found.draw(u) ** 2 for u in GRID) / len(GRID)
    # exp needs two numbers: a second, independent grid is a shuffled one.
    other = GRID[:]
    met = sum(
        found.draw_running(u, other[(index * 7919) % len(other)]) for index, u in enumerate(GRID)
    ) / len(GRID)
    assert met == pytest.approx(squares / found.mean_s, rel=0.01)


@given(st.floats(1e-9, 1 - 1e-9), st.floats(1e-9, 1 - 1e-9))
def test_draws_grow_with_their_number(first: float, second: float) -> None:
    low, high = sorted((first, second))
    for text in TEXTS:
        found = read_duration(text, "think")
        assert 0 <= found.draw(low) <= found.draw(high) < math.inf
        assert found.draw_running(low, high) >= 0


@pytest.mark.parametrize("text", ["6", "fixed:6", "geometric:6", "uniform:2:10", "geometric:1"])
def test_counts_have_their_mean_and_begin_at_one(text: str) -> None:
    found = read_count(text, "turns")
    drawn = [found.draw(u) for u in GRID]
    assert min(drawn) >= 1
    assert sum(drawn) / len(drawn) == pytest.approx(found.mean, rel=0.002)


@pytest.mark.parametrize("text", ["6", "geometric:6", "uniform:2:10"])
@given(st.floats(1e-9, 1 - 1e-9), st.floats(1e-9, 1 - 1e-9))
def test_a_running_call_has_turns_left(text: str, u: float, v: float) -> None:
    length, past = read_count(text, "turns").draw_running(u, v)
    assert 0 <= past < length


def test_long_calls_are_met_more_often() -> None:
    found = CountDistribution("uniform", 1, 2)
    lengths = [found.draw_running(u, 0.5)[0] for u in GRID]
    assert lengths.count(2) / len(lengths) == pytest.approx(2 / 3, abs=0.001)


@pytest.mark.parametrize(
    "text",
    [
        "", "exp", "exp:", "exp:1.2", "exp:-1s", "exp:1s:2s", "uniform:3s:1s", "uniform:1s",
        "lognormal:1s", "lognormal:1s:9", "gauss:1s", "2h", "1e9s", "nan", "exp:99999s", "3601s",
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"think.*write for example"):
        read_duration(text, "think")


@pytest.mark.parametrize("text", ["", "0", "1.5", "geometric:0", "uniform:5:2", "exp:3", "99999"])
def test_what_is_no_count_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"turns.*write for example"):
        read_count(text, "turns")


def test_milliseconds_and_minutes_are_read() -> None:
    assert read_duration("250ms", "x") == DurationDistribution("fixed", 0.25)
    assert read_duration("exp:2m", "x").mean_s == 120
