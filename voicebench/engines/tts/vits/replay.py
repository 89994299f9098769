"""Windows of fixed sizes, recorded once and replayed: CUDA graphs.

On a GPU a window of speech is hundreds of small kernels, and starting them takes longer than
running them. A CUDA graph starts them all at once, but always with the same shapes and the same
memory. Windows in the middle of an utterance allow that: with the same number of frames, each layer
keeps and returns the same number of rows. The first and the last window are computed as usual.

While a stream is in a graph, the rows that its layers keep are in the graph's memory. When another
stream enters, the graph first returns the rows of the one before.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

import torch
from torch import Tensor

from voicebench.engines.tts.vits.carry import Carry

Compute = Callable[[Tensor, Carry], Tensor]
"""Takes frames (time, channels) and the kept rows; returns samples."""

Record = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes work on fixed memory, and returns a function that repeats it."""


def record_cuda_graph(work: Callable[[], None]) -> Callable[[], None]:
    """Return the replay of a CUDA graph of ``work``."""
    warming = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    warming.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(warming):
        for _ in range(2):
            work()
    torch.cuda.current_stream().wait_stream(warming)
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the GPU meanwhile, and torch's own stream may be on another device.
    with torch.cuda.graph(graph, stream=warming, capture_error_mode="thread_local"):
        work()
    return graph.replay


class Replay:
    """The recording of one size of window; ``rows`` and ``kept`` are an example of its input."""

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
        """Compute the window ``rows`` of the stream of ``carry``."""
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
        """Return the kept rows to the stream that is inside."""
        carry = self._inside() if self._inside is not None else None
        self._inside = None
        if carry is not None:
            carry.take_back([tensor.clone() for tensor in self._kept])


class Replays:
    """The recordings of one network and speaker, each made when its size is first needed.

    Only for streams that have returned samples: from then on each layer keeps as many rows in
    every window.
    """

    def __init__(self, compute: Compute, sizes: tuple[int, ...], record: Record) -> None:
        self._compute = compute
        self._record = record
        self.sizes = tuple(sorted(sizes))
        self._replays: dict[int, Replay] = {}

    def size_for(self, frames: int) -> int:
        """Return the size of window to use if ``frames`` frames are wanted."""
        return next((size for size in self.sizes if size >= frames), self.sizes[-1])

    def __call__(self, rows: Tensor, carry: Carry) -> Tensor:
        """Compute the window ``rows`` in the middle of the stream of ``carry``."""
        frames = rows.shape[0]
        if frames not in self._replays:
            self._replays[frames] = Replay(self._compute, rows, carry.kept, self._record)
        return self._replays[frames](rows, carry)
