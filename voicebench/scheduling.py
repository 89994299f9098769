"""Who may use the computing device next, when a language model and a synthesizer share it.

Two engines on one device slow each other down, and the order of their work decides when the
listener hears something. `TurnTaking` hands the device out one step at a time (a token, a window
of frames) by one rule: **what leads to the first audio goes first; after it, speech goes before
tokens only while the listener's buffer is short.**

Engines on different devices, or behind a wire, need no such order: `FreeForAll`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BUFFER_S = 0.6
"""Audio that the listener should have in hand before tokens go first again: a few token steps and
one window of speech on a slow CPU."""


class FreeForAll:
    """No order: every step may be taken at once."""

    def chunk_waits(self) -> None:
        """Note that a text chunk waits for the synthesizer."""

    def chunk_spoken(self) -> None:
        """Note that the synthesizer is done with a text chunk, or gave it up."""

    def audio_out(self, seconds: float) -> None:
        """Note that so much audio came out."""

    def give_way(self) -> None:
        """Let whoever waits go: the turn is being given up."""

    @contextmanager
    def token_step(self) -> Iterator[None]:
        """Take one token step."""
        yield

    @contextmanager
    def speech_step(self) -> Iterator[None]:
        """Take one window of speech."""
        yield


class TurnTaking(FreeForAll):
    """One step at a time, for the duration of one voice turn.

    ``clock`` (nanoseconds, monotonic) tells how much of the audio that came out has been played
    by a listener who started at first audio and pauses whenever the buffer is empty.
    """

    def __init__(
        self, buffer_s: float = BUFFER_S, clock: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._buffer_s = buffer_s
        self._clock = clock
        self._changed = threading.Condition()
        self._busy = False
        self._chunks_waiting = 0
        self._played_out_ns: int | None = None

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
            self._changed.notify_all()

    def give_way(self) -> None:
        """Let whoever waits go: the turn is being given up."""
        with self._changed:
            self._chunks_waiting = 0
            self._changed.notify_all()

    @contextmanager
    def token_step(self) -> Iterator[None]:
        """Hold the device for one token, once speech does not need it more."""
        with self._step(lambda: not self._busy and not self._speech_is_urgent()):
            yield

    @contextmanager
    def speech_step(self) -> Iterator[None]:
        """Hold the device for one window of speech, as soon as it is free."""
        with self._step(lambda: not self._busy):
            yield

    @contextmanager
    def _step(self, may_go: Callable[[], bool]) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(may_go)
            self._busy = True
        try:
            yield
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _speech_is_urgent(self) -> bool:
        if self._chunks_waiting == 0:
            return False
        if self._played_out_ns is None:
            return True
        return (self._played_out_ns - self._clock()) / 1e9 < self._buffer_s
