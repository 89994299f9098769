"""A voice as 16-bit samples at the rate of the server's protocols, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebench.server.rendering import sample_bytes
from voicebench.server.sound_rate import SoundRate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PROTOCOL_RATE = 24_000
"""Hz, of the Realtime protocol's PCM, and of what a call in plain PCM hears."""


class Resampled:
    """Samples of one rate in, 16-bit samples of `PROTOCOL_RATE` out."""

    def __init__(self, sample_rate: int) -> None:
        self._sound = SoundRate(sample_rate, PROTOCOL_RATE)

    def feed(self, pcm: NDArray[np.float32]) -> bytes:
        """Take the next samples and return those that are ready, little-endian int16."""
        return sample_bytes(self._sound.feed(pcm))

    def finish(self) -> bytes:
        """Return the rest of the samples; what is fed next is a new sound."""
        return sample_bytes(self._sound.finish())
