"""The fast engine: a decoder, its caches, and the prefix of all prompts, which is computed once.

Every prompt begins with the same ids: the system prompt in the chat template. Their keys and values
are computed when the engine is loaded; a reply computes only the rest. Several turns may run at
once, each with its own cache. The caches of conversations are kept between their turns
(`voicebench.engines.llm.fast.kept_caches`), so a turn computes its own words, not its history.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from voicebench.engines.llm.engine_protocols import ignore
from voicebench.engines.llm.fast.joint_passes import JoiningDecoder, JointPasses
from voicebench.engines.llm.fast.kept_caches import KeptCaches
from voicebench.engines.llm.fast.prompt_cache import CachingDecoder, PromptCache
from voicebench.engines.llm.fast.segment import Segment
from voicebench.machine.slower import Slower, described

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.engines.llm.fast.kernels import Precision


_MOST_AHEAD = 64
"""Ids that are computed between two turns: the end of a reply, and what opens the next message. If
more are missing, the history is not kept, and may never be needed again."""

PIECE = 64
"""Ids of a prompt in one pass, where other turns wait for theirs."""


class Sampling(Protocol):
    """Picks ids for one reply."""

    def pick(self, scores: Any) -> int:
        """Return the next id for these scores; raises `EngineError` if they are not finite."""
        ...


class Decoder(CachingDecoder, Protocol):
    """A loaded model without tokenizer. Caches and scores are of the decoder's own types."""

    @property
    def precision(self) -> Precision:
        """The number format of the products."""
        ...

    def sampler(self, temperature: float, seed: int) -> Sampling:
        """Return the sampler of one reply, for the scores of `forward`."""
        ...

    def describe(self) -> dict[str, object]:
        """Return architecture, parameters, device, precision and kernels."""
        ...


class FastEngine:
    """A decoder as an engine; implements `voicebench.engines.llm.engine_protocols.Generating`.

    ``prefix`` are the ids that all prompts begin with; a prompt without them is computed whole.
    ``kept`` are the exact keys and values of the prefix (see `Decoder.fill`); None computes them in
    the decoder's own precision. ``kept_bytes`` is the most memory for the keys and values of turns
    that are over. ``slower`` says why no faster decoder was taken.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        prefix: Sequence[int],
        temperature: float,
        seed: int,
        kept: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
        kept_bytes: int = 0,
        slower: Slower | None = None,
    ) -> None:
        self._decoder = decoder
        self._slower = slower
        self._temperature = temperature
        self._seed = seed
        self._prefix = list(prefix)[: decoder.shape.context - 1]
        self._kept_bytes = kept_bytes
        root = PromptCache(decoder, len(self._prefix))
        if kept is not None:
            root.fill(self._prefix, *kept)
        elif self._prefix:
            root.forward(self._prefix)
        self._caches = KeptCaches(decoder, root, kept_bytes)
        self._reading_ahead = threading.Lock()
        self._passes = JointPasses(decoder) if isinstance(decoder, JoiningDecoder) else None
        self._turns = 0
        self._lock = threading.Lock()

    @property
    def step_sharing(self) -> JointPasses | None:
        """The passes that several turns share; None if the decoder computes one after another."""
        return self._passes

    @property
    def context_tokens(self) -> int:
        """How many ids the prompt and the reply may have together."""
        return self._decoder.shape.context

    def generate(
        self,
        prompt_ids: Sequence[int],
        scope: str | None = None,
        found: Callable[[int], None] = ignore,
    ) -> Generator[int | None]:
        """Yield sampled ids, each once it is on the host, until closed or the context is full.

        None comes between two pieces of a long prompt. An id is computed in one pass with what
        other turns want at the time; it does not depend on them.
        """
        sampler = self._decoder.sampler(self._temperature, self._seed)
        with self._reading_ahead:
            pass  # what is just being computed is likely the beginning of this prompt
        with self._counted(), self._caches.lent(prompt_ids, scope) as cache:

            def picked(segment: Segment) -> int | None:
                if self._passes is not None:
                    return cast(int | None, self._passes.forward(segment, sampler.pick))
                scores = cache.compute_alone(segment)
                return sampler.pick(scores) if segment.wanted else None

            found(len(cache.ids))
            fed = list(prompt_ids[len(cache.ids) :])
            cache.make_room(len(fed))
            prompt = len(fed)
            while len(cache.ids) + len(fed) <= self.context_tokens:
                while len(fed) > (size := self._piece()):
                    cache.append(fed[:size], picked, prompt=prompt, wanted=False)
                    del fed[:size]
                    yield None
                token_id = cache.append(fed, picked, prompt=prompt)
                yield token_id
                fed, prompt = [token_id], 1

    def read_ahead(self, ids: Sequence[int], scope: str) -> None:
        """Compute what is not kept of ``ids``, with which the next prompt of ``scope`` begins."""
        if self._caches.in_use or not self._kept_bytes or len(ids) >= self.context_tokens:
            return
        # A cache is never lent with all ids of a prompt, so the prompt has one more here.
        with self._reading_ahead, self._caches.lent([*ids, 0], scope) as cache:
            rest = ids[len(cache.ids) :]
            if 0 < len(rest) <= _MOST_AHEAD:
                cache.forward(rest)

    def describe(self) -> dict[str, object]:
        """Return the decoder's description, with the length of the kept prefix."""
        return {
            "engine": "fast",
            **self._decoder.describe(),
            "context_tokens": self.context_tokens,
            "kept_prefix_tokens": len(self._prefix),
            "kept_mb": self._kept_bytes >> 20,
        } | described(self._slower)

    def close(self) -> None:
        """Release the model."""
        self._caches.clear()
        del self._decoder, self._passes

    def _piece(self) -> int:
        """Return how many ids of a prompt are computed before other turns may go."""
        return self._decoder.block if self._passes is None or self._turns == 1 else PIECE

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a turn among those that are running."""
        with self._lock:
            self._turns += 1
        try:
            yield
        finally:
            with self._lock:
                self._turns -= 1
