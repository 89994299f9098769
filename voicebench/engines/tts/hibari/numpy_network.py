"""The network of a hibari voice in numpy: slow, and only to check the C library.

`voicebench.engines.tts.hibari.torch_network` has the same network for speaking; a test compares
the two. Where only the C library speaks, checking it needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voicebench.engines.tts.hibari.sizes import (
    DECODER_BLOCKS,
    HEADS,
    NORM_EPS,
    PROSODY_DILATIONS,
    PROSODY_LAYERS,
    TEXT_BLOCKS,
    TEXT_LAYERS,
)
from voicebench.engines.tts.hibari.spectrum import Waveform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.hibari.onnx_weights import Weights
    from voicebench.engines.tts.speech_noise import Noise

    Rows = NDArray[Any]


class NumpyNetwork:
    """The network in numpy, float32. All rows are ``(count, channels)``."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def read(self, symbols: NDArray[np.int64]) -> tuple[Rows, Rows, Rows]:
        """Return the features of ``symbols`` (n,) for decoder and prosody, and log durations."""
        text = self._encode(symbols, "m.text", TEXT_LAYERS)
        features = self._encode(symbols, "pn.text", PROSODY_LAYERS)
        hidden = gelu(self._convolve(features, "pn.dur.0"))
        return text, features, self._convolve(hidden, "pn.dur.2")[:, 0]

    def prosody(self, rows: Rows) -> Rows:
        """Return (frames, 4): pitch, pitch, energy, energy of the two halves of each frame."""
        hidden = self._convolve(rows, "pn.pro_in")
        for number, dilation in enumerate(PROSODY_DILATIONS):
            hidden = self._block(hidden, f"pn.pro.{number}", dilation)
        return self._convolve(hidden, "pn.pro_out")

    def decode(self, rows: Rows) -> Rows:
        """Return the parts (frames, 5 * 601) of the frames ``rows`` (frames, 130)."""
        hidden = self._convolve(rows, "m.dec_in")
        for number in range(DECODER_BLOCKS):
            hidden = self._block(hidden, f"m.dec.{number}")
        return self._multiply(self._normalise(hidden, "m.dec_norm"), "m.head")

    def waveform(self, pitch: Rows, noise: Noise) -> Waveform:
        """Begin the samples of an utterance."""
        return Waveform(pitch, noise, 0)

    def _encode(self, symbols: NDArray[np.int64], name: str, layers: int) -> Rows:
        hidden = self._weights[f"{name}.emb.weight"][symbols]
        for number in range(TEXT_BLOCKS):
            hidden = self._block(hidden, f"{name}.convs.{number}")
        for _ in range(layers):
            hidden = self._attend(hidden, f"{name}.attn")
        return self._normalise(hidden, f"{name}.norm")

    def _attend(self, rows: Rows, name: str) -> Rows:
        count, channels = rows.shape
        weights = self._weights
        joint = self._normalise(rows, f"{name}.norm1") @ weights[f"{name}.self_attn.in_proj_weight"]
        joint = joint + weights[f"{name}.self_attn.in_proj_bias"]
        size = channels // HEADS
        query, key, value = joint.reshape(count, 3, HEADS, size).transpose(1, 2, 0, 3)
        scores: Rows = query @ key.transpose(0, 2, 1) / np.float32(size**0.5)
        read = (softmax(scores) @ value).transpose(1, 0, 2).reshape(count, channels)
        rows = rows + self._multiply(read, f"{name}.self_attn.out_proj")
        hidden = self._multiply(self._normalise(rows, f"{name}.norm2"), f"{name}.linear1")
        return rows + self._multiply(gelu(hidden), f"{name}.linear2")

    def _block(self, rows: Rows, name: str, dilation: int = 1) -> Rows:
        """Compute one ConvNeXt block: each channel has a convolution of its own."""
        taps = self._weights[f"{name}.dw.weight"]  # (kernel, channels)
        padded = _padded(rows, taps.shape[0] // 2 * dilation)
        hidden = self._weights[f"{name}.dw.bias"] + sum(
            padded[tap * dilation :][: rows.shape[0]] * taps[tap] for tap in range(taps.shape[0])
        )
        hidden = gelu(self._multiply(self._normalise(hidden, f"{name}.norm"), f"{name}.pw1"))
        return rows + self._weights[f"{name}.gamma"] * self._multiply(hidden, f"{name}.pw2")

    def _convolve(self, rows: Rows, name: str) -> Rows:
        taps = self._weights[f"{name}.weight"]  # (kernel, in, out)
        padded = _padded(rows, taps.shape[0] // 2)
        found: Rows = self._weights[f"{name}.bias"] + sum(
            padded[tap:][: rows.shape[0]] @ taps[tap] for tap in range(taps.shape[0])
        )
        return found

    def _multiply(self, rows: Rows, name: str) -> Rows:
        product: Rows = rows @ self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return product

    def _normalise(self, rows: Rows, name: str) -> Rows:
        centred = rows - rows.mean(axis=1, keepdims=True)
        variance = (centred**2).mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt(variance + np.float32(NORM_EPS))
        normal: Rows = scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return normal


def softmax(scores: Rows) -> Rows:
    """Return the shares along the last axis."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Rows = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def gelu(values: Rows) -> Rows:
    """Return the exact Gaussian error linear unit, within 2e-7 of its formula.

    The error function is the approximation 7.1.26 of Abramowitz and Stegun.
    """
    size: Rows = np.abs(values) / np.float32(2**0.5)
    near: Rows = 1 / (1 + np.float32(0.3275911) * size)
    terms = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
    series: Rows = np.zeros_like(size)
    for term in reversed(terms):
        series = (series + np.float32(term)) * near
    error = np.sign(values) * (1 - series * np.exp(-size * size))
    unit: Rows = values * (1 + error) / 2
    return unit


def _padded(rows: Rows, count: int) -> Rows:
    return np.pad(rows, ((count, count), (0, 0)))
