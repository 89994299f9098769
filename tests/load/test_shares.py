"""A plan is divided by whole calls: nothing is lost, and nothing is in two shares."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from voicebench.load.call_plan import Behaviour, CallRate, LoadPlan
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.shares import Share


@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 5))
def test_every_caller_is_of_exactly_one_share(caller: int, machines: int, processes: int) -> None:
    shares = [one for machine in Share().split(machines) for one in machine.split(processes)]
    assert sum(share.has(caller) for share in shares) == 1


def test_machines_may_have_different_numbers_of_processes() -> None:
    first, second = Share().split(2)
    shares = [*first.split(3), second]
    counts = [sum(share.has(caller) for caller in range(600)) for share in shares]
    assert counts == [100, 100, 100, 300]


def test_arrivals_at_a_rate_are_the_same_however_they_are_divided() -> None:
    behaviour = Behaviour(
        read_duration("exp:3s", "t"), read_duration("2s", "s"), read_count("geometric:4", "n")
    )
    calls = list(islice(LoadPlan(5, CallRate(2.0), behaviour).calls(), 200))
    parts = [[call for call in calls if share.has(call.caller)] for share in Share().split(3)]
    merged = sorted((call for part in parts for call in part), key=lambda call: call.begins_s)
    assert merged == calls
    assert min(len(part) for part in parts) > 50
