"""The fast engine: a decoder, its caches, and the prefix of all prompts, which is computed once.

Every prompt begins with the same ids: the system prompt in the chat template. Their keys and values
are computed when the engine is loaded, and every cache begins with them; a reply computes only the
rest. Several turns may run at once, each with its own cache. A free cache is used again, so a turn
does not wait for new memory.
"""

from __future__ import annotations

import itertools
import operator
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from voicebench.engines.llm.fast.model_shape import Shape
from voicebench.machine.slower import Slower, described

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.engines.llm.fast.kernels import Precision

_BLOCK = 256
"""Ids in one pass; a longer prompt is split to keep its attention scores small."""

_SMALLEST_CACHE = 512


class Sampling(Protocol):
    """Picks ids for one reply."""

    def pick(self, scores: Any) -> int:
        """Return the next id for these scores; raises `EngineError` if they are not finite."""
        ...


class Decoder(Protocol):
    """A loaded model without tokenizer. Caches and scores are of the decoder's own types."""

    @property
    def shape(self) -> Shape:
        """The model's sizes."""
        ...

    @property
    def precision(self) -> Precision:
        """The number format of the products."""
        ...

    def new_cache(self, capacity: int) -> Any:
        """Return memory for the keys and values of ``capacity`` positions."""
        ...

    def copy_cache(self, source: Any, target: Any, positions: int) -> None:
        """Copy the keys and values of the first ``positions``."""
        ...

    def fill(self, cache: Any, keys: NDArray[np.float32], values: NDArray[np.float32]) -> None:
        """Set the first positions of a cache from keys and values of another decoder.

        Both have the shape ``(layers, kv_heads, positions, head_size)``.
        """
        ...

    def forward(self, ids: Sequence[int], cache: Any, start: int) -> Any:
        """Return the scores ``(vocabulary,)`` after ``ids``, which begin at position ``start``.

        Their keys and values are added to ``cache``, which has those of all earlier positions.
        Raises `EngineError` if there is not enough memory.
        """
        ...

    def sampler(self, temperature: float, seed: int) -> Sampling:
        """Return the sampler of one reply, for the scores of `forward`."""
        ...

    def describe(self) -> dict[str, object]:
        """Return architecture, parameters, device, precision and kernels."""
        ...


class FastEngine:
    """A decoder as an engine; implements `voicebench.engines.llm.generation.Generating`.

    ``prefix`` are the ids that all prompts begin with; a prompt without them is computed whole.
    ``kept`` are the exact keys and values of the prefix (see `Decoder.fill`); None computes them in
    the decoder's own precision. ``slower`` says why no faster decoder was taken.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        prefix: Sequence[int],
        temperature: float,
        seed: int,
        kept: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
        slower: Slower | None = None,
    ) -> None:
        self._decoder = decoder
        self._slower = slower
        self._temperature = temperature
        self._seed = seed
        self._prefix = list(prefix)[: decoder.shape.context - 1]
        self._idle: list[_Positions] = []
        self._lock = threading.Lock()
        capacity = max(_SMALLEST_CACHE, 2 * len(self._prefix))
        first = _Positions(decoder, min(capacity, decoder.shape.context))
        if kept is not None:
            first.fill(*kept)
        elif self._prefix:
            first.forward(self._prefix)
        self._idle.append(first)

    @property
    def context_tokens(self) -> int:
        """How many ids the prompt and the reply may have together."""
        return self._decoder.shape.context

    def generate(self, prompt_ids: Sequence[int]) -> Generator[int]:
        """Yield sampled ids, each once it is on the host, until closed or the context is full."""
        sampler = self._decoder.sampler(self._temperature, self._seed)
        with self._cache() as positions:
            positions.filled = _common(self._prefix, prompt_ids[:-1])
            fed = list(prompt_ids[positions.filled :])
            while positions.filled + len(fed) <= self.context_tokens:
                token_id = sampler.pick(positions.forward(fed))
                yield token_id
                fed = [token_id]

    def describe(self) -> dict[str, object]:
        """Return the decoder's description, with the length of the kept prefix."""
        return {
            "engine": "fast",
            **self._decoder.describe(),
            "context_tokens": self.context_tokens,
            "kept_prefix_tokens": len(self._prefix),
        } | described(self._slower)

    def close(self) -> None:
        """Release the model."""
        self._idle.clear()
        del self._decoder

    @contextmanager
    def _cache(self) -> Iterator[_Positions]:
        """Yield a cache that begins with the prefix: a free one, or a new one."""
        with self._lock:
            # One always stays: new caches copy its prefix.
            lent = self._idle.pop() if len(self._idle) > 1 else None
            source = self._idle[0]
        if lent is None:
            lent = source.copy(len(self._prefix))
        try:
            yield lent
        finally:
            with self._lock:
                self._idle.append(lent)


class _Positions:
    """A cache that grows when it is full; ``filled`` is its number of positions."""

    def __init__(self, decoder: Decoder, capacity: int) -> None:
        self._decoder = decoder
        self._capacity = capacity
        self._cache = decoder.new_cache(capacity)
        self.filled = 0

    def copy(self, positions: int) -> _Positions:
        """Return a new cache with the first ``positions`` of this one."""
        twin = _Positions(self._decoder, self._capacity)
        self._decoder.copy_cache(self._cache, twin._cache, positions)
        twin.filled = positions
        return twin

    def fill(self, keys: NDArray[np.float32], values: NDArray[np.float32]) -> None:
        """Begin with keys and values of another decoder."""
        self._decoder.fill(self._cache, keys, values)
        self.filled = int(keys.shape[2])

    def forward(self, ids: Sequence[int]) -> Any:
        """Append ``ids`` and return the scores after the last."""
        self._make_room(self.filled + len(ids))
        for first in range(0, len(ids), _BLOCK):
            block = ids[first : first + _BLOCK]
            scores = self._decoder.forward(block, self._cache, self.filled)
            self.filled += len(block)
        return scores

    def _make_room(self, positions: int) -> None:
        if positions <= self._capacity:
            return
        capacity = min(max(positions, 2 * self._capacity), self._decoder.shape.context)
        grown = self._decoder.new_cache(capacity)
        self._decoder.copy_cache(self._cache, grown, self.filled)
        self._cache, self._capacity = grown, capacity


def common_prefix(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """Return the ids that both begin with."""
    return list(first[: _common(first, second)])


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many ids both have in common at their start."""
    equal = map(operator.eq, first, second)
    return sum(1 for _ in itertools.takewhile(bool, equal))
