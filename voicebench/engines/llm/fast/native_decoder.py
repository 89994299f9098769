"""The Llama-family decoder in C (`voicebench/engines/native/llama`): one call for each pass.

Torch needs some four hundred calls for a token, and on processors without AVX-512 its 8-bit and
4-bit products are slower than reading the weights. Here a token is one call, and takes little more
time than reading the weights once.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.llm.fast.decoder_weights import LayerWeights, Weights
from voicebench.engines.llm.fast.model_shape import Shape, Unsupported, rotary_tables
from voicebench.engines.llm.fast.prompt_cache import BLOCK
from voicebench.engines.llm.fast.segment import Segment
from voicebench.engines.llm.sampling import Sampler
from voicebench.engines.models.tensor_file import let_go
from voicebench.engines.native.library import library_facts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.llm.fast.decoder_weights import Array
    from voicebench.engines.llm.fast.kernels import Precision

GROUP = 32
_STRIP = 16
"""How many positions lie side by side in a cache (``STRIP`` in C)."""
_LINE = 16
"""How many float32 numbers fit into a line of the processor's cache."""
_FORMATS = {"float32": 0, "float16": 1, "bfloat16": 2}
"""The numbers of the formats in C."""
_QKV, _OUTPUT, _GATE_UP, _DOWN, _HEAD = range(5)
_INPUT_NORM, _QUERY_NORM, _KEY_NORM, _MLP_NORM, _LAST_NORM = range(5)


@dataclass(frozen=True, slots=True)
class NativeCache:
    """Keys and values of one reply, float32.

    Keys are ``(layers, kv_heads, capacity / 16, head_size, 16)``: strips of 16 positions, whose
    scores are computed side by side. Values are ``(layers, kv_heads, capacity, head_size)``.
    """

    keys: NDArray[np.float32]
    values: NDArray[np.float32]


class _Place(ctypes.Structure):
    """``Segment`` in C (`model.h`)."""

    _fields_ = (
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("rows", ctypes.c_int32),
        ("capacity", ctypes.c_int32),
        ("start", ctypes.c_int32),
        ("prompt", ctypes.c_int32),
        ("wanted", ctypes.c_int32),
        ("scored", ctypes.c_int32),
    )


def _place(segment: Segment) -> _Place:
    cache: NativeCache = segment.cache
    return _Place(
        cache.keys.ctypes.data,
        cache.values.ctypes.data,
        len(segment.ids),
        cache.values.shape[2],
        segment.start,
        segment.prompt,
        segment.wanted,
    )


