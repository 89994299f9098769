"""Log-mel features as Whisper computes them, for the recogniser and the end-of-turn model.

Frames of 25 ms every 10 ms, a periodic Hann window, 80 mel bands (Slaney's scale and area) from 0
to 8 kHz, log10, at most 8 below the loudest, then ``(x + 4) / 4``. Source: OpenAI's
``whisper/audio.py``; transformers' ``WhisperFeatureExtractor`` computes the same.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.ears import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

BANDS = 80
HOP = 160
"""Samples from one frame to the next: 10 ms."""
_WIDTH = 400
_FLOOR = 1e-10


def log_mel(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the features ``(80, samples // 160)`` of ``pcm``, float32 ``(samples,)`` at 16 kHz.

    At least 400 samples: the signal is mirrored at both ends.
    """
    mirrored = np.pad(pcm, _WIDTH // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(mirrored, _WIDTH)[::HOP][: pcm.size // HOP]
    spectrum = np.fft.rfft(frames * _window(), axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    energy = np.log10(np.maximum(power @ _filters(), _FLOOR))
    features = (np.maximum(energy, energy.max() - 8.0) + 4.0) / 4.0
    return np.ascontiguousarray(features.T, dtype=np.float32)


@cache
def _window() -> NDArray[np.float64]:
    window: NDArray[np.float64] = np.hanning(_WIDTH + 1)[:-1]
    return window


@cache
def _filters() -> NDArray[np.float64]:
    """Return the triangular filters ``(201, 80)``, each of the same area."""
    edges = _hertz(np.linspace(_mel(0.0), _mel(SAMPLE_RATE / 2), BANDS + 2))
    bins = np.linspace(0.0, SAMPLE_RATE / 2, _WIDTH // 2 + 1)
    away = edges[None, :] - bins[:, None]
    widths = np.diff(edges)
    filters = np.minimum(-away[:, :-2] / widths[:-1], away[:, 2:] / widths[1:])
    scaled: NDArray[np.float64] = np.maximum(filters, 0.0) * (2.0 / (edges[2:] - edges[:-2]))
    return scaled


_LINEAR_TO_HZ = 1000.0
"""Slaney's mel scale is linear up to here, 3 mel for 200 Hz, and logarithmic above."""
_LOG_STEP = np.log(6.4) / 27.0


def _mel(hertz: float) -> float:
    if hertz < _LINEAR_TO_HZ:
        return 3.0 * hertz / 200.0
    return float(15.0 + np.log(hertz / _LINEAR_TO_HZ) / _LOG_STEP)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    above: NDArray[np.float64] = _LINEAR_TO_HZ * np.exp(_LOG_STEP * (mels - 15.0))
    return np.where(mels < 15.0, 200.0 * mels / 3.0, above)
