"""An utterance's samples in C (`voicebench/engines/native/hibari/waveform.h`)."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.tts.hibari.sizes import BINS, FFT, HOP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.speech_noise import Noise


class NativeWaveform:
    """A `voicebench.engines.tts.hibari.frame_network.FrameWaveform` in C.

    Raises `MemoryError`.
    """

    def __init__(
        self, library: ctypes.CDLL, pitch: NDArray[np.float32], noise: Noise, first: int = 0
    ) -> None:
        """Take the pitch in Hz (frames,) of all frames, and the noise (frames, 1202) to draw.

        The first ``first`` frames (0, or 2 or more) are left out.
        """
        pitch = np.ascontiguousarray(pitch, np.float32)
        self._library = library
        self._noise = noise
        self._waveform = library.voicebench_hibari_waveform_begin(
            pitch.ctypes.data, pitch.size, first
        )
        if not self._waveform:
            raise MemoryError("no memory for an utterance")

    def __del__(self) -> None:
        """Free what C holds."""
        if getattr(self, "_waveform", None):
            self._library.voicebench_hibari_waveform_end(self._waveform)
            self._waveform = None

    def add(self, parts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the samples (count,) that the next frames' parts (frames, 5 * 601) complete."""
        count = parts.shape[0]
        if not count:
            return np.empty(0, np.float32)
        parts = np.ascontiguousarray(parts, np.float32)
        noise = np.ascontiguousarray(self._noise((count, 2 * BINS)), np.float32)
        samples = np.empty(count * HOP + FFT, np.float32)
        given = self._library.voicebench_hibari_waveform_add(
            self._waveform, parts.ctypes.data, noise.ctypes.data, count, samples.ctypes.data
        )
        return samples[:given]