class NativeDecoder:
    """A decoder in C with integer weights; implements `engine.Decoder`."""

    most_rows = 256
    """``MOST_ROWS`` in C (`matrix.h`)."""

    def __init__(
        self, library: ctypes.CDLL, shape: Shape, weights: Weights, *, threads: int
    ) -> None:
        """Store the weights. Raises `Unsupported` if a size is not a multiple of `GROUP`."""
        for size in (shape.hidden, shape.query_size, shape.intermediate):
            if size % GROUP:
                raise Unsupported(f"a width of {size} is not a multiple of {GROUP}")
        self.shape = shape
        self.precision: Precision = "int8"
        self.block = BLOCK
        self.parameters = weights.parameters
        self.threads = threads
        self._library = library
        # C reads these arrays, so they must stay. Of the file nothing is kept in memory.
        self._embedding = _readable((weights.embedding,))[0].copy()
        self._tables = rotary_tables(shape, shape.context)
        sizes = (ctypes.c_int32 * 7)(
            shape.hidden,
            shape.intermediate,
            shape.layers,
            shape.heads,
            shape.kv_heads,
            shape.head_size,
            shape.vocabulary,
        )
        self._model = self._library.voicebench_open(
            sizes,
            shape.norm_epsilon,
            *(table.ctypes.data for table in self._tables),
            threads,
        )
        if not self._model:
            raise MemoryError("no memory for the model")
        self._library.voicebench_set_embedding(
            self._model, self._embedding.ctypes.data, _FORMATS[self._embedding.dtype.name]
        )
        self.kinds: set[int] = set()
        for number, layer in enumerate(weights.layers):
            self._store_layer(number, layer, shape.windows[number])
        self._store_norm(0, _LAST_NORM, weights.norm)
        self._store(0, _HEAD, (weights.head,), None)

    def __del__(self) -> None:
        """Free the memory in C."""
        if getattr(self, "_model", None):
            self._library.voicebench_close(self._model)
            self._model = None

    def new_cache(self, capacity: int) -> NativeCache:
        """Return memory for at least ``capacity`` positions."""
        strips = _strips(capacity)
        heads, size = (self.shape.layers, self.shape.kv_heads), self.shape.head_size
        return NativeCache(
            _from_a_line_on(*heads, strips, size, _STRIP),
            _from_a_line_on(*heads, strips * _STRIP, size),
        )

    def copy_cache(self, source: NativeCache, target: NativeCache, positions: int) -> None:
        """Copy the keys and values of the first ``positions``."""
        strips = _strips(positions)
        target.keys[:, :, :strips] = source.keys[:, :, :strips]
        target.values[:, :, :positions] = source.values[:, :, :positions]

    def fill(
        self, cache: NativeCache, keys: NDArray[np.float32], values: NDArray[np.float32]
    ) -> None:
        """Set the first positions: both are ``(layers, kv_heads, positions, head_size)``."""
        positions, size = keys.shape[2:]
        strips = _strips(positions)
        padded = np.zeros((*keys.shape[:2], strips * _STRIP, size), np.float32)
        padded[:, :, :positions] = keys
        cache.keys[:, :, :strips] = padded.reshape(*keys.shape[:2], strips, _STRIP, size).swapaxes(
            3, 4
        )
        cache.values[:, :, :positions] = values

    def forward(self, ids: Sequence[int], cache: NativeCache, start: int) -> NDArray[np.float32]:
        """Return the scores ``(vocabulary,)`` after ``ids``, which begin at position ``start``.

        Takes at most 256 ids, and adds their keys and values to ``cache``.
        """
        (scores,) = self.forward_together([Segment(ids, cache, start, prompt=len(ids))])
        assert scores is not None
        return scores

    def forward_together(self, segments: Sequence[Segment]) -> list[NDArray[np.float32] | None]:
        """Return the wanted scores ``(vocabulary,)`` after each segment; the others are None.

        Takes at most 256 ids in all, and adds their keys and values to the segments' caches. The
        weights are read once. What a segment gives does not depend on the others, to the bit.
        """
        ids = [one for segment in segments for one in segment.ids]
        wanted = sum(segment.wanted for segment in segments)
        places = (_Place * len(segments))(*map(_place, segments))
        scores = np.empty((wanted, self.shape.vocabulary), np.float32)
        self._library.voicebench_forward(
            self._model,
            (ctypes.c_int32 * len(ids))(*ids),
            places,
            len(segments),
            scores.ctypes.data,
        )
        return [scores[place.scored] if place.wanted else None for place in places]

    def sampler(self, temperature: float, seed: int) -> Sampler:
        """Return a sampler for these scores."""
        return Sampler(temperature, seed)

    def describe(self) -> dict[str, object]:
        """Return architecture, parameters, device, precision, kernels and library."""
        return {
            "architecture": self.shape.family,
            "parameters": self.parameters,
            "device": "cpu",
            "precision": self.precision,
            "kernels": f"native int{'+'.join(map(str, sorted(self.kinds)))}",
            "threads": self.threads,
            "bytes_per_token": self._library.voicebench_bytes(self._model),
            **library_facts(self._library),
        }

    def _store_layer(self, number: int, layer: LayerWeights, window: int | None) -> None:
        self._store(number, _QKV, layer.qkv, layer.qkv_bias)
        self._store(number, _OUTPUT, (layer.output,), layer.output_bias)
        self._store(number, _GATE_UP, layer.gate_up, layer.gate_up_bias)
        self._store(number, _DOWN, (layer.down,), layer.down_bias)
        self._store_norm(number, _INPUT_NORM, layer.input_norm)
        self._store_norm(number, _MLP_NORM, layer.mlp_norm)
        if layer.query_norm is not None and layer.key_norm is not None:
            self._store_norm(number, _QUERY_NORM, layer.query_norm)
            self._store_norm(number, _KEY_NORM, layer.key_norm)
        self._library.voicebench_set_window(self._model, number, window or 0)

    def _store(self, layer: int, which: int, parts: tuple[Array, ...], bias: Array | None) -> None:
        stored, parts = parts, _readable(parts)
        bias = None if bias is None else _float32(bias)
        kind = self._library.voicebench_store_matrix(
            self._model,
            layer,
            which,
            len(parts),
            (ctypes.c_void_p * len(parts))(*(part.ctypes.data for part in parts)),
            (ctypes.c_int32 * len(parts))(*(part.shape[0] for part in parts)),
            _FORMATS[parts[0].dtype.name],
            parts[0].shape[1],
            None if bias is None else bias.ctypes.data,
        )
        if kind == 0:
            raise MemoryError("no memory for the weights")
        self.kinds.add(kind)
        for part in stored:
            let_go(part)  # else the whole file would be in memory beside its copy here

    def _store_norm(self, layer: int, which: int, weight: Array) -> None:
        weight = _float32(weight)
        if not self._library.voicebench_store_norm(
            self._model, layer, which, weight.ctypes.data, weight.size
        ):
            raise MemoryError("no memory for the weights")


def _readable(parts: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return ``parts`` as contiguous arrays in one number format that C reads."""
    formats = {part.dtype.name for part in parts}
    if len(formats) > 1 or not formats <= _FORMATS.keys():
        return tuple(map(_float32, parts))
    return tuple(map(np.ascontiguousarray, parts))


def _strips(positions: int) -> int:
    return -(-positions // _STRIP)


def _from_a_line_on(*size: int) -> NDArray[np.float32]:
    """Return an array of shape ``size`` that begins at a line of the processor's cache."""
    count = math.prod(size)
    memory = np.empty(count + _LINE, np.float32)
    begin = -(memory.ctypes.data // memory.itemsize) % _LINE
    return memory[begin : begin + count].reshape(size)


def _float32(array: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, np.float32)
