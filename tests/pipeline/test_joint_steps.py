"""Which turns share a step, in which order, and that nobody starves: no threads, a scripted clock.

A pass takes a scripted time, so a whole burst of turns is played in a moment.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from voicebench.pipeline.device_queue import GATHER_S, STEP_S, DeviceQueue, DeviceStep, company
from voicebench.pipeline.scheduling import FIRST_AUDIO_MS, TurnTaking

PASS_S = 0.004
ROW_S = 0.001
PROMPT_ROWS = 16
SPEECH_S = 0.008
WINDOW_S = 0.5
"""Audio of a window of speech."""
OPENING_S = 0.05
"""Audio of the first window."""


class HandClock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> int:
        return round(self.seconds * 1e9)


class CountedSharing:
    """A model's side of joint steps: counts what is announced and what has ended."""

    def __init__(self) -> None:
        self.joint: list[int] = []
        self.open = 0

    def expect(self, steps: int) -> None:
        assert self.open == 0, "a second joint step began"
        self.joint.append(steps)
        self.open += steps

    def ended(self) -> None:
        self.open -= 1


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def sharing() -> CountedSharing:
    return CountedSharing()


@pytest.fixture
def device(clock: HandClock, sharing: CountedSharing) -> DeviceQueue:
    return DeviceQueue(buffer_s=0.15, clock=clock, sharing=sharing)


def reading(device: DeviceQueue) -> TurnTaking:
    return TurnTaking(device=device)


def writing(device: DeviceQueue) -> TurnTaking:
    turn = TurnTaking(device=device)
    turn.prompt_read()
    return turn


def heard(device: DeviceQueue, seconds: float) -> TurnTaking:
    turn = writing(device)
    turn.audio_out(seconds)
    return turn


def ask(device: DeviceQueue, *turns: TurnTaking) -> list[DeviceStep]:
    """Put a token step of each turn into the queue while the device is busy; then free it."""
    blocker = device.ask(heard(device, 0.0), "speech", lambda: True)
    steps = [device.ask(turn, "token", lambda: True) for turn in turns]
    assert not any(step.goes for step in steps)
    device.end(blocker)
    return steps


def going(steps: list[DeviceStep]) -> list[bool]:
    return [step.goes for step in steps]


def test_the_tokens_of_all_turns_with_audio_are_one_step(
    device: DeviceQueue, sharing: CountedSharing
) -> None:
    steps = ask(device, *(heard(device, seconds) for seconds in (1.0, 0.1, 2.0)))
    assert going(steps) == [True] * 3
    assert sharing.joint == [3]


def test_without_a_model_that_shares_steps_one_turn_goes_at_a_time(clock: HandClock) -> None:
    alone = DeviceQueue(buffer_s=0.15, clock=clock)
    steps = ask(alone, heard(alone, 1.0), heard(alone, 0.5))
    assert going(steps) == [False, True]


def test_a_turn_with_audio_in_hand_does_not_join_one_without(device: DeviceQueue) -> None:
    steps = ask(device, writing(device), heard(device, 1.0), heard(device, 0.1))
    assert going(steps) == [True, False, True]


def test_a_prompt_does_not_delay_more_turns_than_wait(device: DeviceQueue) -> None:
    steps = ask(device, writing(device), writing(device), reading(device))
    assert going(steps) == [True, True, False]


@pytest.mark.parametrize(("prompts", "together"), [(1, 1), (2, 2), (3, 2), (4, 3), (8, 5)])
def test_of_prompts_that_come_at_once_the_older_ones_are_read_together(
    device: DeviceQueue, prompts: int, together: int
) -> None:
    steps = ask(device, *(reading(device) for _ in range(prompts)))
    assert going(steps) == [True] * together + [False] * (prompts - together)


def test_a_joint_step_waits_for_the_turns_that_shared_the_last_one(
    device: DeviceQueue, clock: HandClock
) -> None:
    turns = [heard(device, 1.0), heard(device, 1.0)]
    for step in ask(device, *turns):
        device.end(step)
    first = device.ask(turns[0], "token", lambda: True)
    assert not first.goes
    second = device.ask(turns[1], "token", lambda: True)
    assert going([first, second]) == [True, True]
    for step in (first, second):
        device.end(step)
    again = device.ask(turns[0], "token", lambda: True)
    clock.seconds += 2 * GATHER_S  # the other turn's thread is kept up
    device.let_go()
    assert again.goes


