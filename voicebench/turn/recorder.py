"""The one clock: stamps every event of a turn at its source.

`Recorder.emit` may be called from any thread. It reads the clock and appends, under one lock, so
that the order of the stamps is the order of the list; nothing is computed while a turn runs. The
clock is ``time.perf_counter_ns`` (monotonic); tests and the simulated target pass another.

An event that says when its bytes were read (``read_ns``, on the same clock) gets that moment, and
its place among the events before it. Another thread may have emitted something while the bytes were
taken apart.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from voicebench.audio.pcm import AudibleRule
from voicebench.events import Event, Fault, Phase, ReadEvent, TurnFailed, TurnFinished
from voicebench.secrecy import NO_SECRETS, Secrets
from voicebench.turn.redaction import without_secrets
from voicebench.turn.timeline import Stamped, Timeline, seal

Clock = Callable[[], int]
"""Return nanoseconds on a monotonic clock."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A sealed turn and its audio: float32 mono, shape ``(samples,)``."""

    timeline: Timeline
    pcm: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Unsealed:
    """The stamped events of a turn, which can be sealed in another process."""

    events: tuple[Stamped, ...]
    started_at: str

    def seal(
        self, turn: int, phase: Phase, rule: AudibleRule, secrets: Secrets = NO_SECRETS
    ) -> Recording:
        """Return the finished turn. Raises `voicebench.errors.IllegalEvent` if it breaks a rule."""
        timeline, pcm = seal(
            self.events, turn=turn, phase=phase, started_at=self.started_at, rule=rule
        )
        return Recording(without_secrets(timeline, secrets), pcm)


class Recorder:
    """Records the events of one turn.

    ``watch`` gets each event after it was stamped, for a live display. It runs outside the lock, in
    the emitting thread, and must be quick. ``secrets`` are hidden in the sealed turn.
    """

    def __init__(
        self,
        clock: Clock = time.perf_counter_ns,
        *,
        watch: Callable[[int, Event], None] | None = None,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self._clock = clock
        self._secrets = secrets
        self._watch = watch
        self._lock = threading.Lock()
        self._events: list[Stamped] = []
        self._started_at = datetime.now(UTC).isoformat(timespec="milliseconds")

    def emit(self, event: Event) -> None:
        """Stamp ``event`` with the clock: now, or when its bytes were read."""
        with self._lock:
            at_ns, events = self._clock(), self._events
            place = len(events)
            if isinstance(event, ReadEvent) and event.read_ns is not None and events:
                # Never later than now, and never before the turn.
                at_ns = max(min(event.read_ns, at_ns), events[0].at_ns)
                while events[place - 1].at_ns > at_ns:
                    place -= 1
            events.insert(place, Stamped(at_ns, event))
        if self._watch is not None:
            self._watch(at_ns, event)

    @property
    def ended(self) -> bool:
        """Whether the turn's terminal event was emitted."""
        return isinstance(self._last, TurnFinished | TurnFailed)

    @property
    def fault(self) -> Fault | None:
        """The kind of failure that ended the turn; None if it did not fail or has not ended."""
        last = self._last
        return last.fault if isinstance(last, TurnFailed) else None

    @property
    def _last(self) -> Event | None:
        with self._lock:
            return self._events[-1].event if self._events else None

    def seal(self, turn: int, phase: Phase, rule: AudibleRule) -> Recording:
        """Return the finished turn. Raises `voicebench.errors.IllegalEvent` if it breaks a rule."""
        return self.unsealed().seal(turn, phase, rule, self._secrets)

    def unsealed(self) -> Unsealed:
        """Return the events so far."""
        with self._lock:
            return Unsealed(tuple(self._events), self._started_at)
