"""The rows that the layers of a stream keep from one window of frames to the next.

A streaming convolution needs the last rows of the window before. A residual connection waits for
the convolution beside it. Both keep a few rows in the stream's `Carry`. Layers ask for their rows
in the same order in every window.

Nothing is computed twice or approximated: a layer returns a row as soon as all rows that it depends
on have arrived, with zeros beyond the true ends of the utterance. The same code computes a whole
utterance, as one window.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Carry:
    """The rows that one stream keeps between its windows.

    ``first`` and ``last`` say whether the current window has the true start or end of the
    utterance.
    """

    def __init__(self, kept: list[Tensor] | None = None) -> None:
        self.first = kept is None
        self.last = False
        self._before = kept or []
        self._after: list[Tensor] = []
        self._position = 0
        self._give_back: Callable[[], None] | None = None

    def begin(self, *, last: bool) -> None:
        """Begin a window; ``last`` marks the last one of the utterance."""
        self._fetch()
        self.last = last
        self._position = 0
        self._after = []

    def finish(self) -> None:
        """End the window: the next one reads the rows that its layers kept."""
        self._before = self._after
        self.first = False

    @property
    def kept(self) -> list[Tensor]:
        """Return the rows that the layers keep, in their order."""
        self._fetch()
        return self._before

    def lend(self, give_back: Callable[[], None]) -> None:
        """Note that the kept rows are elsewhere for now; ``give_back`` brings them back."""
        self._give_back = give_back

    def take_back(self, kept: list[Tensor]) -> None:
        """Take back the rows that were lent, as they are now."""
        self._before = kept
        self._give_back = None

    def extend(self, rows: Tensor, *, edge: int, keep: int) -> Tensor:
        """Return ``rows`` (time, channels) with the kept rows before them.

        At the true ends, ``edge`` rows of zeros are added. The last ``keep`` rows of the result
        (or all, if it has fewer) are kept for the next window.
        """
        parts = [rows.new_zeros(edge, rows.shape[1]) if self.first else self._take(), rows]
        if self.last:
            parts.append(rows.new_zeros(edge, rows.shape[1]))
        extended = torch.cat(parts)
        self._keep(extended[max(0, extended.shape[0] - keep) :])
        return extended

    def delay(self, rows: Tensor, count: int) -> Tensor:
        """Return the oldest ``count`` rows that were not returned yet; the others wait."""
        waiting = rows
        if not self.first and (kept := self._take()).shape[0]:
            waiting = torch.cat([kept, rows])
        self._keep(waiting[count:])
        return waiting[:count]

    def _fetch(self) -> None:
        if self._give_back is not None:
            self._give_back()

    def _take(self) -> Tensor:
        kept = self._before[self._position]
        self._position += 1
        return kept

    def _keep(self, rows: Tensor) -> None:
        if not self.last:
            self._after.append(rows)
