"""The lines of a caller as sound: spoken by the embedded voice at another pitch, 16 kHz."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soxr

from voicebench.engines.ears import SAMPLE_RATE
from voicebench.engines.tts.synthesizer import load_synthesizer
from voicebench.events import AudioChunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.local_synthesizer import LocalSynthesizer

VOICE_RATE = 24_000
PITCH = 0.9
"""The caller's voice is deeper than the agent's by this factor, at the same pace."""
AUDIBLE = 0.01
LINES = tuple(Path(__file__).with_name("lines.txt").read_text(encoding="utf-8").splitlines())
"""What callers ask; ``|`` is where they pause."""


@cache
def _voice() -> LocalSynthesizer:
    return load_synthesizer("hibari-heart", length_scale=PITCH)


def spoken(text: str) -> NDArray[np.float32]:
    """Return ``text`` as float32 ``(samples,)`` at 16 kHz, from its first to its last sound."""
    pieces = [event.pcm for event in _voice().speak(text) if isinstance(event, AudioChunk)]
    pcm = np.concatenate(pieces)
    heard = np.asarray(soxr.resample(pcm, VOICE_RATE * PITCH, SAMPLE_RATE), dtype=np.float32)
    loud = np.flatnonzero(np.abs(heard) > AUDIBLE)
    return heard[loud[0] : loud[-1] + 1]


def with_pause(line: str, pause_ms: float) -> NDArray[np.float32]:
    """Return a line with silence where it has ``|``."""
    before, after = (spoken(part.strip()) for part in line.split("|"))
    silence = np.zeros(round(pause_ms * SAMPLE_RATE / 1000), np.float32)
    return np.concatenate((before, silence, after))
