"""The order in which a language model and a synthesizer use the device that they share.

Two engines on one device slow each other down, and their order decides when the listener hears
something. `TurnTaking` gives the device to one step at a time (a token, a window of frames), by one
rule: **what leads to the first audio goes first; after it, speech goes before tokens while the
listener's buffer is short, and tokens before speech otherwise.** So the reply's text is complete as
early as playback without stalls allows.

A server computes several turns at once on one device. Their `TurnTaking`s share a `DeviceQueue`: a
turn without audio goes before turns with audio, the oldest first. Among turns with audio, the one
whose listener runs out of audio first goes first.

Engines on different devices, or remote ones, need no order: `FreeForAll`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

BUFFER_S = 0.6
"""Audio in the listener's buffer from which on tokens go first: a few token steps and one window of
speech on a slow CPU."""

LEAST_BUFFER_S = 0.15
"""The same on a fast machine: as long as another program may delay a step."""

STEPS_IN_HAND = 8
"""The buffer lasts for this many of the longest steps of speech, if their time is known."""

HOLD_S = 0.005
"""How long the device is reserved for the next step of a turn that goes first. The language model's
thread needs some microseconds between two tokens. Without this, a window of speech would start
after every token."""

PATIENCE_STEPS = 64
"""After this many steps without output a turn goes behind newer ones."""

_Rank = tuple[int, int, int]


def buffer_for(longest_step_s: float) -> float:
    """Return the length of the buffer, in seconds, for a longest step of speech, in seconds."""
    return min(max(STEPS_IN_HAND * longest_step_s, LEAST_BUFFER_S), BUFFER_S)


class TurnCancelled(BaseException):
    """Raised in the threads of a turn that was cancelled; not an error."""


class FreeForAll:
    """No order: every step may start at once."""

    def chunk_waits(self) -> None:
        """Record that a text chunk waits for the synthesizer."""

    def chunk_spoken(self) -> None:
        """Record that the synthesizer has finished a text chunk, or has given up."""

    def audio_out(self, seconds: float) -> None:
        """Record that this much audio came out."""

    def text_out(self) -> None:
        """Record a token of a turn without audio."""

    def give_way(self) -> None:
        """Let all waiting steps go: the turn is over or given up."""

    def cancel(self) -> None:
        """Start no further step: waiting and later steps raise `TurnCancelled`."""

    @contextmanager
    def token_step(self) -> Iterator[None]:
        """Take one token step."""
        yield

    @contextmanager
    def speech_step(self) -> Iterator[None]:
        """Take one window of speech."""
        yield


@dataclass(eq=False, slots=True)
class _Step:
    """A waiting step: its turn, its kind, the lane it needs, and whether it may start."""

    turn: TurnTaking
    kind: str
    lane: str
    may_go: Callable[[], bool]


class DeviceQueue:
    """The waiting steps of all turns that use the same engines.

    ``one_device`` is False if the language model and the voice have different devices: then a token
    and a window of speech may run at the same time, and only turns compete. ``buffer_s`` is the
    length of each listener's buffer, ``clock`` a monotonic clock in nanoseconds.
    """

    def __init__(
        self,
        *,
        one_device: bool = True,
        buffer_s: float = BUFFER_S,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.one_device = one_device
        self._buffer_s = buffer_s
        self.clock = clock
        self.changed = threading.Condition()
        self._waiting: list[_Step] = []
        self._busy: set[str] = set()
        self._held: dict[str, tuple[TurnTaking, int]] = {}
        self._numbers = itertools.count()

    def turn(self) -> TurnTaking:
        """Return the schedule of a new turn."""
        return TurnTaking(self._buffer_s, self.clock, self)

    def next_number(self) -> int:
        """Return the number of a new turn; older turns have smaller numbers."""
        return next(self._numbers)

    @contextmanager
    def step(self, turn: TurnTaking, kind: str, may_go: Callable[[], bool]) -> Iterator[None]:
        """Wait until ``turn`` goes first, then hold the device of ``kind`` for one step."""
        step = _Step(turn, kind, "device" if self.one_device else kind, may_go)
        with self.changed:
            self._waiting.append(step)
            try:
                while not self._goes(step):
                    self.changed.wait(self._look_again_in_s(step))
                turn.refuse_if_cancelled()
            finally:
                self._waiting.remove(step)
            self._busy.add(step.lane)
            self._held.pop(step.lane, None)
        try:
            yield
        finally:
            with self.changed:
                self._busy.discard(step.lane)
                if turn.is_unheard or (kind == "token" and turn.has_enough()):
                    self._held[step.lane] = (turn, self.clock() + round(HOLD_S * 1e9))
                self.changed.notify_all()

    def let_go(self, turn: TurnTaking) -> None:
        """End the reservation of the device for ``turn``; the lock is held."""
        self._held = {lane: held for lane, held in self._held.items() if held[0] is not turn}

    def _goes(self, step: _Step) -> bool:
        """Return whether ``step`` may start now; the lock is held."""
        if step.turn.is_cancelled:
            return True
        if step.lane in self._busy or not step.may_go() or self._held_for_s(step) is not None:
            return False
        able = (other for other in self._waiting if other.lane == step.lane and other.may_go())
        return min(able, key=_place) is step

    def _look_again_in_s(self, step: _Step) -> float | None:
        """Return after how long `_goes` must be checked again without a notification; locked.

        A step that holds the device notifies when it ends. While no step holds it, the order may
        change by time alone, without a notification.
        """
        if step.lane in self._busy:
            return None
        held_s = self._held_for_s(step)
        return HOLD_S if held_s is None else held_s

    def _held_for_s(self, step: _Step) -> float | None:
        """Return how long the device is still reserved for a turn that goes before ``step``."""
        turn, until_ns = self._held.get(step.lane, (step.turn, 0))
        left_ns = until_ns - self.clock()
        before = _speech_can_wait(step) if turn is step.turn else turn.rank() < step.turn.rank()
        return left_ns / 1e9 if before and left_ns > 0 else None


def _place(step: _Step) -> tuple[_Rank, bool]:
    """Return the place of a waiting step; the smallest goes first."""
    return step.turn.rank(), _speech_can_wait(step)


def _speech_can_wait(step: _Step) -> bool:
    return step.kind == "speech" and step.turn.has_enough()


class TurnTaking(FreeForAll):
    """The schedule of one voice turn: one step at a time.

    The listener is assumed to start at first audio, and to pause whenever the buffer is empty;
    ``clock`` (monotonic, nanoseconds) gives how much has been played. ``device`` is the queue that
    other turns share.
    """

    def __init__(
        self,
        buffer_s: float = BUFFER_S,
        clock: Callable[[], int] = time.perf_counter_ns,
        device: DeviceQueue | None = None,
    ) -> None:
        self._buffer_s = buffer_s
        self._clock = clock
        self._device = device or DeviceQueue(clock=clock)
        self._changed = self._device.changed
        self._number = self._device.next_number()
        self._chunks_waiting = 0
        self._steps = 0
        self._played_out_ns: int | None = None
        self.is_cancelled = False

    @property
    def is_unheard(self) -> bool:
        """Whether this turn has had no output yet."""
        return self._played_out_ns is None

    def has_enough(self) -> bool:
        """Return whether the listener's buffer is long enough for tokens to go first."""
        if self._played_out_ns is None:
            return False
        return (self._played_out_ns - self._clock()) / 1e9 >= self._buffer_s

    def rank(self) -> _Rank:
        """Return the turn's place among all turns; the smallest goes first."""
        if self._played_out_ns is None:
            return 0, self._steps // PATIENCE_STEPS, self._number
        return 1, self._played_out_ns, self._number

    def refuse_if_cancelled(self) -> None:
        """Raise `TurnCancelled` if the turn is cancelled; otherwise count the step."""
        if self.is_cancelled:
            raise TurnCancelled
        self._steps += 1

    def chunk_waits(self) -> None:
        with self._changed:
            self._chunks_waiting += 1

    def chunk_spoken(self) -> None:
        with self._changed:
            self._chunks_waiting -= 1
            self._changed.notify_all()

    def audio_out(self, seconds: float) -> None:
        with self._changed:
            now_ns = self._clock()
            # A listener without audio pauses, so an earlier stall makes nothing urgent now.
            empty_ns = now_ns if self._played_out_ns is None else max(self._played_out_ns, now_ns)
            self._played_out_ns = empty_ns + round(seconds * 1e9)
            self._device.let_go(self)
            self._changed.notify_all()

    def text_out(self) -> None:
        self.audio_out(0.0)

    def give_way(self) -> None:
        with self._changed:
            self._chunks_waiting = 0
            self._device.let_go(self)
            self._changed.notify_all()

    def cancel(self) -> None:
        with self._changed:
            self.is_cancelled = True
        self.give_way()

    @contextmanager
    def token_step(self) -> Iterator[None]:
        """Hold the device for one token, unless speech goes first."""
        with self._device.step(self, "token", lambda: not self._speech_goes_first()):
            yield

    @contextmanager
    def speech_step(self) -> Iterator[None]:
        """Hold the device for one window of speech, unless a token goes first."""
        with self._device.step(self, "speech", lambda: True):
            yield

    def _speech_goes_first(self) -> bool:
        if self._chunks_waiting == 0 or not self._device.one_device:
            return False
        return not self.has_enough()
