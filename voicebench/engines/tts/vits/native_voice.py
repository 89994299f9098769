"""A voice computed in C (`voicebench/engines/native/vits`): an encoding or a window is one call.

A window of speech is hundreds of small operations. In torch each operation costs a call, each
convolution reorders its weights, and the first window of a new size takes many times longer. Here
the weights are reordered once, and a window of any size costs what its products cost.
"""

from __future__ import annotations

import ctypes
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.native.library import library_facts
from voicebench.engines.tts.native_stream import NativeStream
from voicebench.engines.tts.vits.native_weights import sizes_in_order, weights_in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.vits.torch_voice import TorchArithmetic
    from voicebench.engines.tts.vits.voice_shape import VitsShape
    from voicebench.engines.tts.vits.voice_weights import Weights

MOST_THREADS = 16
"""With more threads, a window takes longer: they wait for each other more than they compute."""

_FLOATS, _BFLOATS = 0, 1


class NativeArithmetic:
    """A network in C; implements `voicebench.engines.tts.vits.arithmetic.Arithmetic`.

    The weights are copied, and include ``speaker`` (in a voice of several). With ``bfloats`` the
    decoder multiplies bfloat16, which `multiplies_bfloats` must allow; the layers for rhythm and
    melody stay in float32. Torch is imported only for what C does not compute: plain durations,
    and texts too long for the memory of the C code. Raises `MemoryError`.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        shape: VitsShape,
        weights: Weights,
        *,
        speaker: int | None,
        bfloats: bool,
        threads: int,
    ) -> None:
        self.shape = shape
        self.device = "cpu"
        self.kernels = "native"
        self.dtype = "bfloat16" if bfloats else "float32"
        self.library_facts = library_facts(library)
        self.replayed = False  # starting a window costs nothing in C
        self._library = library
        self._weights = weights
        self._speaker = speaker
        sizes, arrays = sizes_in_order(shape), weights_in_order(shape, weights, speaker)
        self._voice = library.voicebench_voice_open(
            (ctypes.c_int32 * len(sizes))(*sizes),
            (ctypes.c_float * 3)(shape.norm_eps, shape.durations.bound, shape.decoder.slope),
            (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays)),
            len(arrays),
            _BFLOATS if bfloats else _FLOATS,
            min(threads, MOST_THREADS),
        )
        if not self._voice:
            raise MemoryError("no memory for the voice")

    def __del__(self) -> None:
        """Free what C holds."""
        if getattr(self, "_voice", None):
            self._library.voicebench_voice_close(self._voice)
            self._voice = None

    def encode(
        self, symbols: NDArray[np.int64], drawn: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return mean and scale (n, channels) and log durations (n,) of ``symbols`` (n,).

        ``drawn`` is the noise (n, 2) of the durations.
        """
        count, channels = symbols.size, self.shape.flow.channels
        predicts = self.shape.durations.stochastic
        ids = np.ascontiguousarray(symbols, np.int64)
        noise = np.ascontiguousarray(drawn, np.float32)
        hidden = np.empty((count, self.shape.text.channels), np.float32)
        prior = np.empty((count, 2 * channels), np.float32)
        log_durations = np.empty(count, np.float32)
        fits = self._library.voicebench_voice_encode(
            self._voice,
            ids.ctypes.data,
            count,
            noise.ctypes.data,
            hidden.ctypes.data,
            prior.ctypes.data,
            log_durations.ctypes.data if predicts else None,
        )
        if not fits:
            return self._in_torch.encode(ids, noise)
        if not predicts:
            log_durations = self._in_torch.log_durations(hidden, noise)
        return prior[:, :channels], prior[:, channels:], log_durations

    def stream(self) -> NativeVoiceStream:
        """Begin an utterance."""
        speak = self._library.voicebench_voice_speak
        hop = self.shape.decoder.hop
        return NativeVoiceStream(self, self._library, speak, self._voice, per_row=hop, width=1)

    @cached_property
    def _in_torch(self) -> TorchArithmetic:
        from voicebench.engines.tts.vits.torch_voice import TorchArithmetic

        return TorchArithmetic(self.shape, self._weights, speaker=self._speaker)


class NativeVoiceStream(NativeStream):
    """An utterance; implements `voicebench.engines.tts.vits.arithmetic.Stream`."""

    def size_for(self, frames: int) -> int:
        """Return ``frames``: a window may have any size."""
        return frames

    def window(self, rows: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        """Return the samples (count,) that the frames ``rows`` (time, channels) add."""
        return self.results(rows, last=last)[:, 0]
