"""Keys and values of a text as far as it was computed, with the ids that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from voicebench.engines.llm.fast.model_shape import Shape
from voicebench.engines.llm.fast.segment import Segment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 256
"""Ids in one pass on a CPU; a longer prompt is split to keep its attention scores small."""

_FLOAT_BYTES = 4


class CachingDecoder(Protocol):
    """The part of a decoder that fills caches; all of it is `engine.Decoder`."""

    @property
    def shape(self) -> Shape:
        """The model's sizes."""
        ...

    @property
    def block(self) -> int:
        """How many ids one pass takes at most."""
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


class PromptCache:
    """A cache that grows when it is full.

    ``ids`` are those whose keys and values were really computed, in order. An id that was sampled
    but never fed to the model, because the reply ended with it, is not among them.
    """

    def __init__(self, decoder: CachingDecoder, capacity: int) -> None:
        self._decoder = decoder
        self.capacity = min(max(capacity, 1), decoder.shape.context)
        self._memory = decoder.new_cache(self.capacity)
        self.ids: list[int] = []

    @property
    def bytes(self) -> int:
        """Its memory, if numbers are stored as float32; less with a narrower format."""
        return self.capacity * position_bytes(self._decoder.shape)

    def fill(
        self, ids: Sequence[int], keys: NDArray[np.float32], values: NDArray[np.float32]
    ) -> None:
        """Begin with ``ids``, whose keys and values another decoder has computed.

        Both have the shape ``(layers, kv_heads, len(ids), head_size)``.
        """
        self._decoder.fill(self._memory, keys, values)
        self.ids = list(ids)

    def begin_with(self, source: PromptCache, positions: int) -> None:
        """Keep or copy the first ``positions`` of ``source``, and forget everything behind them.

        ``source`` may be in use: what it has is not changed, only added to.
        """
        wanted = source.ids[:positions]
        if self.ids[:positions] == wanted:
            self.truncate(positions)
            return
        self.ids = []
        if positions > self.capacity:
            self._resize(positions, keep=0)
        self._decoder.copy_cache(source._memory, self._memory, positions)
        self.ids = wanted

    def truncate(self, positions: int) -> None:
        """Forget everything behind the first ``positions``."""
        del self.ids[positions:]

    def forward(self, ids: Sequence[int]) -> Any:
        """Append ``ids`` and return the scores after the last."""
        self.make_room(len(ids))
        for first in range(0, len(ids), self._decoder.block):
            block = ids[first : first + self._decoder.block]
            scores = self.append(block, self.compute_alone, prompt=len(ids))
        return scores

    def append(
        self,
        ids: Sequence[int],
        compute: Callable[[Segment], Any],
        *,
        prompt: int,
        wanted: bool = True,
    ) -> Any:
        """Append ``ids``, computed by ``compute``, and return what it gives.

        ``prompt`` and ``wanted`` are those of `Segment`.
        """
        self.make_room(len(ids))
        found = compute(Segment(ids, self._memory, len(self.ids), prompt, wanted))
        self.ids.extend(ids)
        return found

    def compute_alone(self, segment: Segment) -> Any:
        """Return the scores after ``segment``, which is computed in a pass of its own."""
        return self._decoder.forward(segment.ids, segment.cache, segment.start)

    def make_room(self, more: int) -> None:
        """Grow, if ``more`` ids do not fit; never beyond the model's context."""
        positions = min(len(self.ids) + more, self._decoder.shape.context)
        if positions > self.capacity:
            self._resize(positions, keep=len(self.ids))

    def _resize(self, positions: int, keep: int) -> None:
        capacity = min(max(positions, 3 * self.capacity // 2), self._decoder.shape.context)
        grown = self._decoder.new_cache(capacity)
        self._decoder.copy_cache(self._memory, grown, keep)
        self._memory, self.capacity = grown, capacity


def position_bytes(shape: Shape) -> int:
    """Return the memory of one position's keys and values as float32."""
    return 2 * shape.layers * shape.kv_heads * shape.head_size * _FLOAT_BYTES