def test_a_turn_whose_reply_is_written_is_waited_for_no_longer(device: DeviceQueue) -> None:
    turns = [heard(device, 1.0), heard(device, 1.0)]
    for step in ask(device, *turns):
        device.end(step)
    turns[1].reply_written()
    assert device.ask(turns[0], "token", lambda: True).goes


def test_a_cancelled_turn_leaves_and_the_others_go_on(
    device: DeviceQueue, sharing: CountedSharing
) -> None:
    turns = [heard(device, 1.0), heard(device, 1.0), heard(device, 1.0)]
    steps = ask(device, *turns)
    turns[1].cancel()
    for step in steps:
        device.end(step)
    later = [device.ask(turns[n], "token", lambda: True) for n in (0, 2)]
    assert going(later) == [True, True]
    assert sharing.joint == [3, 2]


def test_speech_goes_before_the_tokens_of_turns_without_audio(device: DeviceQueue) -> None:
    older, newer = writing(device), writing(device)
    blocker = device.ask(heard(device, 0.0), "speech", lambda: True)
    token = device.ask(older, "token", lambda: True)
    speech = device.ask(newer, "speech", lambda: True)
    device.end(blocker)
    assert speech.goes
    assert not token.goes


@dataclass
class Played:
    """A turn that is played by the script, and when it was heard."""

    turn: TurnTaking
    began_s: float
    tokens: int = 0
    chunks: int = 0
    windows: int = 0
    first_audio_s: float | None = None
    empty_s: float = 0.0
    """When its listener has played what came so far."""
    stall_s: float = 0.0
    waits: dict[str, DeviceStep] = field(default_factory=dict)

    def token_may_go(self) -> bool:
        return not self.turn._speech_goes_first()

    @property
    def is_over(self) -> bool:
        return self.tokens >= 16 and not self.chunks


class Script:
    """Plays turns against the queue: each asks for what it needs, each step takes its time."""

    def __init__(self, device: DeviceQueue, clock: HandClock) -> None:
        self.device, self.clock = device, clock
        self.turns: list[Played] = []

    def begin(self) -> None:
        self.turns.append(Played(TurnTaking(device=self.device), self.clock.seconds))

    def play(self) -> None:
        """Let every turn ask, and compute the steps that go; without any, let time pass."""
        for one in self.turns:
            if one.tokens < 16 and "token" not in one.waits:
                one.waits["token"] = self.device.ask(one.turn, "token", one.token_may_go)
            if one.chunks and "speech" not in one.waits:
                one.waits["speech"] = self.device.ask(one.turn, "speech", lambda: True)
        self.device.let_go()
        going = [
            (one, kind, step) for one in self.turns for kind, step in one.waits.items() if step.goes
        ]
        if not going:
            self.clock.seconds += 0.001
            return
        rows = sum(PROMPT_ROWS if one.turn.is_reading else 1 for one, _, _ in going)
        is_speech = going[0][1] == "speech"
        self.clock.seconds += SPEECH_S if is_speech else PASS_S + ROW_S * rows
        for one, kind, step in going:
            del one.waits[kind]
            one.turn._steps += 1
            if kind == "speech":
                self._window(one)
            else:
                self._token(one)
            self.device.end(step)
        self.turns = [one for one in self.turns if not one.is_over]

    def _window(self, one: Played) -> None:
        if one.first_audio_s is None:
            one.first_audio_s = self.clock.seconds - one.began_s
        opening_s = OPENING_S + one.turn.opening_ms() / 1000
        seconds = WINDOW_S if one.windows else opening_s
        one.stall_s += max(0.0, self.clock.seconds - one.empty_s) if one.windows else 0.0
        one.empty_s = max(one.empty_s, self.clock.seconds) + seconds
        one.turn.audio_out(seconds)
        one.windows += 1
        if one.windows % 3 == 0:
            one.chunks -= 1
            one.turn.chunk_spoken()

    def _token(self, one: Played) -> None:
        one.turn.prompt_read()
        one.tokens += 1
        if one.tokens in (4, 16):
            one.turn.chunk_waits()
            one.chunks += 1
        if one.tokens == 16:
            one.turn.reply_written()


