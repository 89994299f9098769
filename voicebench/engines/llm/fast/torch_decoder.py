"""The Llama-family decoder in torch, for any device and precision.

All other decoders are compared with it: in float32 its greedy replies are those of transformers, id
by id.

It differs from a general library in four points. Queries, keys and values are one product, and so
are gate and up. A norm's weight is multiplied into the next matrix when the model is loaded. Keys
and values are written into memory that was reserved before. In the last layer, only keys and values
are computed for positions before the last one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from voicebench.engines.llm.fast.decoder_weights import LayerWeights, Weights, as_tensor
from voicebench.engines.llm.fast.kernels import Linear, LinearKind
from voicebench.engines.llm.fast.model_shape import Shape, rotary_tables
from voicebench.engines.llm.fast.prompt_cache import BLOCK
from voicebench.engines.llm.out_of_memory import memory_errors
from voicebench.engines.llm.sampling import TensorSampler
from voicebench.machine.devices import set_torch_threads, to_host

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.engines.llm.fast.decoder_weights import Array


BLOCK_ON_GPU = 2048
"""Ids in one pass: each pass reads all weights and starts all kernels again."""


@dataclass(slots=True)
class TorchCache:
    """Keys and values of one reply, of shape ``(layers, kv_heads, capacity, head_size)``."""

    keys: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True, slots=True)
class TorchLayer:
    """One layer: its products, its separate norms, and how many positions it sees."""

    qkv: Linear
    query_norm: torch.Tensor | None
    key_norm: torch.Tensor | None
    output: Linear
    gate_up: Linear
    down: Linear
    window: int | None


@dataclass(frozen=True, slots=True)
class _Span:
    """The positions of one pass, and their rotary tables."""

    start: int
    end: int
    cosine: torch.Tensor
    sine: torch.Tensor


class TorchDecoder:
    """A decoder in torch; all products are of one kind."""

    def __init__(
        self, shape: Shape, weights: Weights, kind: LinearKind, device: torch.device
    ) -> None:
        set_torch_threads()
        self.shape = shape
        self.device = device
        self.parameters = weights.parameters
        self.dtype = kind.activations
        self.precision = kind.precision
        self.block = BLOCK_ON_GPU if device.type == "cuda" else BLOCK
        self._kernels = kind.name
        self.embedding = as_tensor(weights.embedding).to(device)
        self.layers = tuple(
            self._lay_out(layer, window, kind)
            for layer, window in zip(weights.layers, shape.windows, strict=True)
        )
        self.head = self._linear((weights.head,), None, kind, after_norm=weights.norm)
        cosine, sine = rotary_tables(shape, shape.context)
        self.cosine, self.sine = as_tensor(cosine).to(device), as_tensor(sine).to(device)
        self._scale = 1 / math.sqrt(shape.head_size)

    def new_cache(self, capacity: int) -> TorchCache:
        """Return memory for ``capacity`` positions."""
        size = (self.shape.layers, self.shape.kv_heads, capacity, self.shape.head_size)
        with memory_errors(self.device):
            keys = torch.zeros(size, dtype=self.dtype, device=self.device)
            return TorchCache(keys, torch.zeros_like(keys))

    def copy_cache(self, source: TorchCache, target: TorchCache, positions: int) -> None:
        """Copy the keys and values of the first ``positions``."""
        target.keys[:, :, :positions] = source.keys[:, :, :positions]
        target.values[:, :, :positions] = source.values[:, :, :positions]

    def fill(
        self, cache: TorchCache, keys: NDArray[np.float32], values: NDArray[np.float32]
    ) -> None:
        """Set the first positions: both are ``(layers, kv_heads, positions, head_size)``."""
        positions = keys.shape[2]
        cache.keys[:, :, :positions] = torch.from_numpy(keys).to(self.dtype)
        cache.values[:, :, :positions] = torch.from_numpy(values).to(self.dtype)

    def content(
        self, cache: TorchCache, positions: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return a copy of keys and values of the first positions, as `fill` takes them."""
        return to_host(cache.keys[:, :, :positions]), to_host(cache.values[:, :, :positions])

    def sampler(self, temperature: float, seed: int) -> TensorSampler:
        """Return a sampler for these scores."""
        return TensorSampler(temperature, seed)

    def describe(self) -> dict[str, object]:
        """Return architecture, parameters, device, precision and kernels."""
        return {
            "architecture": self.shape.family,
            "parameters": self.parameters,
            "device": str(self.device),
            "precision": self.precision,
            "kernels": self._kernels,
        }

    def forward(self, ids: Sequence[int], cache: TorchCache, start: int) -> torch.Tensor:
        """Return the scores ``(vocabulary,)`` after ``ids``, which begin at position ``start``.

        Their keys and values are added to ``cache``, which has those of all earlier positions.
        """
        return self._scores(ids, cache, start, every=False)[-1]

    def every_score(self, ids: Sequence[int], cache: TorchCache, start: int) -> torch.Tensor:
        """Return the scores ``(len(ids), vocabulary)`` after each of ``ids``; see `forward`."""
        return self._scores(ids, cache, start, every=True)

    def _scores(
        self, ids: Sequence[int], cache: TorchCache, start: int, *, every: bool
    ) -> torch.Tensor:
        with torch.inference_mode(), memory_errors(self.device):
            at = torch.tensor(list(ids), device=self.device)
            hidden = torch.nn.functional.embedding(at, self.embedding).to(self.dtype)
            end = start + len(ids)
            span = _Span(start, end, self.cosine[start:end, None], self.sine[start:end, None])
            last = len(self.layers) - 1
            for number, layer in enumerate(self.layers):
                held = cache.keys[number, :, :end], cache.values[number, :, :end]
                only_last = number == last and not every
                hidden = self._layer(layer, hidden, held, span, only_last=only_last)
            return self.head(self.normal(hidden))

    def _layer(
        self,
        layer: TorchLayer,
        hidden: torch.Tensor,
        held: tuple[torch.Tensor, torch.Tensor],
        span: _Span,
        *,
        only_last: bool,
    ) -> torch.Tensor:
        keys, values = held
        query, key, value = self.heads(layer, hidden, span.cosine, span.sine)
        keys[:, span.start :], values[:, span.start :] = key, value
        start = span.start
        if only_last and hidden.shape[0] > 1:
            query, hidden, start = query[:, -1:], hidden[-1:], span.end - 1
        mask = _mask(hidden.shape[0], start, span.end, layer.window, hidden.device)
        gather = gathered_at_once if hidden.is_cuda and mask is not None else self.gather
        return self.behind(layer, hidden, gather(query, keys, values, mask))

    def heads(
        self, layer: TorchLayer, hidden: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return rotated queries and keys, and values: ``(heads, count, head_size)`` each."""
        count, shape = hidden.shape[0], self.shape
        qkv = layer.qkv(self.normal(hidden)).view(count, -1, shape.head_size)
        turned = qkv[:, : shape.heads + shape.kv_heads]
        if layer.query_norm is not None and layer.key_norm is not None:
            query = self.normal(turned[:, : shape.heads]) * layer.query_norm
            key = self.normal(turned[:, shape.heads :]) * layer.key_norm
            turned = torch.cat((query, key), dim=1)
        half = shape.head_size // 2
        swapped = torch.cat((turned[..., half:], turned[..., :half]), dim=-1)
        turned = torch.addcmul(turned * cosine, swapped, sine).to(qkv.dtype).transpose(0, 1)
        value = qkv[:, shape.heads + shape.kv_heads :].transpose(0, 1)
        return turned[: shape.heads], turned[shape.heads :], value

    def gather(
        self,
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the attention of each query, ``(count, heads * head_size)``.

        ``keys`` and ``values`` are ``(kv_heads, positions, head_size)``; ``mask`` is added to the
        scores ``(count, positions)``. Query heads that share a key head become more rows of it, so
        keys are not copied.
        """
        heads, count, size = query.shape
        kv_heads, positions, _ = keys.shape
        rows = query.reshape(kv_heads, heads // kv_heads * count, size)
        scores = torch.matmul(rows, keys.transpose(1, 2)).float() * self._scale
        if mask is not None:
            scores = (scores.view(heads, count, positions) + mask).view(scores.shape)
        seen = torch.matmul(torch.softmax(scores, dim=-1).to(values.dtype), values)
        return seen.view(heads, count, size).transpose(0, 1).reshape(count, heads * size)

    def behind(self, layer: TorchLayer, hidden: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Return a layer's output: its input plus the attention ``seen``, through the MLP."""
        hidden = hidden + layer.output(seen)
        gate, up = layer.gate_up(self.normal(hidden)).chunk(2, dim=-1)
        return hidden + layer.down(torch.nn.functional.silu(gate) * up)

    def normal(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return ``hidden`` over its root mean square, computed in float32, without the weight."""
        if hidden.is_cuda:  # one kernel instead of seven
            size = hidden.shape[-1:]
            return torch.nn.functional.rms_norm(hidden, size, None, self.shape.norm_epsilon)
        wide = hidden.float()
        mean = wide.square().mean(dim=-1, keepdim=True)
        return (wide * torch.rsqrt(mean + self.shape.norm_epsilon)).to(hidden.dtype)

    def _lay_out(self, layer: LayerWeights, window: int | None, kind: LinearKind) -> TorchLayer:
        def norm(weight: Array | None) -> torch.Tensor | None:
            return None if weight is None else as_tensor(weight).to(self.device, kind.activations)

        return TorchLayer(
            qkv=self._linear(layer.qkv, layer.qkv_bias, kind, after_norm=layer.input_norm),
            query_norm=norm(layer.query_norm),
            key_norm=norm(layer.key_norm),
            output=self._linear((layer.output,), layer.output_bias, kind),
            gate_up=self._linear(
                layer.gate_up, layer.gate_up_bias, kind, after_norm=layer.mlp_norm
            ),
            down=self._linear((layer.down,), layer.down_bias, kind),
            window=window,
        )

    def _linear(
        self,
        parts: tuple[Array, ...],
        bias: Array | None,
        kind: LinearKind,
        after_norm: Array | None = None,
    ) -> Linear:
        def moved(array: Array) -> torch.Tensor:
            # As stored: fewer bytes travel, and the device widens them faster.
            return as_tensor(array).to(self.device)

        weight = torch.cat([moved(part).float() for part in parts])
        if after_norm is not None:
            weight = weight * moved(after_norm).float()
        return kind.prepare(weight, None if bias is None else moved(bias))


def gathered_at_once(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """Return what `TorchDecoder.gather` does, by torch's fused attention.

    The scores of a long prompt never stand in memory. Keys and values are copied for each query
    head that shares them.
    """
    heads, count, size = query.shape
    shared = heads // keys.shape[0]
    seen = torch.nn.functional.scaled_dot_product_attention(
        query[None],
        keys.repeat_interleave(shared, dim=0)[None],
        values.repeat_interleave(shared, dim=0)[None],
        None if mask is None else mask.to(query.dtype),
    )
    return seen[0].transpose(0, 1).reshape(count, heads * size)


def _mask(
    count: int, start: int, end: int, window: int | None, device: torch.device
) -> torch.Tensor | None:
    """Return the mask ``(count, end)`` to add to the scores; None if every query sees all.

    A query sees the positions up to its own, and of these only the latest ``window``. Others are
    minus infinity.
    """
    if count == 1 and (window is None or end <= window):
        return None
    at = torch.arange(start, start + count, device=device)[:, None]
    seen = torch.arange(end, device=device)[None]
    hidden = seen > at
    if window is not None:
        hidden |= seen <= at - window
    return torch.zeros(count, end, device=device).masked_fill_(hidden, -math.inf)
