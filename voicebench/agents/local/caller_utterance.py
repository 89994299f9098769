"""One utterance of the caller, from its first speech to the end of the turn, with its pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebench.agents.local.caller_sound import CallerSound
from voicebench.engines.ears import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

BEFORE = SAMPLE_RATE // 5
"""The ears hear 200 ms of what was before the speech: its first sound may be soft."""
LONGEST_PAUSE = round(0.3 * SAMPLE_RATE)
"""Of a longer pause, 200 ms are given to the recogniser: its time grows with all it hears."""
PART_SAMPLES = 8 * SAMPLE_RATE
"""Words before a pause are recognised once only, if so much was said: otherwise the wait for the
last ones would grow with the length of the whole. Whisper often adds a word before a pause."""


class CallerUtterance:
    """An utterance that begins at the sample ``begins``."""

    def __init__(self, begins: int) -> None:
        self._begins = begins
        self.words_before = ""
        """The words before the part that is to be recognised."""
        self._part_begins = begins
        self._pauses: list[tuple[int, int]] = []
        """The silence in that part that the recogniser need not hear."""

    def goes_on(self, sample: int, silent_from: int, text: str | None) -> None:
        """Note that speech goes on at ``sample``, after silence; ``text`` is what was heard."""
        if sample - silent_from < LONGEST_PAUSE:
            return
        if text and sample - self._part_begins >= PART_SAMPLES:
            self.words_before, self._part_begins, self._pauses = text, sample, []
        else:
            self._pauses.append((silent_from + BEFORE // 2, sample - BEFORE // 2))

    def whole(self, sound: CallerSound) -> NDArray[np.float32]:
        """Return its sound until now."""
        return sound.since(self._begins - BEFORE)

    def part(self, sound: CallerSound) -> NDArray[np.float32]:
        """Return the sound of the part that is to be recognised, with short pauses."""
        begin = self._part_begins - BEFORE
        pieces = []
        for left_out, until in self._pauses:
            pieces.append(sound.since(begin, left_out))
            begin = until
        return np.concatenate([*pieces, sound.since(begin)])
