"""The caller's own ear, while the call goes on: does the agent speak, and since when?

It decides when the caller takes his turn. It is coarse (10 ms) and quick, because it runs between
two frames. No figure comes from it: the figures come from the whole track, after the call.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from operator import itemgetter

import numpy as np

from voicebench.calls.agent_events import AgentAudio, AgentCleared, AgentFailed
from voicebench.calls.heard import StampedAgentEvent
from voicebench.turn.playback import NS_PER_S

AUDIBLE_RMS = 0.01
STEP_S = 0.01
GAP_NS = NS_PER_S // 10
MOST_AHEAD_NS = 300 * NS_PER_S
"""An agent that has sent more sound than this before it is played sends without end."""
_start = itemgetter(0)


class AgentWatch:
    """Follows the playing of the agent's sound."""

    def __init__(self) -> None:
        self.failure = ""
        """Why the call cannot go on; empty while it can."""
        self.sample_rate: int | None = None
        self._empty_at = 0.0
        self._audible: deque[tuple[float, float]] = deque()
        """Where the sound that is not yet played is audible, in ns."""
        self.spoken: list[tuple[float, float]] = []
        """Where the agent was audible by now."""
        self._cleared: list[int] = []

    def take(self, stamped: StampedAgentEvent) -> None:
        """Take the next event."""
        match stamped.event:
            case AgentAudio(pcm, rate):
                if self.sample_rate not in (None, rate):
                    self.failure = (
                        f"the agent sends sound at {rate} Hz after sound at {self.sample_rate} Hz"
                    )
                self.sample_rate = rate
                start = max(self._empty_at, float(stamped.at_ns))
                self._empty_at = start + pcm.size * NS_PER_S / rate
                if self._empty_at - stamped.at_ns > MOST_AHEAD_NS:
                    ahead_s = MOST_AHEAD_NS // NS_PER_S
                    self.failure = (
                        f"the agent sent {ahead_s} s of sound ahead of real time; "
                        "does its answer have an end?"
                    )
                    return
                self._find_audible(pcm, rate, start)
            case AgentCleared():
                self.until(stamped.at_ns)
                self._audible.clear()
                self._cleared.append(stamped.at_ns)
                self._empty_at = float(stamped.at_ns)
            case AgentFailed(reason):
                self.failure = self.failure or reason
            case _:
                pass

    def until(self, now_ns: int) -> None:
        """Let time pass until ``now_ns``."""
        while self._audible and self._audible[0][0] < now_ns:
            start, end = self._audible.popleft()
            played = min(end, float(now_ns))
            if played < end:
                self._audible.appendleft((played, end))
            if self.spoken and start - self.spoken[-1][1] < 1:
                self.spoken[-1] = (self.spoken[-1][0], played)
            else:
                self.spoken.append((start, played))
            if played < end:
                return

    def silent_for_ns(self, now_ns: int) -> float:
        """Return how long the agent has been silent; since the beginning if it never spoke."""
        return now_ns - (self.spoken[-1][1] if self.spoken else 0.0)

    def began_after(self, moment_ns: float, pause_ns: float) -> float | None:
        """Return when speech began after ``moment_ns`` that is no part of earlier speech.

        Speech that follows within ``pause_ns`` is a part of it, unless the agent cleared between.
        """
        # Asked in every frame: what was said before the moment is not gone through again.
        first = bisect_left(self.spoken, moment_ns, key=_start)
        before = self.spoken[first - 1][1] if first else -pause_ns
        for start, end in self.spoken[first:]:
            is_new = start - before >= pause_ns
            if is_new or any(before <= at_ns <= start for at_ns in self._cleared):
                return start
            before = end
        return None

    def spoke_at(self, moment_ns: float) -> bool:
        """Return whether speech began before ``moment_ns`` and ended after it, short gaps apart."""
        before = bisect_left(self.spoken, moment_ns, key=_start)
        return before > 0 and moment_ns < self.spoken[before - 1][1] + GAP_NS

    def _find_audible(self, pcm: np.ndarray, rate: int, start_ns: float) -> None:
        # Of all steps at once, because this runs between two frames of many callers.
        size = max(1, round(rate * STEP_S))
        firsts = np.arange(0, pcm.size, size)
        power = np.add.reduceat(np.square(pcm, dtype=np.float64), firsts) if pcm.size else firsts
        sizes = np.minimum(pcm.size - firsts, size)
        for step in np.flatnonzero(power > sizes * AUDIBLE_RMS**2).tolist():
            begin = start_ns + step * size * NS_PER_S / rate
            end = begin + int(sizes[step]) * NS_PER_S / rate
            if self._audible and begin - self._audible[-1][1] < 1:
                self._audible[-1] = (self._audible[-1][0], end)
            else:
                self._audible.append((begin, end))
