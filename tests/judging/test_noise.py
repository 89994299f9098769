"""Noise: each cause is found where it is, and only there, and invalidates when it must."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from drawn_turns import drawn_turn, failed_turn, turn_with_first_audio

from voicebench.figures.columns import columns_of
from voicebench.judging.noise import Noise, drift_probability, find_noise, outliers
from voicebench.turn.timeline import MachineState, Timeline

STEADY = [300 + (7 * turn) % 11 for turn in range(20)]


def turns_with(
    first_audio: Sequence[float] = STEADY, machine: MachineState | None = None
) -> list[Timeline]:
    return [
        replace(turn_with_first_audio(ms), turn=number, machine=machine, end_ns=10**9)
        for number, ms in enumerate(first_audio, 1)
    ]


def found(turns: Sequence[Timeline], lag_ms: float | None = None) -> dict[str, Noise]:
    return {noise.kind: noise for noise in find_noise(columns_of(turns), lag_ms)}


def test_a_quiet_machine_has_no_noise() -> None:
    quiet = MachineState(0.1, 0.5, 3000, 0.0, 0, 0.1, 0)
    assert found(turns_with(machine=quiet), lag_ms=0.1) == {}


def test_the_jitter_of_a_shared_machine_with_two_cores_invalidates_nothing() -> None:
    rng = np.random.default_rng(5)
    values = 300 * np.exp(rng.normal(0, 0.12, 30))
    values[[4, 19]] *= 2
    busy = MachineState(cpu_others=0.3, clock_mhz=2500, quota_ms=20, collection_ms=2.0)
    noise = found(turns_with(values.tolist(), busy), lag_ms=10)
    assert set(noise) == {"other processes", "outliers"}
    assert not any(one.invalidates for one in noise.values())


def test_few_turns_say_nothing() -> None:
    assert found(turns_with([100] * 6 + [9000], MachineState(cpu_others=1.0)), lag_ms=500) == {}


def test_failed_and_warm_up_turns_are_not_looked_at() -> None:
    others = [failed_turn()] * 9 + [turn_with_first_audio(9000, phase="warmup")] * 9
    assert found([*others, *turns_with()]) == {}


@pytest.mark.parametrize(
    ("state", "kind", "invalidates"),
    [
        (MachineState(cpu_others=0.30), "other processes", False),
        (MachineState(cpu_others=0.80), "other processes", True),
        (MachineState(quota_ms=150), "CPU quota", True),
        (MachineState(throttled=2), "thermal throttling", True),
        (MachineState(gpu_others=1), "shared GPU", True),
        (MachineState(collection_ms=80), "garbage collection", False),
    ],
)
def test_what_the_system_tells_of_every_turn_is_named(
    state: MachineState, kind: str, invalidates: bool
) -> None:
    noise = found(turns_with(machine=state))
    assert list(noise) == [kind]
    assert noise[kind].invalidates is invalidates
    assert noise[kind].remedy


@pytest.mark.parametrize("field", ["throttled", "gpu_others"])
def test_a_single_turn_is_named_and_does_not_invalidate(field: str) -> None:
    turns = turns_with(machine=MachineState(**{field: 0}))
    turns[3] = replace(turns[3], machine=MachineState(**{field: 1}))
    [noise] = found(turns).values()
    assert "1 of 20 turns" in noise.finding
    assert not noise.invalidates


def test_a_clock_that_moves_is_named() -> None:
    turns = turns_with(machine=MachineState(clock_mhz=3000))
    turns[0] = replace(turns[0], machine=MachineState(clock_mhz=2000))
    assert "between 2000 and 3000 MHz" in found(turns)["clock changes"].finding


def test_the_share_of_others_is_not_believed_of_short_turns() -> None:
    turns = [
        replace(turn, end_ns=50_000_000) for turn in turns_with(machine=MachineState(cpu_others=1))
    ]
    assert found(turns) == {}


@pytest.mark.parametrize(
    ("lag_ms", "is_invalid"), [(19, False), (31, True), (29, False), (None, False)]
)
def test_the_instruments_own_error_is_held_against_the_figures(
    lag_ms: float | None, is_invalid: bool
) -> None:
    assert ("instrument" in found(turns_with(), lag_ms)) is is_invalid


def test_a_rise_over_the_run_is_drift_and_a_large_one_invalidates() -> None:
    small = found(turns_with([300 + 2.5 * turn for turn in range(20)]))
    large = found(turns_with([300 + 10 * turn for turn in range(20)]))
    assert not small["drift"].invalidates
    assert "rose over the run" in small["drift"].finding
    assert large["drift"].invalidates


def test_a_fall_asks_for_warming_up() -> None:
    assert "--warmup" in found(turns_with([600 - 10 * turn for turn in range(20)]))["drift"].remedy


def test_a_change_of_a_few_milliseconds_is_no_drift() -> None:
    assert found(turns_with([20 + turn / 4 for turn in range(20)])) == {}


def test_drift_is_rarely_seen_where_there_is_none() -> None:
    rng = np.random.default_rng(1)
    chances = [drift_probability(rng.normal(300, 30, 20)) for _ in range(500)]
    assert sum(chance < 0.05 for chance in chances) < 45  # 25 expected
    assert drift_probability(np.arange(20.0)) == 0
    assert drift_probability(np.ones(20)) == 1


def test_outliers_by_the_modified_z_score() -> None:
    # Median 12, MAD 2 (Iglewicz and Hoaglin): a score of 3.5 is 12 + 3.5 * 2 / 0.6745 = 22.38.
    values = np.array([8.0, 10, 10, 12, 12, 14, 14, 16, 22.3])
    assert not outliers(values).any()
    values[-1] = 22.5
    assert outliers(values).tolist() == [False] * 8 + [True]


def test_one_far_value_among_equal_ones_is_an_outlier() -> None:
    assert outliers(np.array([5.0] * 9 + [50])).tolist() == [False] * 9 + [True]
    assert not outliers(np.full(9, 5.0)).any()


def test_many_outliers_are_counted_not_listed() -> None:
    values = [300 + turn % 3 for turn in range(60)] + [900] * 15
    finding = found(turns_with(values))["outliers"].finding
    assert "15 of 75 turns" in finding
    assert finding.endswith("70 and 5 more)")


def test_what_invalidates_comes_first() -> None:
    state = MachineState(cpu_others=0.3, gpu_others=1)
    noise = find_noise(columns_of(turns_with([*STEADY[:-1], 2000], state)))
    assert [one.invalidates for one in noise] == [True, False, False]


def test_turns_without_a_machine_are_older_results() -> None:
    assert found([drawn_turn(audio=[(ms, 100)]) for ms in STEADY]) == {}
