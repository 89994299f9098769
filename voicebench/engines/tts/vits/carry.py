"""What the layers of a stream keep from one window of frames to the next.

A convolution that streams needs the last rows of the window before it; a residual connection has
to wait for the convolution beside it. Each such place keeps a few rows in the stream's `Carry`, in
the order in which the layers ask, which is the same in every window.

Nothing is computed twice and nothing is approximated: a layer gives out each row as soon as all
that the row depends on has come in, with zeros beyond the true ends of the utterance. One window
over the whole utterance is the ordinary, unstreamed computation, by the same code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Carry:
    """The rows that one stream keeps between its windows.

    ``first`` and ``last`` tell a layer whether the true start or end of the utterance is in the
    window at hand.
    """

    def __init__(self, kept: list[Tensor] | None = None) -> None:
        self.first = kept is None
        self.last = False
        self._before = kept or []
        self._after: list[Tensor] = []
        self._turn = 0
        self._give_back: Callable[[], None] | None = None

    def begin(self, *, last: bool) -> None:
        """Begin a window; ``last`` says that the utterance ends with it."""
        self._fetch()
        self.last = last
        self._turn = 0
        self._after = []

    def finish(self) -> None:
        """End the window: what its layers kept is what the next one finds."""
        self._before = self._after
        self.first = False

    @property
    def kept(self) -> list[Tensor]:
        """Return the rows that the layers keep, in their order."""
        self._fetch()
        return self._before

    def lend(self, give_back: Callable[[], None]) -> None:
        """Note that the kept rows live elsewhere for now; ``give_back`` brings them back."""
        self._give_back = give_back

    def take_back(self, kept: list[Tensor]) -> None:
        """Keep these rows again: the lent ones, as they are now."""
        self._before = kept
        self._give_back = None

    def extend(self, rows: Tensor, *, edge: int, keep: int) -> Tensor:
        """Return ``rows`` (time, channels) with the kept rows before them, and keep the last ones.

        At the true ends ``edge`` rows of zeros stand before and after. The last ``keep`` rows of
        the result (all, if it has fewer) are kept for the next window.
        """
        parts = [rows.new_zeros(edge, rows.shape[1]) if self.first else self._take(), rows]
        if self.last:
            parts.append(rows.new_zeros(edge, rows.shape[1]))
        extended = torch.cat(parts)
        self._keep(extended[max(0, extended.shape[0] - keep) :])
        return extended

    def delay(self, rows: Tensor, count: int) -> Tensor:
        """Return the oldest ``count`` rows not yet given out; the others wait."""
        waiting = rows if self.first else self._joined(self._take(), rows)
        self._keep(waiting[count:])
        return waiting[:count]

    def align(self, branches: list[Tensor]) -> list[Tensor]:
        """Return of each branch the oldest rows that all of them have; the others wait."""
        if not self.first:
            branches = [self._joined(self._take(), rows) for rows in branches]
        count = min(rows.shape[0] for rows in branches)
        for rows in branches:
            self._keep(rows[count:])
        return [rows[:count] for rows in branches]

    @staticmethod
    def _joined(kept: Tensor, rows: Tensor) -> Tensor:
        return torch.cat([kept, rows]) if kept.shape[0] else rows

    def _fetch(self) -> None:
        if self._give_back is not None:
            self._give_back()

    def _take(self) -> Tensor:
        kept = self._before[self._turn]
        self._turn += 1
        return kept

    def _keep(self, rows: Tensor) -> None:
        if not self.last:
            self._after.append(rows)
