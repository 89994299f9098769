"""The steps that wait for a device, and which of them go next.

A step is a token, a piece of a prompt or a window of speech. Where the language model computes
several turns at once, token steps of several turns are one *joint* step: it reads the model's
weights once. A turn joins it with its next step, and leaves it by not asking for another.

These rules say who goes next:

- A turn without audio goes before turns with audio, and the oldest of them first. Its speech goes
  before tokens, its own and those of other such turns: it needs no more steps to be heard.
- Among turns with audio, the one whose listener runs out of audio first goes first.
- The tokens of all turns without audio are one joint step. A prompt joins as long as no more turns
  are delayed by it than wait: then more turns share the steps after it, which is sooner for most.
- Before a step of turns without audio, a turn with audio speaks if its listener would run out
  meanwhile. A window brings more audio than the time that it takes, so this delays nobody long.
- A turn with audio joins turns without only if its own buffer is short: otherwise a stream of new
  turns could keep it waiting for ever.
- The tokens of all turns with audio are one joint step.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from voicebench.pipeline.queued_turn import QueuedTurn, StepSharing

HOLD_S = 0.005
"""How long the device is reserved for the next step of a turn that goes first. The language model's
thread needs some microseconds between two tokens. Without this, a window of speech would start
after every token."""

GATHER_S = 0.002
"""How long a token step waits for the turns that shared the last one: their threads come back one
after another. A pass that went without them would read the weights for one turn only."""

STEP_S = 0.015
"""How long a step takes: seldom more, and a prompt that it reads as much again. A listener who has
less audio than the next step takes, and the own window after it, would run out."""

StepKind = Literal["token", "speech"]


class TurnCancelled(BaseException):
    """Raised in the threads of a turn that was cancelled; not an error."""


@dataclass(eq=False, slots=True)
class DeviceStep:
    """A step: its turn, its kind, the lane it needs, and whether it may start.

    ``goes`` is set when it holds the device. ``wake`` is notified then.
    """

    turn: QueuedTurn
    kind: StepKind
    lane: str
    may_go: Callable[[], bool]
    wake: threading.Condition
    goes: bool = False


@dataclass(slots=True)
class _Lane:
    """A device: the steps that hold it, and the turns whose next step it waits for.

    Times are in nanoseconds: until when it is kept for a turn, and until when a joint step waits.
    """

    holding: list[DeviceStep] = field(default_factory=list)
    kept: dict[QueuedTurn, int] = field(default_factory=dict)
    joining: dict[QueuedTurn, int] = field(default_factory=dict)


class DeviceQueue:
    """The waiting steps of all turns that use the same engines.

    ``one_device`` is False if the language model and the voice have different devices: then a token
    and a window of speech may run at the same time, and only turns compete. ``buffer_s`` is the
    length of each listener's buffer, ``clock`` a monotonic clock in nanoseconds. ``sharing`` is the
    language model, if it computes the steps of several turns at once.
    """

    def __init__(
        self,
        *,
        one_device: bool = True,
        buffer_s: float,
        clock: Callable[[], int] = time.perf_counter_ns,
        sharing: StepSharing | None = None,
    ) -> None:
        self.one_device = one_device
        self.buffer_s = buffer_s
        self.clock = clock
        self.lock = threading.RLock()
        self._sharing = sharing
        self._waiting: list[DeviceStep] = []
        self._lanes: dict[str, _Lane] = {}
        self._numbers = itertools.count()

    def next_number(self) -> int:
        """Return the number of a new turn; older turns have smaller numbers."""
        return next(self._numbers)

    @contextmanager
    def step(self, turn: QueuedTurn, kind: StepKind, may_go: Callable[[], bool]) -> Iterator[None]:
        """Wait until ``turn`` goes, then hold the device of ``kind`` for one step.

        Raises `TurnCancelled` if the turn is cancelled before it goes.
        """
        with self.lock:
            step = self.ask(turn, kind, may_go)
            try:
                while not step.goes and not turn.is_cancelled:
                    step.wake.wait(self._look_again_in_s(step))
                    self.let_go()
            finally:
                if not step.goes:
                    self._waiting.remove(step)
                    self.let_go()
        if not step.goes:
            raise TurnCancelled
        try:
            if turn.is_cancelled:
                raise TurnCancelled
            yield
        finally:
            self.end(step)

    def ask(self, turn: QueuedTurn, kind: StepKind, may_go: Callable[[], bool]) -> DeviceStep:
        """Put a step into the queue, and let go who may go now; ``step`` waits for it."""
        with self.lock:
            lane = "device" if self.one_device else kind
            step = DeviceStep(turn, kind, lane, may_go, threading.Condition(self.lock))
            self._waiting.append(step)
            self.let_go()
            return step

    def end(self, step: DeviceStep) -> None:
        """End a step that held the device, and let go who may go now."""
        with self.lock:
            lane, turn, now = self._lane(step.lane), step.turn, self.clock()
            lane.holding.remove(step)
            is_shared = step.kind == "token" and self._sharing is not None
            if self._sharing is not None and is_shared:
                self._sharing.ended()
            if not turn.is_cancelled:
                if turn.is_unheard or (step.kind == "token" and turn.has_enough()):
                    lane.kept[turn] = now + round(HOLD_S * 1e9)
                if is_shared:
                    lane.joining[turn] = now + round(GATHER_S * 1e9)
            self.let_go()

    def keep_no_longer(self, turn: QueuedTurn) -> None:
        """Keep no device for ``turn``, and let go who may go now."""
        with self.lock:
            for lane in self._lanes.values():
                lane.kept.pop(turn, None)
            self.let_go()

    def leave(self, turn: QueuedTurn) -> None:
        """Let no joint step wait for ``turn``, and let go who may go now."""
        with self.lock:
            for lane in self._lanes.values():
                lane.joining.pop(turn, None)
            self.let_go()

    def unheard_beside(self, turn: QueuedTurn) -> int:
        """Return how many other turns without audio use the device or wait for it."""
        with self.lock:
            steps = [
                *self._waiting,
                *(step for one in self._lanes.values() for step in one.holding),
            ]
            others = {step.turn for step in steps} | {
                t for one in self._lanes.values() for t in one.kept
            }
            return sum(other.is_unheard and other is not turn for other in others)

    def let_go(self) -> None:
        """Give each free device to the steps that go next."""
        with self.lock:
            for step in self._waiting:
                if step.turn.is_cancelled:
                    step.wake.notify()
            for name in {step.lane for step in self._waiting}:
                chosen = self._next(name)
                lane = self._lane(name)
                for step in chosen:
                    self._waiting.remove(step)
                    lane.holding.append(step)
                    lane.kept.pop(step.turn, None)
                    lane.joining.pop(step.turn, None)
                    step.goes = True
                    step.wake.notify()
                if self._sharing is not None and chosen and chosen[0].kind == "token":
                    self._sharing.expect(len(chosen))
                if not lane.holding:
                    # Nobody will notify; so one of those that wait must look again by itself.
                    next(step for step in self._waiting if step.lane == name).wake.notify()

    def _lane(self, name: str) -> _Lane:
        return self._lanes.setdefault(name, _Lane())

    def _next(self, name: str) -> list[DeviceStep]:
        """Return the steps that go together now; none if others go first, or one is waited for."""
        if self._lane(name).holding:
            return []
        here = [step for step in self._waiting if step.lane == name]
        able = sorted(
            (step for step in here if step.may_go() and not step.turn.is_cancelled), key=_place
        )
        if not able or self._waits_before(able[0], here):
            return []
        chosen = able[:1]
        if able[0].kind == "token" and self._sharing is not None:
            chosen = company([step for step in able if step.kind == "token"])
        dry = first_dry(able, chosen)
        return chosen if dry is None else [dry]

    def _look_again_in_s(self, step: DeviceStep) -> float | None:
        """Return after how long `let_go` must be called without a notification.

        A step that holds the device lets others go when it ends. While no step holds it, the order
        may change by time alone.
        """
        lane = self._lane(step.lane)
        if lane.holding:
            return None
        ends = [*lane.kept.values(), *lane.joining.values()]
        left_s = [(end - self.clock()) / 1e9 for end in ends]
        return min([left for left in left_s if left > 0], default=HOLD_S)

    def _waits_before(self, step: DeviceStep, here: list[DeviceStep]) -> bool:
        """Return whether the device still waits for a turn that goes before or with ``step``."""
        lane, now = self._lane(step.lane), self.clock()
        for turn, until in lane.kept.items():
            if until <= now:
                continue
            if turn is step.turn:
                goes_before = _speech_can_wait(step)
            else:
                is_here = any(other.turn is turn and other.may_go() for other in here)
                goes_before = not is_here and turn.rank() < step.turn.rank()
            if goes_before:
                return True
        if step.kind != "token":
            return False
        asking = {other.turn for other in here if other.kind == "token"}
        return any(
            until > now and turn not in asking and (turn.is_unheard or not step.turn.is_unheard)
            for turn, until in lane.joining.items()
        )


def first_dry(able: list[DeviceStep], chosen: list[DeviceStep]) -> DeviceStep | None:
    """Return the first step that speaks to a listener who runs out during the ``chosen`` ones.

    ``able`` are all steps that may go, in their order. None: nobody runs out, or the chosen steps
    are of turns with audio, whose order looks after that.
    """
    if not chosen[0].turn.is_unheard:
        return None
    prompts = sum(step.kind == "token" and step.turn.is_reading for step in chosen)
    speech = (step for step in able if step.kind == "speech" and not step.turn.is_unheard)
    takes_s = STEP_S * (2 + prompts)
    return next((step for step in speech if step.turn.left_s() < takes_s), None)


def company(tokens: list[DeviceStep]) -> list[DeviceStep]:
    """Return those of the waiting token steps, in their order, that are one joint step."""
    if not tokens[0].turn.is_unheard:
        return tokens
    unheard = [step for step in tokens if step.turn.is_unheard]
    reading = [step for step in unheard if step.turn.is_reading]
    writing = [step for step in unheard if not step.turn.is_reading]
    urgent = [step for step in tokens if not step.turn.is_unheard and not step.turn.has_enough()]
    read = 0
    while read < len(reading) and len(writing) + read <= len(reading) - read:
        read += 1
    if not writing:
        read = max(read, 1)
    return [*writing, *reading[:read], *urgent]


def _place(step: DeviceStep) -> tuple[int, int, bool, int, bool]:
    """Return the place of a waiting step; the smallest goes first."""
    group, place, number = step.turn.rank()
    is_farther = step.turn.is_unheard and step.kind == "token"
    return group, place, is_farther, number, _speech_can_wait(step)


def _speech_can_wait(step: DeviceStep) -> bool:
    return step.kind == "speech" and step.turn.has_enough()
