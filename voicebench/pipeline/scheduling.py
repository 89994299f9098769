"""Who may use the computing device next, when a language model and a synthesizer share it.

Two engines on one device slow each other down, and the order of their work decides when the
listener hears something. `TurnTaking` hands the device out one step at a time (a token, a window
of frames) by one rule: **what leads to the first audio goes first; after it, speech goes before
tokens while the listener's buffer is short, and tokens before speech while it is not.** So the
reply's text is complete as early as playing without a stall allows.

A server has several turns at once on the same device. Their `TurnTaking`s share one `DeviceQueue`,
and the rule goes on between them: a turn that nobody hears yet goes before turns that sound
already, the oldest first; of those that sound, the one whose listener runs dry first.

Engines on different devices, or behind a wire, need no such order: `FreeForAll`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

BUFFER_S = 0.6
"""Audio that the listener should have in hand before tokens go first again: a few token steps and
one window of speech on a slow CPU."""

LEAST_BUFFER_S = 0.15
"""The same on a fast machine: what a moment of another program's work may take."""

STEPS_IN_HAND = 8
"""How many of the longest steps of speech the buffer lasts, where their time is known."""

HOLD_S = 0.005
"""How long the device is kept free for the next step that should go before others. The thread of
the language model needs some microseconds between two tokens; without this, a window of speech, of
another turn or of the same, would slip in after every token."""

PATIENCE_STEPS = 64
"""Steps after which a turn that still brought nothing goes behind newer ones."""

_Rank = tuple[int, int, int]


def buffer_for(longest_step_s: float) -> float:
    """Return the audio, in seconds, to have in hand where steps of speech take so long at most."""
    return min(max(STEPS_IN_HAND * longest_step_s, LEAST_BUFFER_S), BUFFER_S)


class TurnCancelled(BaseException):
    """Raised in the threads of a turn that nobody waits for any more; no error of anyone's."""


class FreeForAll:
    """No order: every step may be taken at once."""

    def chunk_waits(self) -> None:
        """Note that a text chunk waits for the synthesizer."""

    def chunk_spoken(self) -> None:
        """Note that the synthesizer is done with a text chunk, or gave it up."""

    def audio_out(self, seconds: float) -> None:
        """Note that so much audio came out."""

    def text_out(self) -> None:
        """Note that a token came out of a turn that is only read."""

    def give_way(self) -> None:
        """Let whoever waits go: the turn is over, or is being given up."""

    def cancel(self) -> None:
        """Let no further step begin: those that wait or come raise `TurnCancelled`."""

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
    """A step that waits: whose it is, of which kind, on which lane, and whether it may go."""

    turn: TurnTaking
    kind: str
    lane: str
    may_go: Callable[[], bool]


