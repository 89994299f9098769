"""Leaves out the near silence with which a voice begins a reply.

A voice begins with tens of milliseconds that nobody can hear. At the start of a reply they are
latency, so they are not handed out. A pause between two text chunks is prosody, and stays.

A sound too soft to be heard alone may still belong to a word: the breath of "he". So everything
stays from the place where the voice puts its first phoneme.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.pcm import AudibleRule, first_audible_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

BEFORE_SOUND_MS = 5.0
"""Kept before the first sound, so that no soft consonant is cut."""

RULE = AudibleRule(min_ms=3.0)
"""As in `voicebench.audio.pcm`, but 3 ms of sound are enough: waiting for 20 ms would take another
window."""


class OpeningTrimmer:
    """Takes the windows of a reply's first chunk, and returns them from the first sound on.

    ``longer_ms`` is by how much the first window is longer than the voice's own.
    """

    def __init__(self, sample_rate: int, longer_ms: float = 0.0) -> None:
        self._sample_rate = sample_rate
        self.longer_ms = longer_ms
        self._phoneme: int | None = None
        self._unsure = np.empty(0, np.float32)
        self._trimmed = 0
        self._skipped_ms = 0.0
        self.sounding = False
        """Whether sound has begun. From then on nothing is left out."""

    def expect(self, first_phoneme_ms: float, skipped_ms: float = 0.0) -> None:
        """Set where the voice puts its first phoneme, counted from the beginning of the windows.

        ``skipped_ms`` is the silence before them that the voice did not compute.
        """
        self._skipped_ms = skipped_ms
        self._phoneme = round(first_phoneme_ms / 1000 * self._sample_rate)

    @property
    def trimmed_ms(self) -> float:
        """How much silence was left out so far."""
        return self._skipped_ms + self._trimmed / self._sample_rate * 1000

    def take(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the part of the next window ``pcm`` (samples,) that is kept; (0,) if silent.

        The end of a silent window waits for the next window: a sound may begin in it.
        """
        if self.sounding:
            return pcm
        joined = np.concatenate([self._unsure, pcm])
        found = first_audible_sample(joined, self._sample_rate, RULE)
        lead = round(BEFORE_SOUND_MS / 1000 * self._sample_rate)
        if found is None:
            undecided = round((RULE.frame_ms + RULE.min_ms + 1) / 1000 * self._sample_rate) + lead
            start = max(0, joined.size - undecided)
        else:
            start = max(0, found - lead)
        phoneme = joined.size if self._phoneme is None else self._phoneme - self._trimmed
        start = min(start, phoneme)
        self.sounding = found is not None or joined.size > phoneme
        self._trimmed += start
        self._unsure = np.empty(0, np.float32) if self.sounding else joined[start:]
        return joined[start:] if self.sounding else joined[:0]
