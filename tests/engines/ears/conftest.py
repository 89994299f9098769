"""A sentence in the embedded voice, as a caller says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from numpy.typing import NDArray

SENTENCE = "What time do you open on Sunday?"


UNFINISHED = "I hope this answer helps, and"


@pytest.fixture(scope="session")
def said() -> tuple[str, NDArray[np.int16]]:
    """A sentence, and its speech without silence around it: int16 mono at 16 kHz."""
    return SENTENCE, _spoken(SENTENCE)


@pytest.fixture(scope="session")
def broken_off() -> NDArray[np.int16]:
    """The speech of a sentence that its speaker has not finished: int16 mono at 16 kHz."""
    return _spoken(UNFINISHED)


def _spoken(text: str) -> NDArray[np.int16]:
    import soxr

    from voicebench.engines.tts.synthesizer import load_synthesizer
    from voicebench.events import AudioChunk

    voice = load_synthesizer("hibari-heart")
    heard = [event.pcm for event in voice.speak_opening(text) if isinstance(event, AudioChunk)]
    pcm = soxr.resample(np.concatenate(heard), 24_000, 16_000)
    loud = np.flatnonzero(np.abs(pcm) > 0.01)
    samples: NDArray[np.int16] = (pcm[loud[0] : loud[-1] + 1] * 32767).astype(np.int16)
    return samples
