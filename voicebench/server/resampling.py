"""A voice at the one rate that a protocol knows: resampled piece by piece, without a seam."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebench.audio.pcm import to_int16

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PROTOCOL_RATE = 24_000
"""Samples a second of the Realtime protocol's PCM."""
QUALITY = "MQ"
"""soxr's medium quality: enough for speech, with little held back for the filter."""


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
        return _bytes_of(pcm if self._stream is None else self._stream.resample_chunk(pcm))

    def finish(self) -> bytes:
        """Return what the filter held back."""
        import numpy as np

        if self._stream is None:
            return b""
        return _bytes_of(self._stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True))


def _bytes_of(pcm: NDArray[np.float32]) -> bytes:
    return to_int16(pcm).astype("<i2").tobytes()
