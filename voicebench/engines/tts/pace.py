"""How fast a voice speaks on this machine, and the sizes of windows that follow from it.

The time for a window is nearly a straight line: a constant (hundreds of small operations), plus a
time for each frame. Both are measured when a voice is loaded, on windows of two sizes. The fastest
measurement is kept in the cache.

A listener starts to play the first window when it arrives, so each window must arrive before the
one before it has been played. Each window is as long as can be computed in the time that the
audio already handed out lasts, with a safety factor: small at first, then growing up to a limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from voicebench.engines.models.cache import recall, remember

SAFETY = 2.5
"""A window may take this many times the measured time before a listener notices: the language
model runs on the same processor."""

LASTING_SAFETY = 1.5
"""The same factor if every window is that slow."""

SHORTEST_MS = 40.0
LONGEST_MS = 500.0
"""Cancelling, and another engine that needs the device, wait until a window has ended."""

UNMEASURED_FIRST_MS = 140.0
MEASURING_S = 0.3
"""Time for the first measurement on a machine."""

_FEW, _MANY = 8, 40


@dataclass(frozen=True, slots=True)
class Pace:
    """The time that a window takes: ``window_ms``, plus ``frame_ms`` for each frame."""

    window_ms: float
    frame_ms: float

    def cost_ms(self, frames: float) -> float:
        """Return the time for a window of ``frames`` frames."""
        return self.window_ms + self.frame_ms * frames

    def frames_within(self, milliseconds: float) -> float:
        """Return how many frames a window can have in this time; negative if none."""
        return (milliseconds - self.window_ms) / self.frame_ms


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """Plans the sizes of windows. ``frame_ms`` is how long a frame lasts."""

    pace: Pace
    frame_ms: float
    sample_rate: int
    first_ms: float

    @classmethod
    def fitted(
        cls, pace: Pace, frame_ms: float, sample_rate: int, first_ms: float | None
    ) -> WindowPlan:
        """Return the plan for ``pace``, which also decides the first window if None is given."""
        if first_ms is None:
            first_ms = first_window_ms(pace, frame_ms)
        return cls(pace, frame_ms, sample_rate, first_ms)

    def sizes(self, silent_ms: float = 0.0) -> Iterator[int]:
        """Yield how many samples each window should have.

        The first window is longer by ``silent_ms``, the silence at its beginning. The later ones
        follow from how much audio a listener has not played yet, if the pace is right.
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
    """Return the shortest first window that lasts until a second one of its length arrives."""
    spare = 1 - SAFETY * pace.frame_ms / frame_ms
    if spare <= 0:  # too slow for real time: start with more audio
        return UNMEASURED_FIRST_MS
    return min(max(SAFETY * pace.window_ms / spare, SHORTEST_MS), UNMEASURED_FIRST_MS)


def measured_pace(key: str, speak_frames: Callable[[int], None]) -> Pace:
    """Return the pace of ``speak_frames``: the faster of now and the one kept under ``key``.

    The faster one, because other programs can only slow a measurement down. So a few windows are
    enough once a measurement is kept. ``speak_frames`` computes a window of so many frames, and
    returns when the samples are on the host. Call it once before: the first windows are slow.
    """
    kept = recall("paces", key) or {}
    earlier = Pace(**kept) if kept.keys() == {"window_ms", "frame_ms"} else None
    pace = _measure(speak_frames, budget_s=MEASURING_S if earlier is None else 0.0)
    if earlier is not None and earlier.cost_ms(_MANY) <= pace.cost_ms(_MANY):
        return earlier
    remember("paces", key, asdict(pace))
    return pace


def _measure(speak_frames: Callable[[int], None], budget_s: float) -> Pace:
    """Time short and long windows alternately until the budget is spent, once at least."""
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
