"""One pass over the weights for all turns that want one at the same time.

A small model spends most of a token reading its weights. So the threads of several turns hand in
what they want computed, and one of them computes all of it in a single pass.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from voicebench.engines.llm.fast.segment import Segment


@runtime_checkable
class JoiningDecoder(Protocol):
    """A decoder that computes several sequences in one pass."""

    most_rows: int
    """How many ids a pass has at most."""

    def forward_together(self, segments: Sequence[Segment]) -> list[Any]:
        """Return the wanted scores after each segment, and None for the others."""
        ...


@dataclass(eq=False, slots=True)
class _Request:
    """A segment that a thread wants computed, and what came of it."""

    segment: Segment
    is_done: bool = False
    scores: Any = None
    error: BaseException | None = None


class JointPasses:
    """Computes segments of several threads in common passes.

    A pass begins when each announced step has asked for a segment or has ended, so that no turn of
    a joint step is left out (see `voicebench.pipeline.queued_turn.StepSharing`). Threads without
    an announced step are computed too: together with all that wait by then.
    """

    def __init__(self, decoder: JoiningDecoder) -> None:
        self._decoder = decoder
        self._changed = threading.Condition()
        self._open = 0
        """Announced steps that have not ended."""
        self._asked: list[_Request] = []
        self._computing = False
        self._is_cut = False
        """Whether requests are left that did not fit into the last pass."""

    def expect(self, steps: int) -> None:
        """Announce steps that begin now; each asks for segments, or only ends."""
        with self._changed:
            self._open += steps

    def ended(self) -> None:
        """Record that an announced step has ended."""
        with self._changed:
            self._open -= 1
            if self._asked:
                self._changed.notify_all()

    def forward(self, segment: Segment) -> Any:
        """Return the scores after ``segment``; None if they are not wanted.

        Raises what the decoder raises for the pass.
        """
        request = _Request(segment)
        with self._changed:
            self._asked.append(request)
            while not request.is_done:
                is_complete = self._is_cut or len(self._asked) >= self._open
                if self._computing or not is_complete:
                    self._changed.wait()
                else:
                    self._compute()
        if request.error is not None:
            raise request.error
        return request.scores

    def _compute(self) -> None:
        """Compute the next pass; the lock is held, but not meanwhile."""
        joined = self._take()
        self._computing = True
        self._changed.release()
        try:
            results = self._decoder.forward_together([request.segment for request in joined])
            for request, scores in zip(joined, results, strict=True):
                request.scores = scores
        except BaseException as error:
            for request in joined:
                request.error = error
        finally:
            self._changed.acquire()
            self._computing = False
            for request in joined:
                request.is_done = True
            self._changed.notify_all()

    def _take(self) -> list[_Request]:
        """Return the requests that fit into one pass, the first one always."""
        joined: list[_Request] = []
        rows = 0
        for request in self._asked:
            rows += len(request.segment.ids)
            if joined and rows > self._decoder.most_rows:
                break
            joined.append(request)
        del self._asked[: len(joined)]
        self._is_cut = bool(self._asked)
        return joined
