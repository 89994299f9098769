"""Draws depend on their key alone, and are evenly spread."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voicebench.load.draws import Draws, derived_seed, draws_of

KEYS = st.tuples(
    st.integers(0, 2**62), st.integers(-1, 10**6), st.integers(0, 10**6), st.integers(-50, 10**6)
)


@given(KEYS)
def test_a_draw_is_inside_and_always_the_same(key: tuple[int, int, int, int]) -> None:
    drawn = draws_of(*key)
    assert drawn == draws_of(*key)
    assert all(0 < u < 1 for u in drawn)


@given(KEYS, KEYS)
def test_other_keys_draw_other_numbers(
    one: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> None:
    assert (one == other) == (draws_of(*one) == draws_of(*other))


def test_draws_are_uniform_and_their_purposes_unrelated() -> None:
    drawn = np.array([draws_of(5, caller, 0, turn) for caller in range(100) for turn in range(50)])
    assert drawn.shape == (5000, len(Draws._fields))
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 0.02
    assert np.abs(drawn.var(axis=0) - 1 / 12).max() < 0.005
    correlation = np.corrcoef(drawn.T) - np.eye(len(Draws._fields))
    assert np.abs(correlation).max() < 0.06


def test_derived_seeds_differ_by_purpose_and_number() -> None:
    seeds = {derived_seed(1, "confirm", n) for n in range(50)} | {derived_seed(1, "other")}
    assert len(seeds) == 51
    assert max(seeds) < 2**62
