"""Evidence: known counts, bounds that hold at every look, inflation of correlated turns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.load.evidence import (
    block_inflation,
    caution,
    share_bounds,
    turns_needed,
    turns_of_a_sequence,
)


@pytest.mark.parametrize(
    ("share", "error", "bad", "turns"),
    [
        (0.95, 0.05, 0, 59),
        (0.99, 0.05, 0, 299),
        (0.99, 0.05, 1, 473),
        (0.95, 0.01, 0, 90),
        # LoadGen's numbers, at confidence 0.99.
        (0.99, 0.01, 0, 459),
        (0.99, 0.01, 1, 662),
    ],
)
def test_the_known_counts(share: float, error: float, bad: int, turns: int) -> None:
    assert turns_needed(share, error, bad) == turns


@given(st.floats(0.5, 0.995), st.floats(0.001, 0.2))
def test_without_a_bad_turn_the_count_is_a_logarithm(share: float, error: float) -> None:
    assert turns_needed(share, error) == math.ceil(math.log(error) / math.log(share) - 1e-9)
    # Whoever may stop at any turn needs more.
    assert turns_of_a_sequence(share, error) > turns_needed(share, error)


@pytest.mark.parametrize(("share", "turns"), [(0.95, 81), (0.99, 410)])
def test_a_sequence_shows_a_share_at_exactly_its_count(share: float, turns: int) -> None:
    assert turns_of_a_sequence(share, 0.05) == turns
    assert share_bounds(turns, turns, 0.05, target=share).low >= share
    assert share_bounds(turns - 1, turns - 1, 0.05, target=share).low < share


@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.9, 0.95, 0.99]))
def test_bounds_are_around_the_observed_share(n: int, part: float, target: float) -> None:
    good = round(part * n)
    found = share_bounds(good, n, 0.05, target=target)
    assert 0 <= found.low <= good / n <= found.high <= 1
    wider = share_bounds(good, n, 0.01, target=target)
    assert wider.low <= found.low + 1e-9
    assert wider.high >= found.high - 1e-9
    correlated = share_bounds(good, n, 0.05, target=target, inflation=3.0)
    assert correlated.low <= found.low + 1e-9
    assert correlated.effective_n == pytest.approx(n / 3)


def test_nothing_is_known_without_turns() -> None:
    found = share_bounds(0, 0, 0.05, target=0.95)
    assert (found.low, found.high, found.observed) == (0.0, 1.0, None)


@pytest.mark.parametrize("true", [0.90, 0.95, 0.99])
def test_looking_at_every_turn_rarely_excludes_the_truth(true: float) -> None:
    rng = np.random.default_rng(3)
    excluded = 0
    for _ in range(150):
        good = np.cumsum(rng.random(600) < true)
        excluded += any(
            not (found.low <= true <= found.high)
            for n in range(20, 601, 20)
            if (found := share_bounds(int(good[n - 1]), n, 0.05, target=0.95))
        )
    assert excluded <= 0.05 * 150


def test_independent_turns_are_hardly_inflated_and_runs_of_bad_turns_are() -> None:
    rng = np.random.default_rng(1)
    turns = np.full(40, 100)
    independent = rng.binomial(100, 0.05, 40)
    in_runs = np.where(rng.random(40) < 0.25, 20, 0)
    assert block_inflation(independent, turns) < 2
    assert block_inflation(in_runs, turns) > 8


def test_blocks_that_agree_by_chance_prove_no_more_than_independent_turns() -> None:
    even = block_inflation(np.full(8, 5), np.full(8, 100))
    assert even == pytest.approx(caution(8, 0.05))
    assert even > 1.4


def test_few_blocks_are_taken_with_more_caution() -> None:
    cautions = [caution(blocks, 0.05) for blocks in (4, 8, 20, 400)]
    assert cautions == sorted(cautions, reverse=True)
    assert cautions[-1] == pytest.approx(1, abs=0.02)


def test_nothing_to_compare_is_no_inflation() -> None:
    assert block_inflation(np.array([3]), np.array([9])) == 1
    assert block_inflation(np.zeros(9, dtype=np.int64), np.full(9, 9)) == 1
