"""The decoder on a CUDA device: each token is one captured graph.

A token of a small model needs some three hundred short kernels. Launching them one by one takes
longer than running them. So the pass of one token has fixed shapes: the id and its position are
tensors, and every query sees the whole cache through a mask. It is captured once for each cache,
and then launched as a whole. Prompts are computed as usual.

The decoder has its own stream, beside the synthesizer's. Without a GPU the same pass runs without a
graph, so that its arithmetic can be tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from voicebench.engines.llm.fast.decoder_weights import Weights
from voicebench.engines.llm.fast.kernels import LinearKind
from voicebench.engines.llm.fast.model_shape import Shape
from voicebench.engines.llm.fast.torch_decoder import TorchCache, TorchDecoder
from voicebench.engines.llm.out_of_memory import memory_errors

_WARM_UPS = 3
"""Passes before capturing, in which libraries choose kernels and reserve memory."""


@dataclass(slots=True)
class GraphCache(TorchCache):
    """Keys and values, and the captured pass with its input (an id, its position) and output."""

    token: torch.Tensor
    position: torch.Tensor
    graph: Any = None
    scores: torch.Tensor | None = None


class GraphDecoder(TorchDecoder):
    """A decoder that captures the pass of a single token.

    The next token on the same cache overwrites the scores.
    """

    def __init__(
        self, shape: Shape, weights: Weights, kind: LinearKind, device: torch.device
    ) -> None:
        super().__init__(shape, weights, kind, device)
        self._stream = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def new_cache(self, capacity: int) -> GraphCache:
        """Return memory for ``capacity`` positions and one id."""
        plain = super().new_cache(capacity)
        numbers = torch.zeros(2, dtype=torch.long, device=self.device)
        return GraphCache(plain.keys, plain.values, numbers[:1], numbers[1:])

    def forward(self, ids: Sequence[int], cache: TorchCache, start: int) -> torch.Tensor:
        """Return the scores ``(vocabulary,)`` after ``ids``; see `TorchDecoder.forward`."""
        assert isinstance(cache, GraphCache)
        with self._beside():
            if len(ids) > 1:
                return super().forward(ids, cache, start)
            return self._token(ids[0], cache, start)

    def describe(self) -> dict[str, object]:
        """Return architecture, parameters, device, precision and kernels."""
        return {**super().describe(), "graphs": self._stream is not None}

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """Compute on the decoder's own stream, in order with the caller's."""
        if self._stream is None:
            yield
            return
        current = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            yield
        current.wait_stream(self._stream)

    def _token(self, token_id: int, cache: GraphCache, start: int) -> torch.Tensor:
        with torch.inference_mode(), memory_errors(self.device):
            cache.token.fill_(token_id)
            cache.position.fill_(start)
            if self._stream is None:
                return self._fixed_pass(cache)
            if cache.graph is None or cache.scores is None:
                # Repeated passes write the same keys and values to the same place.
                for _ in range(_WARM_UPS):
                    self._fixed_pass(cache)
                self._stream.synchronize()
                cache.graph = torch.cuda.CUDAGraph()
                # "thread_local" lets other threads use the GPU meanwhile.
                with torch.cuda.graph(
                    cache.graph, stream=self._stream, capture_error_mode="thread_local"
                ):
                    cache.scores = self._fixed_pass(cache)
            cache.graph.replay()
            return cache.scores

    def _fixed_pass(self, cache: GraphCache) -> torch.Tensor:
        """Compute the token in ``cache``; no shape depends on the token or its position."""
        hidden = torch.nn.functional.embedding(cache.token, self.embedding).to(self.dtype)
        cosine = self.cosine.index_select(0, cache.position)[:, None]
        sine = self.sine.index_select(0, cache.position)[:, None]
        masks = {window: self._mask(cache, window) for window in set(self.shape.windows)}
        for number, layer in enumerate(self.layers):
            query, key, value = self.heads(layer, hidden, cosine, sine)
            keys, values = cache.keys[number], cache.values[number]
            keys.index_copy_(1, cache.position, key)
            values.index_copy_(1, cache.position, value)
            seen = self.gather(query, keys, values, masks[layer.window])
            hidden = self.behind(layer, hidden, seen)
        return self.head(self.normal(hidden))[-1]

    def _mask(self, cache: GraphCache, window: int | None) -> torch.Tensor:
        """Return the mask ``(1, capacity)`` of a query at the cache's position."""
        places = torch.arange(cache.keys.shape[2], device=self.device)[None]
        unseen = places > cache.position
        if window is not None:
            unseen = unseen | (places <= cache.position - window)
        nothing = torch.zeros(1, device=self.device)
        return torch.where(unseen, nothing - math.inf, nothing)
