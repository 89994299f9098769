"""Windows of a fixed size as one recorded piece of work: CUDA graphs.

On a GPU a window of speech is hundreds of small kernels, and starting them takes longer than
running them. A CUDA graph starts them all at once, but always with the same shapes and the same
memory. Windows in the middle of an utterance fit that: with the same number of frames in, each
layer keeps the same number of rows and gives out the same number. The first and the last window
are computed as usual.

The rows that the layers keep live in the graph's own memory while a stream runs through it; a
stream that gets its turn brings its rows in, and the one before takes its rows out.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

import torch
from torch import Tensor

from voicebench.engines.tts.vits.carry import Carry

Compute = Callable[[Tensor, Carry], Tensor]
"""Frames (time, channels) and what was kept, to samples."""

Record = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes a piece of work on fixed memory; returns what does it again."""


def record_cuda_graph(work: Callable[[], None]) -> Callable[[], None]:
    """Return the replay of a CUDA graph of ``work``."""
    warming = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    warming.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(warming):
        for _ in range(2):
            work()
    torch.cuda.current_stream().wait_stream(warming)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class Replay:
    """One size of window: ``rows`` and ``kept`` are an example of what goes in."""

    def __init__(self, compute: Compute, rows: Tensor, kept: list[Tensor], record: Record) -> None:
        self._rows = rows.clone()
        self._kept = [tensor.clone() for tensor in kept]
        self._samples = rows.new_empty(0)
        self._inside: weakref.ref[Carry] | None = None

        def work() -> None:
            carry = Carry(self._kept)
            carry.begin(last=False)
            self._samples = compute(self._rows, carry)
            carry.finish()
            for old, new in zip(self._kept, carry.kept, strict=True):
                old.copy_(new)

        self._replay = record(work)

    def __call__(self, rows: Tensor, carry: Carry) -> Tensor:
        """Compute the window ``rows`` of the stream whose rows ``carry`` keeps."""
        if self._inside is None or self._inside() is not carry:
            self.release()
            for own, kept in zip(self._kept, carry.kept, strict=True):
                own.copy_(kept)
            self._inside = weakref.ref(carry)
            carry.lend(self.release)
        self._rows.copy_(rows)
        self._replay()
        return self._samples.clone()

    def release(self) -> None:
        """Give the stream that is inside its rows back."""
        carry = self._inside() if self._inside is not None else None
        self._inside = None
        if carry is not None:
            carry.take_back([tensor.clone() for tensor in self._kept])


class Replays:
    """All sizes of windows of one network and speaker, each recorded when first needed.

    Only for streams that have given out samples: then all layers keep what they keep from then on.
    """

    def __init__(self, compute: Compute, sizes: tuple[int, ...], record: Record) -> None:
        self._compute = compute
        self._record = record
        self.sizes = tuple(sorted(sizes))
        self._replays: dict[int, Replay] = {}

    def size_for(self, frames: int) -> int:
        """Return the size of window to take where ``frames`` frames are wanted."""
        return next((size for size in self.sizes if size >= frames), self.sizes[-1])

    def __call__(self, rows: Tensor, carry: Carry) -> Tensor:
        """Compute the window ``rows`` in the middle of the stream of ``carry``."""
        frames = rows.shape[0]
        if frames not in self._replays:
            self._replays[frames] = Replay(self._compute, rows, carry.kept, self._record)
        return self._replays[frames](rows, carry)
