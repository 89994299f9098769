"""A synthetic voice made by arithmetic, for tests and checks that need something like speech.

It has the overtones of a pitch of about 120 Hz, each as loud as the current formants make it. The
vowel changes every 0.15 s, and the loudness follows. It says no words, needs no model, is the same
every time, and is loud from its first millisecond on.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PEAK = 0.3
_PITCH_HZ = 120.0
_MELODY = 0.08
_SYLLABLE_S = 0.15
_VOWELS_HZ = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (570, 840, 2410),
    (390, 1990, 2550),
    (660, 1720, 2410),
    (440, 1020, 2240),
)
"""First three formants of vowels of American men (Peterson and Barney, 1952)."""
_WIDTHS_HZ = (80.0, 110.0, 170.0)
_STRENGTHS = (1.0, 0.6, 0.3)
_PERIOD_S = _SYLLABLE_S * len(_VOWELS_HZ)
"""It repeats after this time: whole cycles of the pitch, so that nothing jumps."""


def synthetic_voice(samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Return ``samples`` samples of the voice: float32 mono, at most `PEAK`."""
    return np.resize(_period(sample_rate), samples)


@lru_cache(maxsize=8)
def _period(sample_rate: int) -> NDArray[np.float32]:
    moments = np.arange(round(_PERIOD_S * sample_rate)) / sample_rate
    # The melody rises and falls over two vowels, and returns to its beginning.
    bend = 2 * np.pi / (2 * _SYLLABLE_S)
    pitch_hz = _PITCH_HZ * (1 + _MELODY * np.sin(bend * moments))
    cycles = _PITCH_HZ * (moments + _MELODY * (1 - np.cos(bend * moments)) / bend)
    formants_hz = _glide(moments)
    voice = np.zeros(moments.size)
    for overtone in range(1, int(min(4000, 0.45 * sample_rate) / _PITCH_HZ)):
        hertz = overtone * pitch_hz
        loudness = sum(
            strength / (1 + ((hertz - formant) / width) ** 2)
            for formant, width, strength in zip(formants_hz, _WIDTHS_HZ, _STRENGTHS, strict=True)
        )
        voice += loudness * np.sin(2 * np.pi * overtone * cycles)
    voice *= 0.6 + 0.4 * np.sin(np.pi * (moments % _SYLLABLE_S) / _SYLLABLE_S)
    voice *= PEAK / np.abs(voice).max()
    return voice.astype(np.float32)


def _glide(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the formants at each moment, between one vowel and the next: ``(3, moments)``."""
    reached = np.arange(len(_VOWELS_HZ) + 1) * _SYLLABLE_S
    around = np.array([*_VOWELS_HZ, _VOWELS_HZ[0]], dtype=np.float64)
    return np.stack([np.interp(moments, reached, path) for path in around.T])
