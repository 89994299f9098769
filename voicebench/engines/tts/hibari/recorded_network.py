"""The network of a hibari voice on a CUDA device: graphs of a few sizes, replayed.

On a GPU a window of speech is a hundred small kernels, and starting them one by one takes longer
than running them. A CUDA graph starts them all at once, but always with the same shapes and the
same memory. So rows are filled up to the next of a few sizes. A mask says which rows there are, and
the others change none of them (see `TorchNetwork`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from voicebench.engines.tts.hibari.sizes import (
    DECODER_REACH,
    FRAME_CHANNELS,
    PROSODY_CHANNELS,
    SYMBOLS,
)
from voicebench.engines.tts.vits.replay import Record, record_cuda_graph
from voicebench.errors import EngineError
from voicebench.machine.devices import to_host

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from voicebench.engines.tts.hibari.torch_network import TorchNetwork

READ_SIZES = (32, 64, 128, 256)
"""Phonemes, with the pauses around them."""
PROSODY_SIZES = (64, 128, 256, 512)
"""Frames of 25 ms of a sentence."""
DECODED_SIZES = tuple(2 * DECODER_REACH + frames for frames in (0, 10, 42, 74))
"""Frames of 12.5 ms: a first window, one of 100 ms, one of the longest (500 ms), and more."""

TOLERANCE = 1e-3
"""Of numbers that are between -10 and 10."""

Compute = Callable[["Tensor", "Tensor | None"], "Tensor"]
"""Takes rows (count, columns) and their mask (count, 1) or None, and returns rows (count, …)."""


class Recording:
    """A computation of ``size`` rows, recorded on memory of its own."""

    def __init__(
        self, compute: Compute, size: int, columns: int, device: torch.device, record: Record
    ) -> None:
        on_cuda = device.type == "cuda"
        self._there = 0
        self._sent = torch.zeros(size, columns + 1, pin_memory=on_cuda)
        self._filled = self._sent.numpy()
        # The first recording decides what memory holds; ones keep every number finite.
        self._input = torch.ones(size, columns + 1, device=device)
        self._output = torch.empty(0, device=device)

        def work() -> None:
            self._output = compute(self._input[:, :-1], self._input[:, -1:])

        self._replay = record(work)

    def __call__(
        self, rows: NDArray[np.float32], start: int = 0, stop: int | None = None
    ) -> NDArray[np.float32]:
        """Return the rows from ``start`` to ``stop`` of the result for ``rows``."""
        count = rows.shape[0]
        self._filled[:count, :-1] = rows
        self._filled[count : self._there] = 0
        self._filled[self._there : count, -1] = 1
        self._there = count
        # The memory is not filled again before the result, which waits for this copy, is here.
        self._input.copy_(self._sent, non_blocking=True)
        self._replay()
        return to_host(self._output[start : count if stop is None else stop])


class RecordedPart:
    """Recordings of one computation, for a few numbers of rows."""

    def __init__(
        self,
        compute: Compute,
        sizes: tuple[int, ...],
        columns: int,
        device: torch.device,
        record: Record,
    ) -> None:
        self.compute = compute
        self.columns = columns
        self._recordings = {
            size: Recording(compute, size, columns, device, record) for size in sizes
        }

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of rows, in rising order."""
        return tuple(self._recordings)

    def __call__(
        self, rows: NDArray[np.float32], start: int = 0, stop: int | None = None
    ) -> NDArray[np.float32] | None:
        """Return the rows from ``start`` to ``stop`` of the result for ``rows`` (count, columns).

        None if there are more rows than the largest size has.
        """
        for size, recording in self._recordings.items():
            if size >= rows.shape[0]:
                return recording(rows, start, stop)
        return None


class RecordedNetwork:
    """Recordings of the network's three parts."""

    def __init__(self, network: TorchNetwork, record: Record = record_cuda_graph) -> None:
        device = torch.device(network.device)

        def read_rows(rows: Tensor, mask: Tensor | None = None) -> Tensor:
            return network.read_rows(rows[:, 0].long(), mask)

        def recorded(compute: Compute, sizes: tuple[int, ...], columns: int) -> RecordedPart:
            return RecordedPart(compute, sizes, columns, device, record)

        with network.computing():
            self.read = recorded(read_rows, READ_SIZES, 1)
            self.prosody = recorded(network.prosody_rows, PROSODY_SIZES, PROSODY_CHANNELS)
            self.decode = recorded(network.decode_rows, DECODED_SIZES, FRAME_CHANNELS)


def record_network(network: TorchNetwork) -> None:
    """Let ``network`` replay graphs on a CUDA device, if they compute what it computes."""
    if not network.device.startswith("cuda"):
        return
    try:
        recorded = RecordedNetwork(network)
        if recordings_agree(network, recorded):
            network.recorded = recorded
    except (RuntimeError, EngineError):  # a driver or a torch that cannot record, or no memory
        torch.cuda.synchronize(network.device)


def recordings_agree(network: TorchNetwork, recorded: RecordedNetwork) -> bool:
    """Return whether recordings of each size, full and not, give what ``network`` computes."""
    draws = np.random.default_rng(0)
    with network.computing():
        for part in (recorded.read, recorded.prosody, recorded.decode):
            for count in (count for size in part.sizes for count in (size, size - 9, size - 1)):
                rows = draws.standard_normal((count, part.columns), np.float32)
                if part is recorded.read:
                    rows = draws.integers(SYMBOLS, size=(count, 1)).astype(np.float32)
                expected = to_host(part.compute(network.on_device(rows), None))
                found = part(rows)
                if found is None or not np.allclose(found, expected, rtol=0, atol=TOLERANCE):
                    return False
    return True
