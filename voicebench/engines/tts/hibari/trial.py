"""Compare the C code for hibari voices, as compiled on this machine, with numpy."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.tts.hibari.frame_network import FrameNetwork
from voicebench.engines.tts.hibari.native_network import NativeNetwork
from voicebench.engines.tts.hibari.numpy_network import NumpyNetwork
from voicebench.engines.tts.hibari.onnx_weights import Weights
from voicebench.engines.tts.hibari.sizes import (
    BINS,
    FRAME_CHANNELS,
    PARTS,
    PROSODY_CHANNELS,
    SYMBOLS,
)
from voicebench.engines.tts.hibari.weight_shapes import weight_shapes
from voicebench.engines.tts.native_stream import multiplies_bfloats
from voicebench.engines.tts.speech_noise import snr_db

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 1e-3
"""Of numbers that are between -10 and 10."""

LEAST_SNR_DB = 30.0
"""How far numbers of a bfloat16 decoder are above their error, for random weights."""

LEAST_WAVEFORM_SNR_DB = 60.0
"""The same of samples. Rounding errors are 100 dB below them, and one harmonic more or less, where
11 kHz are a whole number of them, is 60 dB below."""

_FRAMES = 90
_CUTS = (5, 17, 70, _FRAMES)


def hibari_works(library: ctypes.CDLL, threads: int = 2) -> bool:
    """Return whether C computes what numpy computes, for random weights.

    An utterance is decoded at once and in windows, and becomes samples.
    """
    weights = drawn_speech_weights(0)
    exact, native = NumpyNetwork(weights), NativeNetwork(library, weights, threads=threads)
    draws = np.random.default_rng(1)
    symbols = draws.integers(SYMBOLS, size=23)
    features = draws.standard_normal((50, PROSODY_CHANNELS), np.float32)
    rows = draws.standard_normal((_FRAMES, FRAME_CHANNELS), np.float32)
    whole = exact.decode(rows)
    pairs = [
        *zip(exact.read(symbols), native.read(symbols, hurried=True), strict=True),
        (exact.prosody(features), native.prosody(features, hurried=True)),
        (whole, decoded(native, rows, (_FRAMES,))),
        (whole, decoded(native, rows, _CUTS)),
    ]
    agrees = all(
        found.shape == right.shape and np.allclose(found, right, rtol=0, atol=TOLERANCE)
        for right, found in pairs
    )
    exact_samples, samples = (sounded(network, whole) for network in (exact, native))
    agrees = agrees and exact_samples.shape == samples.shape
    agrees = agrees and snr_db(exact_samples, samples) >= LEAST_WAVEFORM_SNR_DB
    if not agrees or not multiplies_bfloats(library):
        return agrees
    short = NativeNetwork(library, weights, threads=threads, bfloats=True)
    return snr_db(whole, decoded(short, rows, _CUTS)) >= LEAST_SNR_DB


def decoded(
    network: FrameNetwork, rows: NDArray[np.float32], cuts: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return the parts of the frames ``rows``, decoded in windows that end at ``cuts``."""
    stream, start, parts = (
        network.stream(hurried=True),
        0,
        [np.empty((0, PARTS * BINS), np.float32)],
    )
    for cut in cuts:
        parts.append(stream.window(rows[start:cut], last=cut == cuts[-1]))
        start = cut
    return np.concatenate(parts)


def sounded(
    network: FrameNetwork | NumpyNetwork, parts: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the samples of an utterance's parts, in windows that end at `_CUTS`.

    Its pitch rises from no voice to a high one.
    """
    draws = np.random.default_rng(2)
    pitch = np.linspace(31, 247, parts.shape[0]).astype(np.float32)
    waveform = network.waveform(pitch, lambda shape: draws.standard_normal(shape, np.float32))
    starts = (0, *_CUTS[:-1])
    return np.concatenate(
        [waveform.add(parts[start:cut]) for start, cut in zip(starts, _CUTS, strict=True)]
    )


def drawn_speech_weights(seed: int) -> Weights:
    """Return random weights that keep the signals of a voice at a sensible level."""
    draws = np.random.default_rng(seed)
    weights = {}
    for name, shape in weight_shapes().items():
        drawn = draws.standard_normal(shape, np.float32)
        inputs = int(np.prod(shape[:-1])) or 1
        if name.endswith(".gamma") or ("norm" in name and name.endswith(".weight")):
            weights[name] = np.float32(0.1) * drawn + 1
        elif len(shape) > 1 and ".emb." not in name:
            weights[name] = drawn / np.float32(inputs**0.5)
        else:
            weights[name] = np.float32(0.1) * drawn if len(shape) == 1 else drawn
    return weights
