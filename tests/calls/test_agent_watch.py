"""The caller's ear finds the agent's speech, however long the call has been."""

from __future__ import annotations

import numpy as np
import pytest

from voicebench.calls.agent_events import AgentAudio, AgentCleared
from voicebench.calls.agent_watch import GAP_NS, AgentWatch
from voicebench.calls.heard import StampedAgentEvent

RATE = 16_000
MS = 1_000_000
PAUSE_NS = 300 * MS


def watched(*spoken_ms: tuple[int, int], cleared_ms: tuple[int, ...] = ()) -> AgentWatch:
    """Return a watch that heard speech in these periods, and these clears."""
    events: list[tuple[int, AgentAudio | AgentCleared]] = [
        (begin, AgentAudio(np.full((end - begin) * RATE // 1000, 0.3, np.float32), RATE))
        for begin, end in spoken_ms
    ]
    events += [(at_ms, AgentCleared()) for at_ms in cleared_ms]
    watch = AgentWatch()
    for at_ms, event in sorted(events, key=lambda one: one[0]):
        watch.until(at_ms * MS)
        watch.take(StampedAgentEvent(at_ms * MS, event))
    watch.until(10**12)
    return watch


@pytest.mark.parametrize(
    ("moment_ms", "begins_ms"),
    [(0, 100), (100, 100), (101, 900), (500, 900), (1200, None), (1300, None)],
)
def test_new_speech_begins_after_a_pause(moment_ms: int, begins_ms: int | None) -> None:
    # The third period follows the second within a pause: it is a part of it.
    watch = watched((100, 400), (900, 1100), (1200, 1500))
    begun = watch.began_after(moment_ms * MS, PAUSE_NS)
    assert begun == (None if begins_ms is None else pytest.approx(begins_ms * MS, abs=1))


def test_speech_after_a_clear_is_new_without_a_pause() -> None:
    watch = watched((100, 400), (500, 800), cleared_ms=(450,))
    assert watch.began_after(200 * MS, PAUSE_NS) == pytest.approx(500 * MS, abs=1)


def test_speech_covers_a_moment_with_a_short_gap_behind_it() -> None:
    watch = watched((100, 400), (900, 1100))
    gap_ms = GAP_NS // MS
    spoke = [watch.spoke_at(at_ms * MS) for at_ms in (50, 150, 399 + gap_ms, 401 + gap_ms, 1000)]
    assert spoke == [False, True, True, False, True]


def test_earlier_speech_is_not_gone_through_again() -> None:
    """Each frame asks, and a caller that counts all speech of a long call would send late."""
    watch = watched(*((begin, begin + 400) for begin in range(0, 40_000, 800)))
    seen: list[int] = []

    class Counted(list[tuple[float, float]]):
        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            if isinstance(index, slice):
                seen.extend(range(*index.indices(len(self))))
            return super().__getitem__(index)

        def __iter__(self):  # type: ignore[no-untyped-def]
            seen.extend(range(len(self)))
            return super().__iter__()

    watch.spoken = Counted(watch.spoken)
    assert watch.began_after(39_000 * MS, PAUSE_NS) == pytest.approx(39_200 * MS, abs=1)
    assert watch.spoke_at(39_300 * MS)
    assert len(seen) <= 2
