"""The search for capacity on levels whose truth is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.figures.intervals import Interval
from voicebench.load.level_rule import LevelStanding
from voicebench.load.search import (
    CapacityAnswer,
    CapacityVerdict,
    Probe,
    ProbeResult,
    find_capacity,
    planned_levels,
)

Level = Callable[[Probe], ProbeResult]


def certain(true: int) -> Level:
    """Return levels that show at once whether they hold."""

    def of(probe: Probe) -> ProbeResult:
        holds = probe.callers <= true
        standing = LevelStanding.HOLDS if holds else LevelStanding.FAILS
        return ProbeResult(standing, holds, Interval(100, 110))

    return of


def searched(level: Level, most: int = 400, precision: float = 0.1, **more: int) -> CapacityAnswer:
    search = find_capacity(most, precision, **more)
    probe = next(search)
    while True:
        try:
            probe = search.send(level(probe))
        except StopIteration as ended:
            answer: CapacityAnswer = ended.value
            return answer


@given(st.integers(1, 400), st.sampled_from([0.01, 0.05, 0.1, 0.5]))
def test_the_capacity_is_found_to_the_precision(true: int, precision: float) -> None:
    found = searched(certain(true), precision=precision)
    assert found.capacity is not None
    assert found.capacity <= true
    assert found.high is None or found.high > true
    if true < 400:
        assert found.high is not None
        assert found.high <= max(found.capacity * (1 + precision), found.capacity + 1)
    assert found.verdict(None) is CapacityVerdict.PASS


@given(st.integers(0, 400), st.integers(1, 400), st.sampled_from([0.05, 0.1, 0.5]))
def test_the_first_level_changes_no_answer(true: int, first: int, precision: float) -> None:
    found = searched(certain(true), precision=precision, first=first)
    assert found.capacity is not None
    assert found.capacity <= true
    assert found.high is None or true < found.high
    assert not (true < 400 and found.high is None)
    searching = [p for p, _ in found.probes if p.purpose in ("climb", "narrow")]
    assert searching[0].callers == first
    assert len(searching) <= planned_levels(400, precision) + 1


def test_a_search_goes_down_from_a_first_level_that_fails() -> None:
    probes = [probe for probe, _ in searched(certain(5), most=64, first=12).probes]
    assert [p.callers for p in probes if p.purpose == "climb"] == [12, 6, 3]
    assert {p.callers for p in probes if p.purpose == "again"} == {3}
    assert probes[-1].callers == 5


@given(st.integers(0, 400), st.integers(1, 400))
def test_at_least_is_decided_exactly(true: int, wanted: int) -> None:
    found = searched(certain(true), at_least=wanted)
    expected = CapacityVerdict.PASS if true >= wanted else CapacityVerdict.FAIL
    assert found.verdict(wanted) is expected


@given(st.integers(1, 400), st.integers(1, 400))
def test_a_first_level_that_holds_saves_what_was_promised(true: int, first: int) -> None:
    found = searched(certain(max(true, first)), first=first)
    searching = [p for p, _ in found.probes if p.purpose in ("climb", "narrow")]
    assert len(searching) <= planned_levels(400, 0.1, first)


@given(st.integers(1, 300))
def test_no_more_levels_are_held_than_were_promised(true: int) -> None:
    found = searched(certain(true))
    searching = [p for p, _ in found.probes if p.purpose in ("climb", "narrow")]
    assert len(searching) <= planned_levels(400, 0.1)


def test_the_climb_doubles_and_only_a_confirmation_is_published() -> None:
    probes = [probe for probe, _ in searched(certain(5), most=64).probes]
    assert [p.callers for p in probes if p.purpose == "climb"] == [1, 2, 4, 8]
    assert probes[-1].purpose == "confirm"
    assert probes[-1].callers == 5
    assert {p.callers for p in probes if p.purpose == "again"} == {1}


def test_a_level_that_holds_once_by_chance_is_not_published() -> None:
    def lucky(probe: Probe) -> ProbeResult:
        # The search sees 8 callers hold; on fresh callers only 5 do.
        true = 5 if probe.purpose == "confirm" else 8
        return certain(true)(probe)

    found = searched(lucky, most=64)
    assert found.capacity == 5
    attempts = [(p.callers, p.attempt) for p, _ in found.probes if p.purpose == "confirm"]
    assert attempts == [(8, 1), (7, 2), (6, 3), (5, 4)]


def test_without_a_confirmation_there_is_no_capacity() -> None:
    def never(probe: Probe) -> ProbeResult:
        if probe.purpose == "confirm":
            return ProbeResult(LevelStanding.UNDECIDED, above_shares=True)
        return certain(20)(probe)

    found = searched(never)
    assert found.capacity is None
    assert found.verdict(None) is CapacityVerdict.UNDECIDED
    assert found.verdict(10) is CapacityVerdict.UNDECIDED


def test_a_single_caller_that_fails_is_capacity_0() -> None:
    found = searched(certain(0))
    assert (found.capacity, found.high) == (0, 1)
    assert found.verdict(None) is CapacityVerdict.FAIL


def test_likely_levels_lead_up_and_a_failing_one_is_looked_for_above() -> None:
    def likely(probe: Probe) -> ProbeResult:
        if probe.purpose in ("climb", "narrow"):
            seems = LevelStanding.SEEMS_TO_HOLD, LevelStanding.SEEMS_TO_FAIL
            return ProbeResult(seems[probe.callers > 20], probe.callers <= 20)
        return certain(20)(probe)

    found = searched(likely)
    assert found.capacity == 20
    assert found.high is not None
    assert 20 < found.high <= 23
    assert "ceiling" in {probe.purpose for probe, _ in found.probes}


def test_the_two_statements_share_the_error() -> None:
    found = searched(certain(20))
    statements = [p.error for p, _ in found.probes if p.purpose != "confirm"]
    confirmations = [0.05 / 4 / 2**attempt for attempt in range(12)]
    assert sum(statements) <= 0.025
    assert sum(confirmations) <= 0.025
    assert [p.error for p, _ in found.probes if p.purpose == "confirm"] == [0.0125]


def test_levels_that_contradict_each_other_make_the_search_invalid() -> None:
    def broken(probe: Probe) -> ProbeResult:
        if probe.purpose == "again":
            return ProbeResult(LevelStanding.FAILS, above_shares=False)
        return certain(16)(probe)

    found = searched(broken)
    assert found.contradictions == ("the levels contradict each other: 1 caller fail, and 16 hold",)
    assert found.capacity == 16
    assert found.verdict(None) is CapacityVerdict.INVALID


def test_a_level_that_holds_and_fails_near_the_capacity_is_no_contradiction() -> None:
    def near(probe: Probe) -> ProbeResult:
        return certain(15 if probe.purpose == "confirm" else 16)(probe)

    found = searched(near)
    assert (found.capacity, found.high, found.contradictions) == (14, 16, ())


@pytest.mark.parametrize(
    ("second", "drifted"), [(Interval(140, 160), False), (Interval(150, 160), True)]
)
def test_a_machine_that_became_slower_makes_the_search_invalid(
    second: Interval, drifted: bool
) -> None:
    def slower(probe: Probe) -> ProbeResult:
        result = certain(6)(probe)
        first_audio = second if probe.purpose == "again" else Interval(100, 110)
        return ProbeResult(result.standing, result.above_shares, first_audio)

    found = searched(slower)
    assert found.drifted is drifted
    verdict = CapacityVerdict.INVALID if drifted else CapacityVerdict.PASS
    assert found.verdict(None) is verdict


def test_a_client_that_cannot_follow_ends_the_search_without_a_fail() -> None:
    def weak(probe: Probe) -> ProbeResult:
        if probe.callers > 30:
            return ProbeResult(LevelStanding.INVALID, above_shares=False)
        return certain(400)(probe)

    found = searched(weak)
    assert found.capacity is not None
    assert found.capacity <= 30
    assert found.high is None
    assert found.is_ended_by_client
    assert found.verdict(found.capacity) is CapacityVerdict.PASS
    assert found.verdict(40) is CapacityVerdict.INVALID
