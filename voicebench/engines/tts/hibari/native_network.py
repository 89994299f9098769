"""The network of a hibari voice in C (`voicebench/engines/native/hibari`)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.models.tensor_file import let_go
from voicebench.engines.native.library import library_facts
from voicebench.engines.tts.hibari.native_waveform import NativeWaveform
from voicebench.engines.tts.hibari.sizes import (
    BINS,
    DECODER_BLOCKS,
    DECODER_CHANNELS,
    PARTS,
    PROSODY_CHANNELS,
    PROSODY_DILATIONS,
    PROSODY_LAYERS,
    SYMBOLS,
    TEXT_BLOCKS,
    TEXT_CHANNELS,
    TEXT_LAYERS,
)
from voicebench.engines.tts.native_stream import NativeStream
from voicebench.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.hibari.onnx_weights import Weights
    from voicebench.engines.tts.speech_noise import Noise

MOST_THREADS = 4
"""A window has some 40 rows: with more threads each would have too few."""
_OUTPUTS = PARTS * BINS
_SIZES = (
    *(SYMBOLS, TEXT_CHANNELS, PROSODY_CHANNELS, DECODER_CHANNELS),
    *(TEXT_LAYERS, PROSODY_LAYERS, _OUTPUTS, *PROSODY_DILATIONS),
)


class NativeNetwork:
    """The network in C: a `voicebench.engines.tts.hibari.frame_network.FrameNetwork`.

    A hurried step uses all ``threads``, any other one a single thread: two threads save 40 % of
    the time (measured with 24 symbols and 40 frames), and cost a fifth more of the processor's.
    Raises `MemoryError`.
    """

    device = "cpu"
    kernels = "native"
    replayed = False

    def __init__(
        self, library: ctypes.CDLL, weights: Weights, *, threads: int = 1, bfloats: bool = False
    ) -> None:
        """Copy ``weights``; with ``bfloats`` the decoder multiplies bfloat16 where it can."""
        self.dtype = "bfloat16" if bfloats else "float32"
        self.library_facts = library_facts(library)
        self._library = library
        self._threads = min(threads, MOST_THREADS)
        arrays = [np.ascontiguousarray(array, np.float32) for array in _in_order(weights)]
        self._speech = library.voicebench_hibari_open(
            (ctypes.c_int32 * len(_SIZES))(*_SIZES),
            (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays)),
            len(arrays),
            int(bfloats),
            self._threads,
        )
        if not self._speech:
            raise MemoryError("no memory for the voice")
        for array in arrays:
            let_go(array)

    def __del__(self) -> None:
        """Free the weights."""
        if getattr(self, "_speech", None):
            self._library.voicebench_hibari_close(self._speech)
            self._speech = None

    def read(
        self, symbols: NDArray[np.int64], *, hurried: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return the features of ``symbols`` (n,) for decoder and prosody, and log durations."""
        ids = np.ascontiguousarray(symbols, np.int64)
        text = np.empty((ids.size, TEXT_CHANNELS), np.float32)
        features = np.empty((ids.size, PROSODY_CHANNELS), np.float32)
        durations = np.empty(ids.size, np.float32)
        fits = self._library.voicebench_hibari_read(
            self._speech,
            self._threads_for(hurried),
            ids.ctypes.data,
            ids.size,
            text.ctypes.data,
            features.ctypes.data,
            durations.ctypes.data,
        )
        if not fits:
            raise EngineError(f"a text of {ids.size:,} phonemes is too long", "cut it into chunks")
        return text, features, durations

    def prosody(self, rows: NDArray[np.float32], *, hurried: bool = False) -> NDArray[np.float32]:
        """Return (frames, 4): pitch, pitch, energy, energy of the two halves of each frame."""
        rows = np.ascontiguousarray(rows, np.float32)
        curves = np.empty((rows.shape[0], 4), np.float32)
        fits = self._library.voicebench_hibari_prosody(
            self._speech,
            self._threads_for(hurried),
            rows.ctypes.data,
            rows.shape[0],
            curves.ctypes.data,
        )
        if not fits:
            raise EngineError(f"{rows.shape[0]:,} frames are too many", "cut the text into chunks")
        return curves

    def stream(self, *, hurried: bool = False) -> NativeFrameStream:
        """Begin an utterance; its first window is ``hurried``."""
        most = iter((self._threads_for(hurried),))

        def decode(speech: int, *window: int) -> int:
            given: int = self._library.voicebench_hibari_decode(speech, next(most, 1), *window)
            return given

        return NativeFrameStream(
            self, self._library, decode, self._speech, per_row=1, width=_OUTPUTS
        )

    def waveform(self, pitch: NDArray[np.float32], noise: Noise, first: int = 0) -> NativeWaveform:
        """Begin the samples of an utterance."""
        return NativeWaveform(self._library, pitch, noise, first)

    def _threads_for(self, hurried: bool) -> int:
        return self._threads if hurried else 1


class NativeFrameStream(NativeStream):
    """An utterance; implements `voicebench.engines.tts.hibari.frame_network.FrameStream`."""

    def window(self, rows: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        """Return the parts (count, 5 * 601) of the frames that ``rows`` complete."""
        return self.results(rows, last=last)


def _in_order(weights: Weights) -> Iterator[NDArray[np.float32]]:
    """Yield the arrays in the order in which the C code reads them."""
    yield from _text(weights, "m.text")
    yield from _text(weights, "pn.text")
    yield from _layer(weights, "pn.dur.0")
    yield np.append(weights["pn.dur.2.weight"], weights["pn.dur.2.bias"])
    yield from _layer(weights, "pn.pro_in")
    for number in range(len(PROSODY_DILATIONS)):
        yield from _block(weights, f"pn.pro.{number}")
    yield from _layer(weights, "pn.pro_out")
    yield from _layer(weights, "m.dec_in")
    for number in range(DECODER_BLOCKS):
        yield from _block(weights, f"m.dec.{number}")
    yield from _layer(weights, "m.dec_norm")
    yield from _layer(weights, "m.head")


def _text(weights: Weights, name: str) -> Iterator[NDArray[np.float32]]:
    yield weights[f"{name}.emb.weight"]
    for number in range(TEXT_BLOCKS):
        yield from _block(weights, f"{name}.convs.{number}")
    yield from _layer(weights, f"{name}.attn.norm1")
    yield weights[f"{name}.attn.self_attn.in_proj_weight"]
    yield weights[f"{name}.attn.self_attn.in_proj_bias"]
    yield from _layer(weights, f"{name}.attn.self_attn.out_proj")
    yield from _layer(weights, f"{name}.attn.norm2")
    yield from _layer(weights, f"{name}.attn.linear1")
    yield from _layer(weights, f"{name}.attn.linear2")
    yield from _layer(weights, f"{name}.norm")


def _block(weights: Weights, name: str) -> Iterator[NDArray[np.float32]]:
    """Yield a block's arrays; the gain of its result goes into the last product."""
    yield from _layer(weights, f"{name}.dw")
    yield from _layer(weights, f"{name}.norm")
    yield from _layer(weights, f"{name}.pw1")
    gain = weights[f"{name}.gamma"]
    yield weights[f"{name}.pw2.weight"] * gain
    yield weights[f"{name}.pw2.bias"] * gain


def _layer(weights: Weights, name: str) -> Iterator[NDArray[np.float32]]:
    yield weights[f"{name}.weight"]
    yield weights[f"{name}.bias"]
