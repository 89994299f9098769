"""Two clocks compared by probes: exact on probes with known delays."""

from __future__ import annotations

import random

import pytest

from voicebench.load.clock_offsets import ClockDrift, ClockOffset, ClockProbe, offset_of

MS = 1_000_000


def probes(offset_ns: int, n: int = 300, seed: int = 1) -> list[ClockProbe]:
    """Return probes over a way that takes 0.1 to 5 ms there, and as long again back."""
    drawn, now_ns, found = random.Random(seed), 10**12, []
    for _ in range(n):
        there_ns = 100_000 + int(drawn.expovariate(1 / MS))
        back_ns = 100_000 + int(drawn.expovariate(1 / MS))
        theirs_ns = now_ns + there_ns + offset_ns
        found.append(ClockProbe(now_ns, theirs_ns, now_ns + there_ns + back_ns))
        now_ns += there_ns + back_ns + 10_000
    return found


@pytest.mark.parametrize("offset_ns", [0, 3 * 10**12, -(10**9)])
@pytest.mark.parametrize("seed", range(5))
def test_the_offset_is_right_within_its_bound(offset_ns: int, seed: int) -> None:
    found = offset_of(probes(offset_ns, seed=seed))
    assert abs(found.offset_ns - offset_ns) <= found.bound_ns < MS


def test_a_few_slow_probes_change_nothing() -> None:
    quick = probes(7 * MS)
    slow = [ClockProbe(0, 900 * MS, 1000 * MS)] * 100
    assert offset_of([*slow, *quick]) == offset_of(quick)


def test_one_probe_bounds_the_offset_by_half_its_time() -> None:
    assert offset_of([ClockProbe(100, 1_000, 300)]) == ClockOffset(300, 800, 100)


def test_clocks_that_run_apart_have_a_drift_and_a_wider_bound() -> None:
    before, after = ClockOffset(0, 1000, 20), ClockOffset(10**9, 51_000, 30)
    drift = ClockDrift(before, after)
    assert drift.per_million == pytest.approx(50.0)
    assert drift.bound_ns == 50_030
    assert drift.as_dict()["bound_ms"] == pytest.approx(0.05003)


def test_a_lost_machine_has_no_drift() -> None:
    drift = ClockDrift(ClockOffset(0, 1000, 20), None)
    assert drift.per_million is None
    assert drift.bound_ns is None
