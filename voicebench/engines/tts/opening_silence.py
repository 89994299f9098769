"""The head of a reply: near silence that a voice puts before the first sound, and leaving it out.

A voice opens with tens of milliseconds in which nothing can be heard. At the head of a reply that
is latency, so it is not handed out. Between two text chunks a pause is prosody and stays.

What nobody hears alone may still belong to a word: the breath of "he" is softer than the level at
which sound begins. So nothing is left out from where the voice itself places its first phoneme.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.pcm import AudibleRule, first_audible_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

BEFORE_SOUND_MS = 5.0
"""What is kept before the first sound, so that no soft consonant is cut into."""

RULE = AudibleRule(min_ms=3.0)
"""Sound begins as METRICS says (RMS over 10 ms above 0.01 of full scale), but is believed at once:
waiting until it has lasted 20 ms would take another window."""


class OpeningTrimmer:
    """Takes the windows of a reply's first chunk, and gives them out from the first sound on."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._phoneme: int | None = None
        self._unsure = np.empty(0, np.float32)
        self._trimmed = 0
        self.sounding = False
        """Whether sound has begun; from then on nothing is left out."""

    def expect(self, first_phoneme_ms: float) -> None:
        """Note where the voice places its first phoneme, counted from the reply's beginning."""
        self._phoneme = round(first_phoneme_ms / 1000 * self._sample_rate)

    @property
    def trimmed_ms(self) -> float:
        """Return how much silence was left out so far."""
        return self._trimmed / self._sample_rate * 1000

    def take(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what of the next window ``pcm`` (samples,) is to be heard; (0,) if it is silent.

        The end of a silent window is held back until it is known that no sound begins in it.
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
