"""The order in which a language model and a synthesizer use the device that they share.

Two engines on one device slow each other down, and their order decides when the listener hears
something. `TurnTaking` gives the device to one step at a time (a token, a window of frames), by one
rule: **what leads to the first audio goes first; after it, speech goes before tokens while the
listener's buffer is short, and tokens before speech otherwise.** So the reply's text is complete as
early as playback without stalls allows.

A server computes several turns at once on one device. Their `TurnTaking`s share a
`voicebench.pipeline.device_queue.DeviceQueue`, which says which turn goes first, and which turns
share a step.

Engines on different devices, or remote ones, need no order: `FreeForAll`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from voicebench.pipeline.device_queue import DeviceQueue
from voicebench.pipeline.queued_turn import Rank

BUFFER_S = 0.6
"""Audio in the listener's buffer from which on tokens go first: a few token steps and one window of
speech on a slow CPU."""

LEAST_BUFFER_S = 0.15
"""The same on a fast machine: as long as another program may delay a step."""

STEPS_IN_HAND = 8
"""The buffer lasts for this many of the longest steps of speech, if their time is known."""

FIRST_AUDIO_MS = 30.0
"""How long each turn without audio may keep the others from their second window: it reads its
prompt, shares some steps, and speaks its first window."""

PATIENCE_STEPS = 64
"""After this many steps without output a turn goes behind newer ones."""


def buffer_for(longest_step_s: float) -> float:
    """Return the length of the buffer, in seconds, for a longest step of speech, in seconds."""
    return min(max(STEPS_IN_HAND * longest_step_s, LEAST_BUFFER_S), BUFFER_S)


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

    def prompt_read(self) -> None:
        """Record that the reply has begun."""

    def reply_written(self) -> None:
        """Record that no token follows."""

    def opening_ms(self) -> float:
        """Return how much more audio the first window should have, because others go next."""
        return 0.0

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


class TurnTaking(FreeForAll):
    """The schedule of one voice turn: one step at a time.

    The listener is assumed to start at first audio, and to pause whenever the buffer is empty;
    ``clock`` (monotonic, nanoseconds) gives how much has been played. ``device`` is a queue that
    other turns share, with its own buffer and clock.
    """

    def __init__(
        self,
        buffer_s: float = BUFFER_S,
        clock: Callable[[], int] = time.perf_counter_ns,
        device: DeviceQueue | None = None,
    ) -> None:
        self._device = device or DeviceQueue(buffer_s=buffer_s, clock=clock)
        self._buffer_s = self._device.buffer_s
        self._clock = self._device.clock
        self._lock = self._device.lock
        self._number = self._device.next_number()
        self._chunks_waiting = 0
        self._steps = 0
        self._played_out_ns: int | None = None
        self._is_cancelled = False
        self._is_reading = True

    @property
    def is_cancelled(self) -> bool:
        """Whether the turn starts no further step."""
        return self._is_cancelled

    @property
    def is_reading(self) -> bool:
        """Whether the next token step reads the prompt, or a piece of it."""
        return self._is_reading

    @property
    def is_unheard(self) -> bool:
        """Whether this turn has had no output yet."""
        return self._played_out_ns is None

    def left_s(self) -> float:
        """Return how much audio the listener has left, in seconds; 0 before the first."""
        if self._played_out_ns is None:
            return 0.0
        return max(0.0, (self._played_out_ns - self._clock()) / 1e9)

    def has_enough(self) -> bool:
        """Return whether the listener's buffer is long enough for tokens to go first."""
        return self._played_out_ns is not None and self.left_s() >= self._buffer_s

    def rank(self) -> Rank:
        """Return the turn's place among all turns; the smallest goes first."""
        if self._played_out_ns is None:
            return 0, self._steps // PATIENCE_STEPS, self._number
        return 1, self._played_out_ns, self._number

    def chunk_waits(self) -> None:
        with self._lock:
            self._chunks_waiting += 1

    def chunk_spoken(self) -> None:
        with self._lock:
            self._chunks_waiting -= 1
            self._device.let_go()

    def audio_out(self, seconds: float) -> None:
        with self._lock:
            now_ns = self._clock()
            # A listener without audio pauses, so an earlier stall makes nothing urgent now.
            empty_ns = now_ns if self._played_out_ns is None else max(self._played_out_ns, now_ns)
            self._played_out_ns = empty_ns + round(seconds * 1e9)
            self._device.keep_no_longer(self)

    def text_out(self) -> None:
        self.audio_out(0.0)

    def prompt_read(self) -> None:
        self._is_reading = False

    def reply_written(self) -> None:
        self._device.leave(self)

    def opening_ms(self) -> float:
        return FIRST_AUDIO_MS * self._device.unheard_beside(self)

    def give_way(self) -> None:
        with self._lock:
            self._chunks_waiting = 0
            self._device.keep_no_longer(self)
            self._device.leave(self)

    def cancel(self) -> None:
        with self._lock:
            self._is_cancelled = True
        self.give_way()

    @contextmanager
    def token_step(self) -> Iterator[None]:
        """Hold the device for one token, unless speech goes first."""
        with self._device.step(self, "token", lambda: not self._speech_goes_first()):
            self._steps += 1
            yield

    @contextmanager
    def speech_step(self) -> Iterator[None]:
        """Hold the device for one window of speech, unless a token goes first."""
        with self._device.step(self, "speech", lambda: True):
            self._steps += 1
            yield

    def _speech_goes_first(self) -> bool:
        if self._chunks_waiting == 0 or not self._device.one_device:
            return False
        return not self.has_enough()
