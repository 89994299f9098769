"""The simulated listener: what a person hears when audio arrives piece by piece.

Two listeners are modelled, both over nothing but arrival times and sample counts:

* one who **starts at first audio** and pauses whenever the buffer is empty: it yields the stalls,
  and the moment at which any given sample is heard;
* one who **never pauses**: its worst lag behind the playhead is the deficit, and starting later by
  that deficit is the earliest gapless start.

Times are nanoseconds since the turn's start; durations of audio come from sample counts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import NamedTuple, TypeVar

NS_PER_S = 1_000_000_000
CLOCK_STEP_NS = 1
"""The shortest wait that a stamp can show. Less is the rounding of a sum of sample durations, and
audio that comes exactly on time is no stall."""


class Arrival(NamedTuple):
    """A run of whole sample frames that came to hand at ``at_ns``.

    A tuple, since a file of a hundred thousand turns holds millions of them.
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
    """What the listener who starts at first audio went through."""

    stalls: tuple[Stall, ...]
    played_from_ns: tuple[float, ...]
    """For each arrival, when its first sample was heard."""
    end_ns: float
    """When the last sample had been played."""


Answer = TypeVar("Answer")
OfAudio = Callable[[Sequence[Arrival], int], Answer]


def _once_for_each_turn(work_out: OfAudio[Answer]) -> OfAudio[Answer]:
    """Keep the latest answer: five metrics ask for the same turn's listening in a row.

    The turn's audio is known again by being the same object, which takes no time; a list could
    have changed meanwhile, and is never taken for known.
    """
    latest: tuple[Sequence[Arrival], int, Answer] | None = None

    @wraps(work_out)
    def of_audio(arrivals: Sequence[Arrival], sample_rate: int) -> Answer:
        nonlocal latest
        known = latest
        if known is not None and known[0] is arrivals and known[1] == sample_rate:
            return known[2]
        answer = work_out(arrivals, sample_rate)
        if isinstance(arrivals, tuple):
            latest = (arrivals, sample_rate, answer)
        return answer

    return of_audio


@_once_for_each_turn
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


@_once_for_each_turn
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
