"""How much of an answer the caller has heard by now, told by his own frames of 20 ms.

A client of Realtime has to say it when it is interrupted, and a telephone confirms each mark when
the sound before it was played. The result is at most one frame off.
"""

from __future__ import annotations

from voicebench.agents import FRAME_MS


class PlayingPosition:
    """Counts the samples of the answer that were sent, and those that were played."""

    def __init__(self, sample_rate: int) -> None:
        """``sample_rate`` is that of the agent's sound, in Hz."""
        self._per_frame = sample_rate * FRAME_MS / 1000
        self._per_ms = sample_rate / 1000
        self._sent = 0
        self._played = 0.0
        self._begun_at = 0.0

    @property
    def is_playing(self) -> bool:
        """Whether sound is left to play."""
        return self._played < self._sent

    @property
    def sent(self) -> int:
        """How many samples were sent in the call."""
        return self._sent

    @property
    def played(self) -> float:
        """How many of them were played."""
        return self._played

    def begin(self) -> None:
        """Begin an answer: what is heard of it counts from what is sent next."""
        self._begun_at = float(self._sent)

    def add(self, samples: int) -> None:
        """Take sound of the agent."""
        self._sent += samples

    def frame_passed(self) -> None:
        """Let 20 ms pass."""
        self._played = min(self._played + self._per_frame, float(self._sent))

    def clear(self) -> int:
        """Drop what was not played; return how many milliseconds of the answer were heard."""
        heard = max(0.0, self._played - self._begun_at)
        self._sent = round(self._played)
        self._begun_at = min(self._begun_at, self._played)
        return int(heard / self._per_ms)
