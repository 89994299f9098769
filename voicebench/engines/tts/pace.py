"""How fast a voice speaks on this machine, and which windows follow from it.

The time that a window takes is nearly a straight line: so much for the window itself (hundreds of
small operations), and so much for each frame in it. Both are measured when a voice is loaded, on
windows of two sizes, and the best is kept in the cache.

From the line follow the windows. Whoever listens starts to play with the first one, so each window
must be there before the one before it has been played. A window is therefore as long as can be
computed, with a safety factor, in the time that the audio already out lasts: small at first, then
growing until the limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from voicebench.engines.models.cache import recall, remember

SAFETY = 2.5
"""How many times as long as measured a window may take before a listener would notice: the
language model is at work on the same processor."""

LASTING_SAFETY = 1.5
"""The same if all windows do."""

SHORTEST_MS = 40.0
LONGEST_MS = 500.0
"""Cancelling, and another engine's turn on the device, wait for the window at hand."""

UNMEASURED_FIRST_MS = 140.0
MEASURING_S = 0.3
"""How long the first measurement on a machine may take."""

_FEW, _MANY = 8, 40


@dataclass(frozen=True, slots=True)
class Pace:
    """The time that a window takes: ``window_ms`` + ``frame_ms`` for each of its frames."""

    window_ms: float
    frame_ms: float

    def cost_ms(self, frames: float) -> float:
        """Return the time for a window of ``frames`` frames."""
        return self.window_ms + self.frame_ms * frames

    def frames_within(self, milliseconds: float) -> float:
        """Return how many frames a window of this time can have; negative if not even none."""
        return (milliseconds - self.window_ms) / self.frame_ms


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of an utterance, in samples. ``frame_ms`` is how long a frame lasts."""

    pace: Pace
    frame_ms: float
    sample_rate: int
    first_ms: float

    def sizes(self, silent_ms: float = 0.0) -> Iterator[int]:
        """Yield how many samples each window is to have; ``silent_ms`` open the first for nothing.

        The first window is what a listener starts with. From then on it is known how much of the
        audio that is out has not been played, if each window takes what the pace says.
        """
        yield self._samples(silent_ms + self.first_ms)
        ahead = self.first_ms
        while True:
            frames = self.pace.frames_within(ahead / SAFETY)
            length = min(max(frames * self.frame_ms, SHORTEST_MS), LONGEST_MS)
            yield self._samples(length)
            spent = LASTING_SAFETY * self.pace.cost_ms(length / self.frame_ms)
            ahead = max(0.0, ahead - spent) + length

    def _samples(self, milliseconds: float) -> int:
        return max(1, round(milliseconds / 1000 * self.sample_rate))


def first_window_ms(pace: Pace, frame_ms: float) -> float:
    """Return the shortest first window after which a second one of the same length is in time."""
    spare = 1 - SAFETY * pace.frame_ms / frame_ms
    if spare <= 0:  # slower than real time allows: start with more in hand
        return UNMEASURED_FIRST_MS
    return min(max(SAFETY * pace.window_ms / spare, SHORTEST_MS), UNMEASURED_FIRST_MS)


def measured_pace(key: str, speak_frames: Callable[[int], None]) -> Pace:
    """Return the pace of ``speak_frames``, measured now and, for the same ``key``, earlier.

    ``speak_frames`` computes one window of so many frames, and returns when its samples are on
    the host. It should have been called before: the first windows are slow. Of two measurements
    the faster one counts, because another program at work only ever slows one down; so a few
    windows do once a measurement has been remembered.
    """
    earlier = _remembered(key)
    pace = _measure(speak_frames, budget_s=MEASURING_S if earlier is None else 0.0)
    if earlier is not None and earlier.cost_ms(_MANY) <= pace.cost_ms(_MANY):
        return earlier
    remember("paces", key, asdict(pace))
    return pace


def _measure(speak_frames: Callable[[int], None], budget_s: float) -> Pace:
    """Time short and long windows in turn until the budget is spent; once at least."""
    short = long = float("inf")
    begun = time.perf_counter()
    while long == float("inf") or time.perf_counter() - begun < budget_s:
        short = min(short, _time_ms(speak_frames, _FEW))
        long = min(long, _time_ms(speak_frames, _MANY))
    frame_ms = max((long - short) / (_MANY - _FEW), 1e-3)
    return Pace(window_ms=max(short - _FEW * frame_ms, 0.0), frame_ms=frame_ms)


def _time_ms(speak_frames: Callable[[int], None], frames: int) -> float:
    begun = time.perf_counter_ns()
    speak_frames(frames)
    return (time.perf_counter_ns() - begun) / 1e6


def _remembered(key: str) -> Pace | None:
    stored = recall("paces", key)
    try:
        return None if stored is None else Pace(stored["window_ms"], stored["frame_ms"])
    except KeyError:
        return None
