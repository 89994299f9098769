"""The simulated listener: what a person hears when audio arrives piece by piece.

Two listeners are modelled, both over nothing but arrival times and sample counts:

* one who **starts at first audio** and pauses whenever the buffer is empty: it yields the stalls,
  and the moment at which any given sample is heard;
* one who **never pauses**: its worst lag behind the playhead is the deficit, and starting later by
  that deficit is the earliest gapless start.

Times are nanoseconds since the turn's start; durations of audio come from sample counts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NS_PER_S = 1_000_000_000
CLOCK_STEP_NS = 1
"""The shortest wait that a stamp can show. Less is the rounding of a sum of sample durations, and
audio that comes exactly on time is no stall."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A run of whole sample frames that came to hand at ``at_ns``."""

    at_ns: int
    samples: int


@dataclass(frozen=True, slots=True)
class Stall:
    """The listener waited from ``start_ns`` for ``duration_ns``, with nothing to play."""

    start_ns: float
    duration_ns: float


@dataclass(frozen=True, slots=True)
class Listening:
    """What the listener who starts at first audio went through."""

    stalls: tuple[Stall, ...]
    played_from_ns: tuple[float, ...]
    """For each arrival, when its first sample was heard."""
    end_ns: float
    """When the last sample had been played."""


def listen(arrivals: Sequence[Arrival], sample_rate: int) -> Listening:
    """Play ``arrivals`` from the first one on, pausing whenever the buffer is empty."""
    stalls: list[Stall] = []
    played_from: list[float] = []
    empty_at = float(arrivals[0].at_ns) if arrivals else 0.0
    for arrival in arrivals:
        if arrival.at_ns - empty_at >= CLOCK_STEP_NS:
            stalls.append(Stall(empty_at, arrival.at_ns - empty_at))
            empty_at = float(arrival.at_ns)
        played_from.append(empty_at)
        empty_at += arrival.samples * NS_PER_S / sample_rate
    return Listening(tuple(stalls), tuple(played_from), empty_at)


def heard_at_ns(arrivals: Sequence[Arrival], sample_rate: int, sample: int) -> float | None:
    """Return when the listener who starts at first audio hears ``sample``; None if never."""
    listening = listen(arrivals, sample_rate)
    before = 0
    for arrival, start in zip(arrivals, listening.played_from_ns, strict=True):
        if sample < before + arrival.samples:
            return start + (sample - before) * NS_PER_S / sample_rate
        before += arrival.samples
    return None


def gapless_start_ns(arrivals: Sequence[Arrival], sample_rate: int) -> float | None:
    """Return the earliest moment from which playing never starves; None without audio."""
    latest: float | None = None
    before = 0
    for arrival in arrivals:
        start = arrival.at_ns - before * NS_PER_S / sample_rate
        latest = start if latest is None else max(latest, start)
        before += arrival.samples
    return latest


def worst_deficit_ns(arrivals: Sequence[Arrival], sample_rate: int) -> float | None:
    """Return the largest lag behind a playhead that starts at first audio and never pauses."""
    start = gapless_start_ns(arrivals, sample_rate)
    return None if start is None else start - arrivals[0].at_ns
