"""Several turns on one device: who goes first, and how one leaves. Orders are forced by events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from voicebench.pipeline.device_queue import (
    HOLD_S,
    DeviceQueue,
    DeviceStep,
    StepKind,
    TurnCancelled,
)
from voicebench.pipeline.queued_turn import QueuedTurn
from voicebench.pipeline.scheduling import BUFFER_S, PATIENCE_STEPS, TurnTaking

SOON = 5.0
NOT_YET = 0.02


class HandClock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> int:
        return round(self.seconds * 1e9)


class Step(threading.Thread):
    """A step that is asked for in a thread of its own, and held until it is let go.

    Once it is made, it is taken, refused or in the queue.
    """

    def __init__(self, step: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__(daemon=True)
        self.taken = threading.Event()
        self.refused = threading.Event()
        self.asked_for = threading.Event()
        self._let_go = threading.Event()
        self._step = step
        self.start()
        assert self.asked_for.wait(SOON)

    def run(self) -> None:
        try:
            with self._step():
                self.taken.set()
                self.asked_for.set()
                self._let_go.wait(SOON)
        except TurnCancelled:
            self.refused.set()
            self.asked_for.set()

    def is_taken(self) -> bool:
        return self.taken.wait(SOON)

    def waits(self) -> bool:
        return not self.taken.wait(NOT_YET)

    def end(self) -> None:
        self._let_go.set()
        self.join(SOON)
        assert not self.is_alive(), "the step never came to its turn"


class Device(DeviceQueue):
    """A queue in which a step is seen waiting, and whose turns can all be ended."""

    def __init__(self, *, one_device: bool = True, clock: HandClock) -> None:
        super().__init__(one_device=one_device, clock=clock, buffer_s=BUFFER_S)
        self._turns: list[TurnTaking] = []

    def ask(self, turn: QueuedTurn, kind: StepKind, may_go: Callable[[], bool]) -> DeviceStep:
        step = super().ask(turn, kind, may_go)
        thread = threading.current_thread()
        if isinstance(thread, Step):
            thread.asked_for.set()
        return step

    def turn(self) -> TurnTaking:
        self._turns.append(TurnTaking(device=self))
        return self._turns[-1]

    def close(self) -> None:
        for turn in self._turns:
            turn.cancel()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def device(clock: HandClock) -> Iterator[Device]:
    device = Device(clock=clock)
    yield device
    device.close()


def heard(device: Device, seconds: float) -> TurnTaking:
    """Return a turn whose listener has so much audio in hand."""
    turn = device.turn()
    turn.audio_out(seconds)
    return turn


@pytest.fixture
def busy(device: Device) -> Iterator[Step]:
    """Keep the device busy, so that others queue up; end it to see who goes next."""
    other = heard(device, 0.0)
    step = Step(other.speech_step)
    assert step.is_taken()
    yield step
    step.end()


def go_in_order(busy: Step, *steps: Step) -> None:
    """Hold that the waiting steps are let go in this order, one at a time."""
    assert all(step.waits() for step in steps)
    busy.end()
    for index, step in enumerate(steps):
        assert step.is_taken()
        assert all(later.waits() for later in steps[index + 1 :])
        step.end()


def test_a_turn_that_nobody_hears_yet_goes_before_one_that_sounds(
    device: Device, busy: Step
) -> None:
    sounding = Step(heard(device, 1.0).speech_step)
    assert sounding.waits()
    new = Step(device.turn().token_step)
    assert new.waits()
    busy.end()
    assert new.is_taken()
    assert sounding.waits()
    new.end()
    assert sounding.waits()  # the device is kept for the new turn's next step


def test_of_turns_that_nobody_hears_yet_the_oldest_goes_first(device: Device, busy: Step) -> None:
    older, newer = device.turn(), device.turn()
    second = Step(newer.token_step)
    assert second.waits()
    first = Step(older.token_step)
    assert first.waits()
    busy.end()
    assert first.is_taken()
    older.audio_out(1.0)
    first.end()
    assert second.is_taken()
    second.end()


def test_of_turns_that_sound_the_one_that_runs_dry_first_goes_first(
    device: Device, busy: Step
) -> None:
    full, short = heard(device, 3.0), heard(device, 0.4)
    steps = [Step(full.speech_step), Step(short.speech_step)]
    go_in_order(busy, steps[1], steps[0])


def test_audio_that_comes_out_sends_a_turn_to_the_back(device: Device, busy: Step) -> None:
    first, second = heard(device, 0.4), heard(device, 0.5)
    first.audio_out(1.0)
    steps = [Step(first.speech_step), Step(second.speech_step)]
    go_in_order(busy, steps[1], steps[0])


def test_a_turn_that_is_only_read_counts_as_heard_from_its_first_token(
    device: Device, busy: Step
) -> None:
    written = device.turn()
    written.text_out()
    steps = [Step(written.token_step), Step(device.turn().token_step)]
    assert all(step.waits() for step in steps)
    busy.end()
    assert steps[1].is_taken()
    assert steps[0].waits()
    steps[1].end()


def test_the_device_is_kept_for_the_next_step_of_a_turn_that_nobody_hears(
    device: Device, clock: HandClock, busy: Step
) -> None:
    new, sounding = device.turn(), Step(heard(device, 1.0).speech_step)
    first = Step(new.token_step)
    busy.end()
    assert first.is_taken()
    first.end()
    assert sounding.waits()
    second = Step(new.token_step)  # though the other one has been waiting for long
    assert second.is_taken()
    second.end()
    clock.seconds += 2 * HOLD_S  # the turn's thread does something else
    assert sounding.is_taken()
    sounding.end()


def test_whoever_waits_until_the_device_is_kept_no_longer_does_so_however_late_it_looks() -> None:
    class HastyClock(HandClock):
        """Goes on whenever somebody looks, as it does for a thread that is kept waiting."""

        def __call__(self) -> int:
            self.seconds += HOLD_S / 2
            return super().__call__()

    turn = heard(Device(clock=HastyClock()), 100.0)
    with turn.token_step():
        pass
    speech = Step(turn.speech_step)  # which waits for the next token, and none will come
    assert speech.is_taken()
    speech.end()


def test_a_turn_that_is_over_keeps_the_device_for_nobody(device: Device, busy: Step) -> None:
    new, sounding = device.turn(), Step(heard(device, 1.0).speech_step)
    step = Step(new.token_step)
    busy.end()
    assert step.is_taken()
    step.end()
    assert sounding.waits()
    new.give_way()
    assert sounding.is_taken()
    sounding.end()


def test_a_turn_that_never_sounds_does_not_keep_newer_ones_waiting_for_ever(
    device: Device, busy: Step
) -> None:
    silent = device.turn()
    busy.end()
    for _ in range(PATIENCE_STEPS):
        with silent.token_step():
            pass
    blocker = Step(silent.token_step)
    assert blocker.is_taken()
    newer, again = Step(device.turn().token_step), Step(silent.token_step)
    assert newer.waits()
    blocker.end()
    assert newer.is_taken()
    assert again.waits()
    newer.end()


def test_a_cancelled_turn_begins_no_further_step(device: Device, busy: Step) -> None:
    turn = heard(device, 1.0)
    waiting = Step(turn.speech_step)
    assert waiting.waits()
    turn.cancel()
    assert waiting.refused.wait(SOON)  # at once, though the device is busy
    with pytest.raises(TurnCancelled), turn.token_step():
        raise AssertionError("the step began")


def test_engines_on_two_devices_do_not_wait_for_each_other(clock: HandClock) -> None:
    two = Device(one_device=False, clock=clock)
    turn, other = two.turn(), two.turn()
    turn.chunk_waits()
    token, speech = Step(turn.token_step), Step(turn.speech_step)
    assert token.is_taken()
    assert speech.is_taken()
    second_token = Step(other.token_step)
    assert second_token.waits()  # but two turns' tokens do
    speech.end()
    turn.audio_out(0.1)
    token.end()
    assert second_token.is_taken()
    second_token.end()


def test_every_step_of_many_turns_at_once_is_taken() -> None:
    device = DeviceQueue(buffer_s=BUFFER_S)
    taken = []

    def run(turn: TurnTaking) -> None:
        for number in range(30):
            with turn.token_step() if number % 3 else turn.speech_step():
                taken.append(number)
            if number == 10:
                turn.audio_out(0.01)
        turn.give_way()

    threads = [threading.Thread(target=run, args=(TurnTaking(device=device),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(taken) == 8 * 30
