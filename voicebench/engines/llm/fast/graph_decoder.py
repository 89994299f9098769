"""The decoder on a CUDA device: each token is one captured graph.

A token of a small model needs some three hundred short kernels. Launching them one by one takes
longer than running them. So the pass of one token has fixed shapes: the id and its position are
tensors, and every query sees the whole cache through a mask. It is captured once for each cache,
and then launched as a whole. Prompts are computed as usual.

In a graph each kernel still takes two microseconds or more, however little it computes. So this
pass has fewer kernels than `TorchDecoder`: some 21 for a layer instead of 36.

The decoder has its own stream, beside the synthesizer's. A lock lets one pass at a time use it: a
pass that another thread starts while a graph is captured would become a part of that graph. Without
a GPU the same pass runs without a graph, so that its arithmetic can be tested.
"""

from __future__ import annotations

import math
import threading
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
        self._one_pass = threading.Lock()
        self._stream = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def new_cache(self, capacity: int) -> GraphCache:
        """Return memory for ``capacity`` positions and one id."""
        plain = super().new_cache(capacity)
        numbers = torch.zeros(2, dtype=torch.long, device=self.device)
        return GraphCache(plain.keys, plain.values, numbers[:1], numbers[1:])

    def copy_cache(self, source: TorchCache, target: TorchCache, positions: int) -> None:
        """Copy the first ``positions``, and capture the pass of ``target`` if it has none yet.

        A copy is about to be used. Captured here, the copy that the engine makes when it is loaded
        costs the first reply nothing.
        """
        assert isinstance(target, GraphCache)
        if self._stream is not None and target.scores is None:
            with self._beside(), torch.inference_mode(), memory_errors(self.device):
                self._capture(target)
        super().copy_cache(source, target, positions)

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
        with self._one_pass:
            current = torch.cuda.current_stream(self.device)
            self._stream.wait_stream(current)
            with torch.cuda.stream(self._stream):
                yield
            current.wait_stream(self._stream)

    def _token(self, token_id: int, cache: GraphCache, start: int) -> torch.Tensor:
        with torch.inference_mode(), memory_errors(self.device):
            if self._stream is not None and cache.scores is None:
                self._capture(cache, start)
            cache.token.fill_(token_id)
            cache.position.fill_(start)
            if cache.scores is None:
                return self._fixed_pass(cache)
            cache.graph.replay()
            return cache.scores

    def _capture(self, cache: GraphCache, start: int = 0) -> None:
        """Capture the pass on ``cache``; overwrites the keys and values at ``start``."""
        assert self._stream is not None
        cache.position.fill_(start)
        for _ in range(_WARM_UPS):
            self._fixed_pass(cache)
        self._stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        # "thread_local" lets other threads use the GPU meanwhile.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            scores = self._fixed_pass(cache)
        cache.graph, cache.scores = graph, scores

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
            seen = self._seen(query, keys, values, masks[layer.window])
            hidden = self.behind(layer, hidden, seen)
        return self.head(self.normal(hidden))[-1]

    def _seen(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Return the attention of one query; see `TorchDecoder.gather`."""
        rows = query.reshape(keys.shape[0], -1, keys.shape[2])
        # One kernel scales, adds and widens to the float32 of the mask.
        scores = torch.add(mask, torch.matmul(rows, keys.transpose(1, 2)), alpha=self._scale)
        seen = torch.matmul(torch.softmax(scores, dim=-1).to(values.dtype), values)
        return seen.reshape(1, -1)

    def _mask(self, cache: GraphCache, window: int | None) -> torch.Tensor:
        """Return the mask ``(1, capacity)`` of a query at the cache's position."""
        places = torch.arange(cache.keys.shape[2], device=self.device)[None]
        unseen = places > cache.position
        if window is not None:
            unseen = unseen | (places <= cache.position - window)
        nothing = torch.zeros(1, device=self.device)
        return torch.where(unseen, nothing - math.inf, nothing)
