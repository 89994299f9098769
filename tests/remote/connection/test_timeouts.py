"""The four limits, and that every wait is cut to the nearest of them."""

from __future__ import annotations

import pytest

from voicebench.errors import UsageError
from voicebench.remote.connection.timeouts import (
    BudgetedTimeout,
    Timeouts,
    TurnDeadline,
    WaitBudget,
    seconds_left,
)
from voicebench.remote.failure import RemoteError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


LIMITS = Timeouts(connect_s=1, first_byte_s=5, between_bytes_s=2, turn_s=8)


def budget(clock: Clock, deadline: TurnDeadline | None = None) -> WaitBudget:
    return WaitBudget(LIMITS, peer="http://server", stage="tts", deadline=deadline, clock=clock)


def test_until_the_first_byte_the_wait_is_cut_to_what_is_left_of_its_limit() -> None:
    clock = Clock()
    waiting = budget(clock)
    assert waiting.left_s() == 5
    clock.now += 4
    assert waiting.left_s() == 1


def test_a_read_that_brings_only_headers_does_not_stop_the_first_bytes_limit() -> None:
    clock = Clock()
    waiting = budget(clock)
    clock.now += 5
    with pytest.raises(RemoteError, match=r"no byte of an answer within 5 s") as caught:
        waiting.left_s()
    assert (caught.value.fault, caught.value.stage) == ("timeout", "tts")


def test_in_mid_answer_each_read_has_the_limit_between_bytes() -> None:
    clock = Clock()
    waiting = budget(clock)
    waiting.answer_began()
    clock.now += 4
    assert waiting.left_s() == 2
    assert "sent nothing for 2 s within an answer" in str(waiting.timeout_error())


def test_a_steady_drip_ends_at_the_turns_limit() -> None:
    clock = Clock()
    waiting = budget(clock)
    waiting.answer_began()
    clock.now += 7
    assert waiting.left_s() == 1
    clock.now += 1
    with pytest.raises(RemoteError, match="not done within the turn's 8 s"):
        waiting.left_s()


def test_who_is_woken_late_is_told_the_limit_that_the_wait_was_cut_to() -> None:
    clock = Clock()
    waiting = budget(clock)
    assert waiting.left_s() == 5
    clock.now += 9
    assert "no byte of an answer within 5 s" in str(waiting.timeout_error())

    waiting = budget(clock)
    waiting.answer_began()
    assert waiting.left_s() == 2
    clock.now += 9
    assert "sent nothing for 2 s within an answer" in str(waiting.timeout_error())


def test_a_turn_that_began_earlier_ends_earlier() -> None:
    clock = Clock()
    deadline = TurnDeadline(8, clock)
    deadline.start()
    clock.now += 7
    waiting = budget(clock, deadline)
    assert waiting.left_s() == 1


def test_before_any_turn_has_begun_the_exchanges_own_limit_holds() -> None:
    clock = Clock()
    waiting = budget(clock, TurnDeadline(8, clock))
    waiting.answer_began()
    assert waiting.left_s() == 2


def test_the_end_can_be_brought_forward_and_not_put_off_beyond_the_turn() -> None:
    clock = Clock()
    waiting = budget(clock)
    waiting.end_within(0.5)
    assert waiting.left_s() == 0.5
    waiting.end_within(3)
    assert waiting.left_s() == 3
    waiting.answer_began()
    clock.now += 7
    waiting.end_within(3)
    assert waiting.left_s() == 1


def test_a_connect_is_cut_to_what_is_left_of_the_turn() -> None:
    clock = Clock()
    waiting = budget(clock)
    assert (waiting.to_connect().seconds, waiting.to_connect().words) == (1, "1 s")
    clock.now += 7.5
    assert waiting.to_connect().seconds == 0.5
    assert waiting.to_connect().words == "what was left of the turn's 8 s"
    clock.now += 1
    with pytest.raises(RemoteError, match="not done within the turn's 8 s"):
        waiting.to_connect()


def test_the_wait_for_the_first_byte_begins_with_the_exchange() -> None:
    clock = Clock()
    waiting = budget(clock)
    waiting.answer_began()
    clock.now += 2
    waiting.begin_exchange()
    assert waiting.left_s() == 5


def test_an_allowance_is_a_number_that_asks_its_patience_at_each_read() -> None:
    clock = Clock()
    timeout = BudgetedTimeout(budget(clock), 2)
    clock.now += 3
    assert float(timeout) == 2
    assert seconds_left(timeout) == 2
    clock.now += 1
    assert seconds_left(timeout) == 1
    assert (seconds_left(7.5), seconds_left(None)) == (7.5, None)


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_a_limit_that_is_none_is_refused_by_its_name(value: float) -> None:
    with pytest.raises(UsageError, match="between_bytes_s"):
        Timeouts(between_bytes_s=value)
