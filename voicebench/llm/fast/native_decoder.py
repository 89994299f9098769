"""The Llama-family decoder in C (`voicebench/native/llama`), called once per pass.

What torch's products leave on the table on a CPU: its 8-bit and 4-bit products are slower than
memory on processors without AVX-512, each costs a call, and there are some four hundred calls per
token. Here a token is one call, and costs little more than reading the weights once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebench.llm.fast.kernels import Precision
from voicebench.llm.fast.positions import rotary_tables
from voicebench.llm.fast.shape import Shape, Unsupported
from voicebench.llm.fast.weights import LayerWeights, Weights

if TYPE_CHECKING:
    import torch

GROUP = 32
_LINE = 16
"""float32 numbers in a line of the processor's cache."""
_QKV, _OUTPUT, _GATE_UP, _DOWN, _HEAD = range(5)
_INPUT_NORM, _QUERY_NORM, _KEY_NORM, _MLP_NORM, _LAST_NORM = range(5)


@dataclass(frozen=True, slots=True)
class NativeCache:
    """Keys and values of one reply, float32.

    Keys are ``(layers, kv_heads, head_size, capacity)``, values ``(layers, kv_heads, capacity,
    head_size)``; the capacity is an odd multiple of 16.
    """

    keys: torch.Tensor
    values: torch.Tensor


class NativeDecoder:
    """A decoder in C with integer weights; implements `voicebench.llm.fast.engine.Decoder`."""

    def __init__(
        self, library: ctypes.CDLL, shape: Shape, weights: Weights, *, threads: int
    ) -> None:
        """Store the weights. Raises `Unsupported` for sizes that do not divide into groups."""
        import torch

        for size in (shape.hidden, shape.query_size, shape.intermediate):
            if size % GROUP:
                raise Unsupported(f"a width of {size} does not divide into groups of {GROUP}")
        self.shape = shape
        self.device = torch.device("cpu")
        self.precision: Precision = "int8"
        self.parameters = weights.parameters
        self.threads = threads
        self._library = library
        self._embedding = _readable((weights.embedding,))[0].clone()  # else the file stays mapped
        cosine, sine = rotary_tables(shape, shape.context)
        self._tables = cosine.contiguous(), sine.contiguous()  # C reads them; they must live
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
            *(table.data_ptr() for table in self._tables),
            shape.context,
            threads,
        )
        if not self._model:
            raise MemoryError("no memory for the model")
        self._library.voicebench_set_embedding(
            self._model, self._embedding.data_ptr(), _stored_as(self._embedding)
        )
        self.kinds: set[int] = set()
        for number, layer in enumerate(weights.layers):
            self._store_layer(number, layer, shape.windows[number])
        self._store_norm(0, _LAST_NORM, weights.norm)
        self._store(0, _HEAD, (weights.head,), None)

    def __del__(self) -> None:
        """Free what C holds."""
        if getattr(self, "_model", None):
            self._library.voicebench_close(self._model)
            self._model = None

    def new_cache(self, capacity: int) -> NativeCache:
        """Lay out memory for ``capacity`` positions."""
        import torch

        # An odd number of lines: with a power of two the numbers of one position, one in each row,
        # would all want the same place in the processor's cache.
        capacity = (-(-capacity // _LINE) | 1) * _LINE
        heads = (self.shape.layers, self.shape.kv_heads)
        return NativeCache(
            torch.empty(*heads, self.shape.head_size, capacity),
            torch.empty(*heads, capacity, self.shape.head_size),
        )

    def copy_cache(self, source: NativeCache, target: NativeCache, positions: int) -> None:
        """Copy the keys and values of the first ``positions``."""
        target.keys[..., :positions] = source.keys[..., :positions]
        target.values[:, :, :positions] = source.values[:, :, :positions]

    def fill(self, cache: NativeCache, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Set the first positions: both are ``(layers, kv_heads, positions, head_size)``."""
        positions = keys.shape[2]
        cache.keys[..., :positions] = keys.transpose(2, 3)
        cache.values[:, :, :positions] = values

    def forward(self, ids: Sequence[int], cache: NativeCache, start: int) -> torch.Tensor:
        """Return the scores ``(vocabulary,)`` after ``ids``, which stand at ``start`` and on.

        At most 256 ids; their keys and values are added to ``cache``.
        """
        import torch

        scores = torch.empty(self.shape.vocabulary)
        self._library.voicebench_forward(
            self._model,
            (ctypes.c_int32 * len(ids))(*ids),
            len(ids),
            cache.keys.data_ptr(),
            cache.values.data_ptr(),
            cache.keys.shape[3],
            start,
            scores.data_ptr(),
        )
        return scores

    def describe(self) -> dict[str, object]:
        """Return architecture, parameters, device, precision and kernels."""
        return {
            "architecture": self.shape.family,
            "parameters": self.parameters,
            "device": "cpu",
            "precision": self.precision,
            "kernels": f"native int{'+'.join(map(str, sorted(self.kinds)))}",
            "threads": self.threads,
            "bytes_per_token": self._library.voicebench_bytes(self._model),
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

    def _store(
        self, layer: int, which: int, parts: tuple[torch.Tensor, ...], bias: torch.Tensor | None
    ) -> None:
        parts = _readable(parts)
        bias = None if bias is None else bias.float().contiguous()
        kind = self._library.voicebench_store_matrix(
            self._model,
            layer,
            which,
            len(parts),
            (ctypes.c_void_p * len(parts))(*(part.data_ptr() for part in parts)),
            (ctypes.c_int32 * len(parts))(*(part.shape[0] for part in parts)),
            _stored_as(parts[0]),
            parts[0].shape[1],
            None if bias is None else bias.data_ptr(),
        )
        if kind == 0:
            raise MemoryError("no memory for the weights")
        self.kinds.add(kind)

    def _store_norm(self, layer: int, which: int, weight: torch.Tensor) -> None:
        weight = weight.float().contiguous()
        if not self._library.voicebench_store_norm(
            self._model, layer, which, weight.data_ptr(), weight.numel()
        ):
            raise MemoryError("no memory for the weights")


def _readable(parts: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Return ``parts`` in one number format that C reads, each in one piece."""
    import torch

    formats = {part.dtype for part in parts}
    if len(formats) > 1 or not formats <= {torch.float32, torch.float16, torch.bfloat16}:
        parts = tuple(part.float() for part in parts)
    return tuple(part.contiguous() for part in parts)


def _stored_as(weights: torch.Tensor) -> int:
    """Return what C calls the number format of ``weights``."""
    import torch

    return {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}[weights.dtype]
