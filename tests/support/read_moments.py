"""The moments at which the bytes of events were read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from voicebench.events import Event, ReadEvent


def moments_of(take: Callable[[], Iterable[Event]]) -> list[int]:
    """Return the moments of the events that ``take`` brings; all lie within its time, in order."""
    began_ns = time.perf_counter_ns()
    events = [event for event in take() if isinstance(event, ReadEvent)]
    ended_ns = time.perf_counter_ns()
    assert events
    moments = [event.read_ns for event in events]
    known = [moment for moment in moments if moment is not None]
    assert known == moments, "an event does not say when its bytes were read"
    assert [began_ns, *known, ended_ns] == sorted([began_ns, *known, ended_ns])
    return known
