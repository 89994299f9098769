"""A voice made by arithmetic, encoded by real encoders, for tests of what decodes it."""

from __future__ import annotations

import io
from functools import cache

import av
import numpy as np
from numpy.typing import NDArray

from voicebench.audio.synthetic_voice import synthetic_voice

RATE = 24_000
CODECS = {
    "mp3": ("mp3", "libmp3lame", RATE),
    "aac": ("adts", "aac", RATE),
    "flac": ("flac", "flac", RATE),
    "opus": ("ogg", "libopus", 48_000),
}


def voiced(seconds: float, rate: int = RATE) -> NDArray[np.float32]:
    return synthetic_voice(round(seconds * rate), rate)


def pcm16(samples: NDArray[np.float32]) -> bytes:
    return np.rint(samples * 32767).astype("<i2").tobytes()


@cache
def encoded(kind: str, seconds: float = 1.0, channels: int = 1) -> bytes:
    """Return ``seconds`` of the voice as a file of ``kind``."""
    container, codec, rate = CODECS[kind]
    layout = "mono" if channels == 1 else "stereo"
    # MP3's table of contents can only be written into a file that can be gone back in.
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        samples = np.repeat(voiced(seconds, rate), channels)[None, :]
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format, layout, rate, stream.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            for packet in stream.encode(piece):
                file.mux(packet)
    return out.getvalue()