class DeviceQueue:
    """The steps of all turns that wait for the same engines.

    ``one_device`` is False where the language model and the voice each have a device of their
    own: then a token and a window of speech may run at once, and only turns compete.
    ``buffer_s`` is the audio that each turn's listener should have in hand. ``clock`` gives
    nanoseconds on a monotonic clock.
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
        """Return the order of work for one more turn."""
        return TurnTaking(self._buffer_s, self.clock, self)

    def next_number(self) -> int:
        """Return the number of a new turn: older turns have smaller ones."""
        return next(self._numbers)

    @contextmanager
    def step(self, turn: TurnTaking, kind: str, may_go: Callable[[], bool]) -> Iterator[None]:
        """Hold the device of ``kind`` for one step of ``turn``, once it is its turn."""
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
        """Keep the device free for ``turn`` no longer; the lock is held."""
        self._held = {lane: held for lane, held in self._held.items() if held[0] is not turn}

    def _goes(self, step: _Step) -> bool:
        """Tell whether ``step`` may go now; the lock is held."""
        if step.turn.is_cancelled:
            return True
        if step.lane in self._busy or not step.may_go() or self._held_for_s(step) is not None:
            return False
        able = (other for other in self._waiting if other.lane == step.lane and other.may_go())
        return min(able, key=_place) is step

    def _look_again_in_s(self, step: _Step) -> float | None:
        """Return when to look whether ``step`` may go though nobody said so; the lock is held.

        Who has the device says when it is free. As long as nobody has it, time alone can change
        who goes next: what was found a moment ago may not hold any more, and nobody would say so.
        """
        if step.lane in self._busy:
            return None
        held_s = self._held_for_s(step)
        return HOLD_S if held_s is None else held_s

    def _held_for_s(self, step: _Step) -> float | None:
        """Return how long the device is still kept free for a turn that goes before ``step``."""
        turn, until_ns = self._held.get(step.lane, (step.turn, 0))
        left_ns = until_ns - self.clock()
        before = _speech_can_wait(step) if turn is step.turn else turn.rank() < step.turn.rank()
        return left_ns / 1e9 if before and left_ns > 0 else None


def _place(step: _Step) -> tuple[_Rank, bool]:
    """Return the place of a waiting step among all: the smallest goes first."""
    return step.turn.rank(), _speech_can_wait(step)


def _speech_can_wait(step: _Step) -> bool:
    return step.kind == "speech" and step.turn.has_enough()


class TurnTaking(FreeForAll):
    """One step at a time, for the duration of one voice turn.

    ``clock`` (nanoseconds, monotonic) tells how much of the audio that came out has been played
    by a listener who started at first audio and pauses whenever the buffer is empty. ``device`` is
    what other turns compete for, where there are others.
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
        """Whether nothing came out of this turn yet."""
        return self._played_out_ns is None

    def has_enough(self) -> bool:
        """Whether the listener has so much audio in hand that tokens go before speech."""
        if self._played_out_ns is None:
            return False
        return (self._played_out_ns - self._clock()) / 1e9 >= self._buffer_s

    def rank(self) -> _Rank:
        """Return the turn's place among all: the smallest goes first."""
        if self._played_out_ns is None:
            return 0, self._steps // PATIENCE_STEPS, self._number
        return 1, self._played_out_ns, self._number

    def refuse_if_cancelled(self) -> None:
        """Raise `TurnCancelled` if the turn is; count the step otherwise."""
        if self.is_cancelled:
            raise TurnCancelled
        self._steps += 1

    def chunk_waits(self) -> None:
        """Note that a text chunk waits for the synthesizer."""
        with self._changed:
            self._chunks_waiting += 1

    def chunk_spoken(self) -> None:
        """Note that the synthesizer is done with a text chunk, or gave it up."""
        with self._changed:
            self._chunks_waiting -= 1
            self._changed.notify_all()

    def audio_out(self, seconds: float) -> None:
        """Note that so much audio came out."""
        with self._changed:
            now_ns = self._clock()
            # Out of audio, the listener pauses: a wait in the past makes nothing urgent now.
            empty_ns = now_ns if self._played_out_ns is None else max(self._played_out_ns, now_ns)
            self._played_out_ns = empty_ns + round(seconds * 1e9)
            self._device.let_go(self)
            self._changed.notify_all()

    def text_out(self) -> None:
        """Note that a token came out of a turn that is only read."""
        self.audio_out(0.0)

    def give_way(self) -> None:
        """Let whoever waits go: the turn is over, or is being given up."""
        with self._changed:
            self._chunks_waiting = 0
            self._device.let_go(self)
            self._changed.notify_all()

    def cancel(self) -> None:
        """Let no further step begin: those that wait or come raise `TurnCancelled`."""
        with self._changed:
            self.is_cancelled = True
        self.give_way()

    @contextmanager
    def token_step(self) -> Iterator[None]:
        """Hold the device for one token, once speech does not need it more."""
        with self._device.step(self, "token", lambda: not self._speech_goes_first()):
            yield

    @contextmanager
    def speech_step(self) -> Iterator[None]:
        """Hold the device for one window of speech, once no token goes before it."""
        with self._device.step(self, "speech", lambda: True):
            yield

    def _speech_goes_first(self) -> bool:
        if self._chunks_waiting == 0 or not self._device.one_device:
            return False
        return not self.has_enough()
