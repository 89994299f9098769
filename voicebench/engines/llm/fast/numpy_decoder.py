"""The Llama-family decoder in numpy, float32: the exact arithmetic where torch is not installed.

It checks the C library, measures the quality of 8-bit products, and computes the prefix of all
prompts once. No reply is computed by it. `voicebench.engines.llm.fast.torch_decoder` has the same
arithmetic; a test compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebench.engines.llm.fast.model_shape import Shape, rotary_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.llm.fast.decoder_weights import Array, LayerWeights, Weights

    Rows = NDArray[np.float32]


@dataclass(slots=True)
class NumpyCache:
    """Keys and values of one reply, of shape ``(layers, kv_heads, capacity, head_size)``."""

    keys: Rows
    values: Rows


class NumpyDecoder:
    """A decoder in numpy. Rows are ``(count, channels)``."""

    def __init__(self, shape: Shape, weights: Weights) -> None:
        self.shape = shape
        self._layers = [_widened(layer) for layer in weights.layers]
        self._norm, self._embedding = _wide(weights.norm), weights.embedding
        self._head = _wide(weights.head)
        self._cosine, self._sine = rotary_tables(shape, shape.context)

    def new_cache(self, capacity: int) -> NumpyCache:
        """Return memory for ``capacity`` positions."""
        size = (self.shape.layers, self.shape.kv_heads, capacity, self.shape.head_size)
        return NumpyCache(np.zeros(size, np.float32), np.zeros(size, np.float32))

    def content(self, cache: NumpyCache, positions: int) -> tuple[Rows, Rows]:
        """Return a copy of keys and values of the first positions."""
        return cache.keys[:, :, :positions].copy(), cache.values[:, :, :positions].copy()

    def forward(self, ids: Sequence[int], cache: NumpyCache, start: int) -> Rows:
        """Return the scores ``(vocabulary,)`` after ``ids``, which begin at position ``start``."""
        last: Rows = self._scores(self._hidden(ids, cache, start)[-1:])[0]
        return last

    def every_score(self, ids: Sequence[int], cache: NumpyCache, start: int) -> Rows:
        """Return the scores ``(len(ids), vocabulary)`` after each of ``ids``; see `forward`."""
        return self._scores(self._hidden(ids, cache, start))

    def _scores(self, hidden: Rows) -> Rows:
        scores: Rows = self._normal(hidden, self._norm) @ self._head.T
        return scores

    def _hidden(self, ids: Sequence[int], cache: NumpyCache, start: int) -> Rows:
        hidden = _wide(self._embedding[list(ids)])
        for number, layer in enumerate(self._layers):
            hidden = self._layer(number, layer, hidden, cache, start)
        return hidden

    def _layer(
        self, number: int, layer: LayerWeights, hidden: Rows, cache: NumpyCache, start: int
    ) -> Rows:
        shape, count = self.shape, hidden.shape[0]
        end = start + count
        joined = _times(self._normal(hidden, layer.input_norm), layer.qkv, layer.qkv_bias)
        heads = joined.reshape(count, -1, shape.head_size).transpose(1, 0, 2)
        query, key = heads[: shape.heads], heads[shape.heads : shape.heads + shape.kv_heads]
        if layer.query_norm is not None and layer.key_norm is not None:
            query, key = self._normal(query, layer.query_norm), self._normal(key, layer.key_norm)
        cache.keys[number, :, start:end] = self._turned(key, start)
        cache.values[number, :, start:end] = heads[shape.heads + shape.kv_heads :]
        keys, values = cache.keys[number, :, :end], cache.values[number, :, :end]
        rows = self._turned(query, start).reshape(shape.kv_heads, -1, shape.head_size)
        scores = (rows @ keys.transpose(0, 2, 1)) / np.float32(math.sqrt(shape.head_size))
        scores = scores.reshape(shape.heads, count, end)
        scores = np.where(_seen(count, start, shape.windows[number]), scores, -np.inf)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares = shares / shares.sum(axis=-1, keepdims=True)
        read = shares.reshape(shape.kv_heads, -1, end) @ values
        read = read.reshape(shape.heads, count, shape.head_size).transpose(1, 0, 2)
        hidden = hidden + _times(read.reshape(count, -1), (layer.output,), layer.output_bias)
        gate_up = _times(self._normal(hidden, layer.mlp_norm), layer.gate_up, layer.gate_up_bias)
        gate, up = np.split(gate_up, 2, axis=1)
        inner = gate / (1 + np.exp(-np.clip(gate, -80, None))) * up
        result: Rows = hidden + _times(inner, (layer.down,), layer.down_bias)
        return result

    def _turned(self, heads: Rows, start: int) -> Rows:
        """Return rotated vectors ``(heads, count, head_size)``; the first is at ``start``."""
        at = slice(start, start + heads.shape[1])
        half = self.shape.head_size // 2
        swapped = np.concatenate((heads[..., half:], heads[..., :half]), axis=-1)
        turned: Rows = heads * self._cosine[at] + swapped * self._sine[at]
        return turned

    def _normal(self, rows: Rows, weight: Array) -> Rows:
        mean = (rows * rows).mean(axis=-1, keepdims=True)
        normal: Rows = rows / np.sqrt(mean + np.float32(self.shape.norm_epsilon)) * weight
        return normal


def _seen(count: int, start: int, window: int | None) -> NDArray[np.bool_]:
    """Return which positions each of ``count`` queries sees, ``(count, start + count)``."""
    at = np.arange(start, start + count)[:, None]
    positions = np.arange(start + count)[None]
    seen = positions <= at
    return seen if window is None else seen & (positions > at - window)


def _times(rows: Rows, matrices: Sequence[Array], bias: Array | None) -> Rows:
    product = np.concatenate([rows @ matrix.T for matrix in matrices], axis=1)
    return product if bias is None else product + bias


def _widened(layer: LayerWeights) -> LayerWeights:
    """Return the same layer in float32."""
    held: dict[str, Any] = {field.name: getattr(layer, field.name) for field in fields(layer)}
    wide: dict[str, Any] = {
        name: tuple(map(_wide, part)) if isinstance(part, tuple) else _wide(part)
        for name, part in held.items()
        if part is not None
    }
    return replace(layer, **wide)


def _wide(array: NDArray[Any]) -> Rows:
    return array.astype(np.float32, copy=False)
