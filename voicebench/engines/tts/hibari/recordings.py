"""Computations of rows on fixed memory, recorded for a few numbers of rows and replayed.

On a GPU a window of speech is a hundred small kernels, and starting them one by one takes longer
than running them. A CUDA graph starts them all at once, but always with the same shapes and the
same memory. So rows are filled up to the next of a few sizes. A mask says which rows there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from voicebench.machine.devices import to_host

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from voicebench.engines.tts.vits.replay import Record

Compute = Callable[["Tensor", "Tensor | None"], "Tensor"]
"""Takes rows (count, columns) and their mask (count, 1) or None, and returns rows (count, …).

The mask is 1 for the rows that there are, and 0 for the ones behind them, which must change no
other row. Their results are not used.
"""


class RecordedSize:
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
            size: RecordedSize(compute, size, columns, device, record) for size in sizes
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


@dataclass(frozen=True, slots=True)
class RecordedParts:
    """Recordings of a network's three parts."""

    read: RecordedPart
    prosody: RecordedPart
    decode: RecordedPart
