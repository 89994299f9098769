"""The simulated listener: what a person hears when audio arrives piece by piece.

Two listeners are modelled, from arrival times and sample counts alone:

* one **starts at first audio** and pauses whenever the buffer is empty. It gives the stalls, and
  the moment at which a given sample is heard.
* one **never pauses**. The largest lag behind its playhead is the deficit. The earliest gapless
  start is first audio plus that deficit.

Times are nanoseconds since the turn's start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import NamedTuple, TypeVar

NS_PER_S = 1_000_000_000
CLOCK_STEP_NS = 1
"""A shorter wait is a rounding error of added sample durations, and not a stall."""


class Arrival(NamedTuple):
    """Whole sample frames that arrived together at ``at_ns``.

    A tuple, because a file of a hundred thousand turns holds millions of them.
    """

    at_ns: int
    samples: int


@dataclass(frozen=True, slots=True)
class Stall:
    """The listener waited from ``start_ns`` for ``duration_ns``, with nothing to play."""

    start_ns: float
    duration_ns: float


@dataclass(frozen=True, slots=True)
class Listening:
    """How the listener who starts at first audio played the turn."""

    stalls: tuple[Stall, ...]
    played_from_ns: tuple[float, ...]
    """For each arrival, when its first sample was heard."""
    end_ns: float
    """When the last sample was played."""


Result = TypeVar("Result")
OfAudio = Callable[[Sequence[Arrival], int], Result]


def _cached_for_one_turn(compute: OfAudio[Result]) -> OfAudio[Result]:
    """Keep the latest result: five metrics in a row need the same turn's listening.

    The arrivals are compared by identity, which is faster than `functools.lru_cache`, which would
    hash hundreds of them. Only tuples are kept, because a list may change.
    """
    latest: tuple[Sequence[Arrival], int, Result] | None = None

    @wraps(compute)
    def cached(arrivals: Sequence[Arrival], sample_rate: int) -> Result:
        nonlocal latest
        known = latest
        if known is not None and known[0] is arrivals and known[1] == sample_rate:
            return known[2]
        result = compute(arrivals, sample_rate)
        if isinstance(arrivals, tuple):
            latest = (arrivals, sample_rate, result)
        return result

    return cached


@_cached_for_one_turn
def listen(arrivals: Sequence[Arrival], sample_rate: int) -> Listening:
    """Play ``arrivals`` from the first one on, pausing whenever the buffer is empty."""
    stalls: list[Stall] = []
    played_from: list[float] = []
    empty_at = float(arrivals[0].at_ns) if arrivals else 0.0
    for at_ns, samples in arrivals:
        if at_ns - empty_at >= CLOCK_STEP_NS:
            stalls.append(Stall(empty_at, at_ns - empty_at))
            empty_at = float(at_ns)
        played_from.append(empty_at)
        empty_at += samples * NS_PER_S / sample_rate
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


@_cached_for_one_turn
def gapless_start_ns(arrivals: Sequence[Arrival], sample_rate: int) -> float | None:
    """Return the earliest moment from which playing never starves; None without audio."""
    latest: float | None = None
    before = 0
    for at_ns, samples in arrivals:
        start = at_ns - before * NS_PER_S / sample_rate
        if latest is None or start > latest:
            latest = start
        before += samples
    return latest


def worst_deficit_ns(arrivals: Sequence[Arrival], sample_rate: int) -> float | None:
    """Return the largest lag behind a playhead that starts at first audio and never pauses."""
    start = gapless_start_ns(arrivals, sample_rate)
    return None if start is None else start - arrivals[0].at_ns
