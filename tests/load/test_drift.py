"""Drift is shown for what keeps rising, and for nothing else."""

from __future__ import annotations

import math
import random

import pytest
from loaded_turns import columns, turn

from voicebench.load.drift import (
    ERROR,
    GROUPS,
    LATENCY,
    LEAST_GROUPS,
    SoakSamples,
    drift_of,
    grouped,
)
from voicebench.load.level_rule import Window

MEMORY = "server_memory_mb"


def noisy(n: int, seed: int, *, begin: float = 500.0, rise: float = 0.0) -> list[float]:
    """Return a curve with jitter of 2 % that rises by this much from its begin to its end."""
    drawn = random.Random(seed)
    return [begin * (1 + drawn.gauss(0, 0.02)) + rise * at / (n - 1) for at in range(n)]


def test_a_straight_line_has_the_rise_that_it_has() -> None:
    drift = drift_of(MEMORY, [100.0 + 10 * at for at in range(24)], ERROR)
    assert (drift.begin, drift.rise, drift.low, drift.high) == (100.0, 230.0, 230.0, 230.0)
    assert drift.is_shown


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_of_a_third_is_shown(seed: int) -> None:
    drift = drift_of(MEMORY, noisy(96, seed, rise=165.0), ERROR)
    assert drift.is_shown
    assert drift.low <= 165.0 * 23 / 24 * 1.1
    assert "server_memory_mb drifts" in drift.sentence()


def test_noise_alone_is_called_a_drift_in_no_more_than_five_percent() -> None:
    # Without anything allowed: the interval itself excludes 0 as often as its error says.
    found = [drift_of(MEMORY, noisy(GROUPS, seed), 0.05) for seed in range(600)]
    assert sum(one.low > 0 or one.high < 0 for one in found) / 600 < 0.065
    assert not any(one.is_shown for one in found)


def test_a_rise_at_the_beginning_that_ends_is_no_drift() -> None:
    warming = [100.0, 200.0, 300.0, 400.0, *noisy(44, 3)]
    assert not drift_of(MEMORY, warming, ERROR).is_shown


def test_a_few_bad_blocks_are_no_drift() -> None:
    curve = noisy(48, 4)
    curve[40:44] = [5000.0] * 4
    assert not drift_of(MEMORY, curve, ERROR).is_shown


def test_a_small_rise_is_allowed_and_a_fall_is_no_drift() -> None:
    assert not drift_of(MEMORY, [500 + at / 2 for at in range(24)], ERROR).is_shown
    assert not drift_of(MEMORY, [500.0 - 10 * at for at in range(24)], ERROR).is_shown


@pytest.mark.parametrize("n", range(1, LEAST_GROUPS))
def test_too_few_blocks_show_nothing(n: int) -> None:
    drift = drift_of(MEMORY, [100.0 * (1 + at) for at in range(n)], ERROR)
    assert (drift.low, drift.high) == (-math.inf, math.inf)
    assert not drift.is_shown
    assert drift.as_dict()["low"] is None


def test_many_blocks_are_joined_to_medians_of_neighbours() -> None:
    assert grouped(range(7)).tolist() == list(range(7))
    assert grouped([1.0, 2.0, 9.0] * GROUPS).tolist() == [2.0] * GROUPS
    assert grouped(range(GROUPS * 2 + 1)).size == GROUPS


def test_latency_is_the_median_of_each_block() -> None:
    turns = columns([turn(at_s, 100.0 + at_s) for at_s in range(0, 240, 3)])
    samples = SoakSamples(10.0, {"server_descriptors": [None] * 24})
    (drift,) = samples.drifts(turns, Window(0.0, 240.0))
    assert (drift.name, drift.groups) == (LATENCY, 24)
    assert drift.rise == pytest.approx(230.0, abs=8)
    assert drift.is_shown
