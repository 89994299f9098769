"""A voice resampled to the Realtime protocol's rate, piece by piece and without seams."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voicebench.server.rendering import sample_bytes

PROTOCOL_RATE = 24_000
"""Hz, of the Realtime protocol's PCM."""
QUALITY = "MQ"
"""soxr's medium quality: enough for speech, with a short delay of the filter."""


class Resampled:
    """Samples of one rate in, 16-bit samples of `PROTOCOL_RATE` out."""

    def __init__(self, sample_rate: int) -> None:
        import soxr

        self._stream = (
            None
            if sample_rate == PROTOCOL_RATE
            else soxr.ResampleStream(
                sample_rate, PROTOCOL_RATE, 1, dtype="float32", quality=QUALITY
            )
        )

    def feed(self, pcm: NDArray[np.float32]) -> bytes:
        """Take the next samples and return those that are ready, little-endian int16."""
        return sample_bytes(pcm if self._stream is None else self._stream.resample_chunk(pcm))

    def finish(self) -> bytes:
        """Return the rest of the samples."""
        if self._stream is None:
            return b""
        return sample_bytes(self._stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