def test_eight_turns_that_start_together_are_heard_soon(
    device: DeviceQueue, clock: HandClock
) -> None:
    """In the script's times, against turns that are computed one after another."""
    script = Script(device, clock)
    for _ in range(8):
        script.begin()
    all_turns = list(script.turns)
    while script.turns:
        script.play()
    heard = sorted(one.first_audio_s or 1e9 for one in all_turns)
    one_after_another = PASS_S * 4 + ROW_S * (PROMPT_ROWS + 3) + SPEECH_S
    assert heard[-1] < 0.8 * 8 * one_after_another
    assert (heard[3] + heard[4]) / 2 < 0.9 * 4.5 * one_after_another


def test_nobody_starves_under_a_stream_of_new_turns(device: DeviceQueue, clock: HandClock) -> None:
    """New turns come as fast as the device can hold; each is heard, and each one ends."""
    script, draws = Script(device, clock), random.Random(1)
    everybody: list[Played] = []
    next_s = clock.seconds
    while len(everybody) < 60:
        while clock.seconds >= next_s:
            script.begin()
            everybody.append(script.turns[-1])
            next_s += draws.expovariate(1 / 0.12)
        script.play()
    end_s = clock.seconds
    while script.turns:
        script.play()
        assert clock.seconds < end_s + 5, "a turn never ended"
    heard = sorted(one.first_audio_s or 1e9 for one in everybody)
    assert heard[30] < 0.1
    assert heard[-1] < 0.5


def test_a_first_window_lasts_while_others_are_made_to_be_heard(device: DeviceQueue) -> None:
    first = writing(device)
    assert first.opening_ms() == 0.0
    ask(device, first, writing(device), reading(device), heard(device, 1.0))
    assert first.opening_ms() == 2 * FIRST_AUDIO_MS


def test_a_short_buffer_joins_the_steps_of_new_turns(device: DeviceQueue) -> None:
    new, dry = writing(device), heard(device, 0.05)
    assert [one.turn for one in company(ask(device, new, dry))] == [new, dry]


@pytest.mark.parametrize(
    ("left_s", "prompts", "speaks"),
    [
        (1.5 * STEP_S, 0, True),
        (2.5 * STEP_S, 0, False),
        (2.5 * STEP_S, 1, True),
        (3.5 * STEP_S, 1, False),
        (3.5 * STEP_S, 2, True),
    ],
)
def test_a_listener_who_would_run_out_during_a_step_of_new_turns_is_served_before_it(
    device: DeviceQueue, left_s: float, prompts: int, speaks: bool
) -> None:
    dry = heard(device, left_s)
    blocker = device.ask(heard(device, 0.0), "speech", lambda: True)
    new = reading if prompts else writing
    tokens = [device.ask(new(device), "token", lambda: True) for _ in range(max(prompts, 1))]
    speech = device.ask(dry, "speech", lambda: True)
    device.end(blocker)
    assert speech.goes is speaks
    assert going(tokens) == [not speaks] * len(tokens)


def test_a_listener_who_runs_out_is_served_before_the_first_window_of_another(
    device: DeviceQueue,
) -> None:
    blocker = device.ask(heard(device, 0.0), "speech", lambda: True)
    opening = device.ask(writing(device), "speech", lambda: True)
    later, sooner = (
        device.ask(heard(device, seconds), "speech", lambda: True) for seconds in (0.01, 0.005)
    )
    device.end(blocker)
    assert going([opening, later, sooner]) == [False, False, True]


def test_turns_that_come_one_after_another_are_played_without_a_stall(
    device: DeviceQueue, clock: HandClock
) -> None:
    """The first window is longer for each turn that waits; here they come after it."""
    script = Script(device, clock)
    everybody: list[Played] = []
    begin_s = clock.seconds
    while len(everybody) < 8 or script.turns:
        if len(everybody) < 8 and clock.seconds - begin_s >= 0.02 * len(everybody):
            script.begin()
            everybody.append(script.turns[-1])
        script.play()
    assert [round(one.stall_s, 6) for one in everybody] == [0.0] * 8
