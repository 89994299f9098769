"""Reads the WAV files that voicebench writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voicebench.audio.wav import WavStream


def read_wav(path: str | Path) -> tuple[NDArray[np.float32], int]:
    """Return a file's samples, mono, and their rate in Hz."""
    stream = WavStream()
    pcm = np.concatenate([stream.feed(Path(path).read_bytes()), stream.finish()])
    assert stream.sample_rate is not None
    return pcm, stream.sample_rate
