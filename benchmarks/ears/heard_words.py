"""The words that the recogniser gets wrong: clean, in noise, and over the telephone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import soxr

from benchmarks.ears.caller_lines import spoken
from voicebench.audio import g711
from voicebench.audio.pcm import from_int16, to_int16
from voicebench.checks.intelligibility import SENTENCES, WordErrors, word_errors
from voicebench.engines.ears import SAMPLE_RATE
from voicebench.engines.ears.recognition import Recognition

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Line = Callable[[NDArray[np.float32]], NDArray[np.float32]]

SNR_DB = 10.0
QUIET = SAMPLE_RATE // 5


def in_noise(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``pcm`` with white noise of a tenth of its power."""
    noise = np.random.default_rng(pcm.size).standard_normal(pcm.size)
    gain = np.sqrt(np.mean(np.square(pcm)) / 10 ** (SNR_DB / 10))
    return np.asarray(pcm + gain * noise, dtype=np.float32)


def over_mulaw(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``pcm`` as it comes out of a telephone line: 8 kHz, G.711 µ-law."""
    narrow = np.asarray(soxr.resample(pcm, SAMPLE_RATE, g711.SAMPLE_RATE), dtype=np.float32)
    back = from_int16(g711.decode(g711.encode(to_int16(narrow), "mulaw"), "mulaw"))
    return np.asarray(soxr.resample(back, g711.SAMPLE_RATE, SAMPLE_RATE), dtype=np.float32)


RATES: dict[str, Line] = {
    "words": lambda pcm: pcm,
    "words, 10 dB": in_noise,
    "words, µ-law": over_mulaw,
}
WORDS_PROMISED = ("words",)


def heard_words(lines: dict[str, Line]) -> dict[str, WordErrors]:
    """Return the word errors over the 40 sentences, by the way that they come."""
    recognition = Recognition()
    sounds = [np.pad(spoken(sentence), (QUIET, QUIET // 3)) for sentence in SENTENCES]
    return {
        name: word_errors(SENTENCES, [recognition.transcribe(line(pcm)).text for pcm in sounds])
        for name, line in lines.items()
    }
