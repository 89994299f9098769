"""The M/M/c//N formulas agree with cases that are known otherwise."""

from __future__ import annotations

import math

import pytest

from voicebench.load.queue_theory import FiniteQueue


def test_one_caller_never_waits() -> None:
    queue = FiniteQueue(2, 1.0, 9.0)
    assert queue.share_within(1, 3.0) == pytest.approx(1 - math.exp(-3.0))


def test_as_many_slots_as_callers_is_a_binomial() -> None:
    queue = FiniteQueue(5, 1.0, 4.0)
    met = queue.in_system(5)
    busy = 1.0 / 5.0
    for turns, probability in enumerate(met):
        expected = math.comb(5, turns) * busy**turns * (1 - busy) ** (5 - turns)
        assert probability == pytest.approx(expected)


def test_two_callers_and_one_slot_by_hand() -> None:
    # The other caller is met in service with probability s / (s + z); then two services follow.
    queue = FiniteQueue(1, 1.0, 3.0)
    limit = 2.0
    alone = 1 - math.exp(-limit)
    behind = 1 - math.exp(-limit) * (1 + limit)
    assert queue.share_within(2, limit) == pytest.approx(0.75 * alone + 0.25 * behind)


def test_many_callers_with_long_pauses_are_an_erlang_c_queue() -> None:
    # 10,000 callers who pause 5,000 s are a Poisson stream of about 2 a second.
    slots, service = 4, 1.0
    load = 2.0
    terms = [load**k / math.factorial(k) for k in range(slots)]
    last = load**slots / math.factorial(slots) * slots / (slots - load)
    waits = last / (sum(terms) + last)
    limit = 2.5
    queue = FiniteQueue(slots, service, 5000.0)
    rate, freed = 1.0, slots - load
    late = (1 - waits) * math.exp(-rate * limit) + waits * (
        freed * math.exp(-rate * limit) - rate * math.exp(-freed * limit)
    ) / (freed - rate)
    assert queue.share_within(10_000, limit) == pytest.approx(1 - late, abs=0.002)


def test_capacity_is_the_last_level_that_keeps_the_share() -> None:
    queue = FiniteQueue(8, 1.2, 8.8)
    capacity = queue.capacity(5.0, 0.95)
    assert queue.share_within(capacity, 5.0) >= 0.95 > queue.share_within(capacity + 1, 5.0)
    assert queue.capacity(0.1, 0.95) == 0
