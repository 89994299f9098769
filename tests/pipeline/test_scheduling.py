"""Who may use the device next: time is an argument, and orders are forced by events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from voicebench.pipeline.device_queue import HOLD_S
from voicebench.pipeline.scheduling import (
    BUFFER_S,
    LEAST_BUFFER_S,
    FreeForAll,
    TurnTaking,
    buffer_for,
)

SOON = 5.0
"""Seconds in which what must happen has happened, on the slowest machine."""
NOT_YET = 0.02
"""Seconds in which what must not happen is given a chance to; no test waits for less."""


class HandClock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> int:
        return round(self.seconds * 1e9)


class Step:
    """A step that is asked for in a thread of its own, and held until it is let go."""

    def __init__(self, step: Callable[[], AbstractContextManager[None]]) -> None:
        self.taken = threading.Event()
        self._let_go = threading.Event()
        self._step = step
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        with self._step():
            self.taken.set()
            self._let_go.wait(SOON)

    def is_taken(self) -> bool:
        return self.taken.wait(SOON)

    def waits(self) -> bool:
        return not self.taken.wait(NOT_YET)

    def end(self) -> None:
        self._let_go.set()
        self._thread.join(SOON)
        assert not self._thread.is_alive(), "the step never came to its turn"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def schedule(clock: HandClock) -> Iterator[TurnTaking]:
    schedule = TurnTaking(buffer_s=0.6, clock=clock)
    yield schedule
    schedule.give_way()


def token_goes(schedule: TurnTaking) -> bool:
    step = Step(schedule.token_step)
    goes = step.is_taken()
    if not goes:
        schedule.give_way()
    step.end()
    return goes


def token_waits(schedule: TurnTaking) -> bool:
    step = Step(schedule.token_step)
    waits = step.waits()
    schedule.give_way()
    step.end()
    return waits


def test_without_a_waiting_chunk_tokens_go_at_once(schedule: TurnTaking) -> None:
    assert token_goes(schedule)


def test_one_step_at_a_time(schedule: TurnTaking) -> None:
    first = Step(schedule.token_step)
    assert first.is_taken()
    second = Step(schedule.speech_step)
    assert second.waits()
    first.end()
    assert second.is_taken()
    second.end()


def test_before_the_first_audio_a_waiting_chunk_goes_before_tokens(schedule: TurnTaking) -> None:
    schedule.chunk_waits()
    token = Step(schedule.token_step)
    assert token.waits()
    speech = Step(schedule.speech_step)
    assert speech.is_taken()
    speech.end()
    assert token.waits()  # the first window brought no audio yet
    schedule.audio_out(1.0)
    assert token.is_taken()
    token.end()


def test_without_tokens_speech_goes_at_once(schedule: TurnTaking) -> None:
    schedule.audio_out(60.0)  # the listener has plenty
    speech = Step(schedule.speech_step)
    assert speech.is_taken()
    speech.end()


def test_a_chunk_that_is_done_lets_tokens_go_even_without_audio(schedule: TurnTaking) -> None:
    schedule.chunk_waits()
    token = Step(schedule.token_step)
    assert token.waits()
    schedule.chunk_spoken()  # an emoji: nothing to say
    assert token.is_taken()
    token.end()


def test_tokens_go_first_while_the_listener_has_enough_in_hand(
    schedule: TurnTaking, clock: HandClock
) -> None:
    schedule.chunk_waits()
    schedule.audio_out(1.0)
    assert token_goes(schedule)
    clock.seconds += 0.4  # 0.6 s left: just enough
    assert token_goes(schedule)


def test_a_token_goes_before_speech_that_came_first_while_the_listener_has_enough(
    schedule: TurnTaking,
) -> None:
    schedule.chunk_waits()
    schedule.audio_out(1.0)
    running = Step(schedule.token_step)
    assert running.is_taken()
    speech = Step(schedule.speech_step)
    assert speech.waits()
    token = Step(schedule.token_step)
    assert token.waits()
    running.end()
    assert token.is_taken()
    assert speech.waits()
    token.end()
    schedule.give_way()  # the reply is complete
    speech.end()


def test_speech_waits_a_moment_for_the_next_token_and_no_longer(
    schedule: TurnTaking, clock: HandClock
) -> None:
    schedule.chunk_waits()
    schedule.audio_out(1.0)
    assert token_goes(schedule)
    speech = Step(schedule.speech_step)
    assert speech.waits()
    clock.seconds += 2 * HOLD_S
    assert speech.is_taken()
    speech.end()


def test_speech_goes_first_once_the_listeners_buffer_is_short(
    schedule: TurnTaking, clock: HandClock
) -> None:
    schedule.chunk_waits()
    schedule.audio_out(1.0)
    clock.seconds += 0.5  # 0.5 s left
    assert token_waits(schedule)


def test_audio_in_pieces_adds_up(schedule: TurnTaking, clock: HandClock) -> None:
    schedule.chunk_waits()
    for _ in range(3):
        schedule.audio_out(0.25)
    assert token_goes(schedule)
    clock.seconds += 0.2
    assert token_waits(schedule)


def test_a_listener_who_ran_out_of_audio_pauses_and_owes_nothing(
    schedule: TurnTaking, clock: HandClock
) -> None:
    schedule.audio_out(0.5)
    clock.seconds += 10.0  # a long wait for the language model; the listener paused
    schedule.chunk_waits()
    schedule.audio_out(0.7)
    assert token_goes(schedule)


def test_each_waiting_chunk_counts(schedule: TurnTaking) -> None:
    schedule.chunk_waits()
    schedule.chunk_waits()
    schedule.chunk_spoken()
    assert token_waits(schedule)


def test_giving_way_frees_who_waits(schedule: TurnTaking) -> None:
    schedule.chunk_waits()
    token = Step(schedule.token_step)
    assert token.waits()
    schedule.give_way()
    assert token.is_taken()
    token.end()


@pytest.mark.parametrize("kind", ["token_step", "speech_step"])
def test_a_step_that_breaks_gives_the_device_back(schedule: TurnTaking, kind: str) -> None:
    with pytest.raises(ZeroDivisionError), getattr(schedule, kind)():
        raise ZeroDivisionError
    assert token_goes(schedule)


def test_the_buffer_is_a_few_steps_long_by_default(clock: HandClock) -> None:
    schedule = TurnTaking(clock=clock)
    schedule.chunk_waits()
    schedule.audio_out(BUFFER_S)
    assert token_goes(schedule)


@pytest.mark.parametrize(
    ("longest_step_s", "expected_s"),
    [(0.001, LEAST_BUFFER_S), (0.025, 0.2), (0.05, 0.4), (0.5, BUFFER_S)],
)
def test_the_buffer_lasts_some_steps_of_this_machine(
    longest_step_s: float, expected_s: float
) -> None:
    assert buffer_for(longest_step_s) == pytest.approx(expected_s)


def test_free_for_all_orders_nothing() -> None:
    schedule = FreeForAll()
    schedule.chunk_waits()
    token, speech = Step(schedule.token_step), Step(schedule.speech_step)
    assert token.is_taken()
    assert speech.is_taken()
    token.end()
    speech.end()
    schedule.audio_out(1.0)
    schedule.chunk_spoken()
    schedule.give_way()
