"""Steady state: the beginning is dropped, and a rise that stays is found."""

from __future__ import annotations

import numpy as np
from loaded_turns import columns, turn

from voicebench.load.steadiness import has_trend, rises, steady_from


def level(first_audio_of: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    return [float(value) for value in first_audio_of]


def test_four_blocks_that_rise_or_fall_are_a_trend() -> None:
    assert has_trend(np.array([1.0, 1.1, 1.2, 1.3]))
    assert has_trend(np.array([4.0, 3.0, 2.0, 1.0]))
    assert not has_trend(np.array([1.0, 1.2, 1.1, 1.3]))
    assert not has_trend(np.array([1.0, 1.01, 1.02, 1.03]))  # too small
    assert not has_trend(np.array([1.0, np.nan, 2.0, 3.0]))


def test_a_level_that_warms_up_is_measured_when_it_is_steady() -> None:
    rng = np.random.default_rng(4)
    moments = np.arange(0, 600, 0.5)
    values = 100 + 900 * np.exp(-moments / 40) + rng.normal(0, 5, moments.size)
    turns = columns([turn(at, value) for at, value in zip(moments, values, strict=True)])
    start_s = steady_from(turns, 10.0, 30.0, 600.0)
    assert start_s is not None
    assert 60 < start_s <= 190
    assert (start_s - 10) % 30 == 0
    assert steady_from(turns, 10.0, 30.0, 120.0) is None  # four blocks are not over yet


def test_a_quiet_level_is_steady_from_the_first_moment_allowed() -> None:
    rng = np.random.default_rng(2)
    moments = np.arange(0, 200, 0.5)
    turns = columns([turn(at, 100 + rng.normal(0, 5)) for at in moments])
    assert steady_from(turns, 10.0, 30.0, 200.0) == 10.0


def test_a_rise_over_all_blocks_is_told_from_chance() -> None:
    rng = np.random.default_rng(7)
    assert rises(np.linspace(1, 4, 16) + rng.normal(0, 0.1, 16))
    assert not rises(np.linspace(1, 1.4, 16))  # clear, and small
    assert not rises(np.linspace(4, 1, 16))
    by_chance = sum(rises(10 + rng.normal(0, 5, 20)) for _ in range(2000))
    assert by_chance == 0


def test_eight_blocks_that_double_rise_and_four_are_too_few() -> None:
    assert rises(np.array([1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4]))
    assert rises(np.array([57.0, 69.0, 95.0, 93.0, 96.0, 111.0, 134.0, 139.0]))
    assert not rises(np.array([1.0, 1.5, 2.0, 3.0]))
    assert not rises(np.array([1.0, 1.1, 1.2, 1.3, 1.25, 1.5, 1.6, 1.7]))
    assert not rises(np.array([1.0, 2.0, 1.0, 3.0, 1.0, 2.0, 2.0, 3.0]))
    assert not rises(np.linspace(1, 1.4, 8))  # clear, and small
    assert not rises(np.linspace(4, 1, 8))
