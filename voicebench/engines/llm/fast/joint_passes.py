"""One pass over the weights for all turns that want one at the same time.

A small model spends most of a token reading its weights. So the threads of several turns hand in
what they want computed, and one of them computes all of it in a single pass.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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


def _held() -> threading.Lock:
    """Return a lock that is held."""
    lock = threading.Lock()
    lock.acquire()
    return lock


def _unchanged(scores: Any) -> Any:
    return scores


@dataclass(eq=False, slots=True)
class _Request:
    """A segment that a thread wants computed, and what came of it.

    ``wake`` is held until the thread has something to do: return, or compute the next pass.
    """

    segment: Segment
    pick: Callable[[Any], Any]
    wake: threading.Lock = field(default_factory=_held)
    is_done: bool = False
    result: Any = None
    error: BaseException | None = None


class JointPasses:
    """Computes segments of several threads in common passes.

    A pass begins when each announced step has asked for a segment or has ended, so that no turn of
    a joint step is left out (see `voicebench.pipeline.queued_turn.StepSharing`). Threads without
    an announced step are computed too: together with all that wait by then.

    The thread that computes a pass also picks the ids of all its segments. Each other thread is
    woken once, when its own id is there: eight that woke at the same time would wait for one
    another, for the interpreter's lock, longer than they pick.
    """

    def __init__(self, decoder: JoiningDecoder) -> None:
        self._decoder = decoder
        self._lock = threading.Lock()
        self._open = 0
        """Announced steps that have not ended."""
        self._asked: list[_Request] = []
        self._computing = False
        self._is_cut = False
        """Whether requests are left that did not fit into the last pass."""

    def expect(self, steps: int) -> None:
        """Announce steps that begin now; each asks for segments, or only ends."""
        with self._lock:
            self._open += steps

    def ended(self) -> None:
        """Record that an announced step has ended."""
        with self._lock:
            self._open -= 1
            if self._begins():
                self._asked[0].wake.release()

    def forward(self, segment: Segment, pick: Callable[[Any], Any] = _unchanged) -> Any:
        """Return what ``pick`` makes of the scores after ``segment``; None if none are wanted.

        Raises what the decoder raises for the pass, and what ``pick`` raises.
        """
        request = _Request(segment, pick)
        with self._lock:
            self._asked.append(request)
            computes = self._begins()
        if not computes:
            request.wake.acquire()
        while not request.is_done:
            self._compute(request)
            if not request.is_done:
                request.wake.acquire()
        if request.error is not None:
            raise request.error
        return request.result

    def _begins(self) -> bool:
        """Return whether a pass begins now; the caller sees to it that a thread computes it."""
        is_complete = self._is_cut or len(self._asked) >= self._open
        if self._computing or not self._asked or not is_complete:
            return False
        self._computing = True
        return True

    def _compute(self, own: _Request) -> None:
        """Compute the next pass, and wake the threads of its segments, but not that of ``own``."""
        with self._lock:
            joined = self._take()
        try:
            results = self._decoder.forward_together([request.segment for request in joined])
        except BaseException as error:
            for request in joined:
                request.error = error
        else:
            for request, scores in zip(joined, results, strict=True):
                _pick(request, scores)
        with self._lock:
            self._computing = False
            if self._begins():
                self._asked[0].wake.release()
        for request in joined:
            request.is_done = True
            if request is not own:
                request.wake.release()

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


def _pick(request: _Request, scores: Any) -> None:
    """Note what a request makes of its scores, or the error."""
    try:
        request.result = request.pick(scores) if request.segment.wanted else None
    except BaseException as error:
        request.error = error
