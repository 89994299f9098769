"""Log of one answer: 16 bytes a piece for all of it, and the bytes of its beginning.

A thousand streams of speech bring 48 MB a second, which nobody keeps. The moments, the kernel's
moments and the sizes of all pieces are kept. Of the bytes themselves the first second of a reply is
kept (`KeptSound`), or all of them for every k-th turn.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from typing import NamedTuple

UNKNOWN_LAG = 0xFFFFFFFF
"""In the place of a lag that the kernel did not tell."""


def lag_of(at_ns: int, received_ns: int | None) -> int:
    """Return the lag in nanoseconds as it is stored."""
    return UNKNOWN_LAG if received_ns is None else min(max(at_ns - received_ns, 0), 0xFFFFFFFE)


class ReadPiece(NamedTuple):
    """One piece of a body: some or all bytes of one read."""

    at_ns: int
    lag_ns: int | None
    data: bytes
    is_kept: bool
    """Whether ``data`` are its bytes; else they are zeros, as many."""


class KeptSound:
    """Says which bytes of a turn's sound are kept: ``most_bytes`` of it, or all if that is None.

    With ``is_audible`` they count from the first audible piece on; all silence before it is kept,
    so that the first sound is found however late it comes.
    """

    def __init__(
        self, most_bytes: int | None, is_audible: Callable[[memoryview], bool] | None = None
    ) -> None:
        self._left = most_bytes
        self._is_audible = is_audible

    def forget(self) -> None:
        """Ask no more whether a piece is audible, so that this does not refer to the turn."""
        self._is_audible = None

    def takes(self, piece: memoryview) -> bool:
        """Return whether the next piece is kept, as all before it."""
        if self._left is None:
            return True
        if self._is_audible is not None:
            if not self._is_audible(piece):
                return True
            self._is_audible = None
        keeps = self._left > 0
        self._left = max(self._left - len(piece), 0)
        return keeps


class ReadLog:
    """The pieces of one answer, as they are read."""

    __slots__ = ("at_ns", "kept", "kept_pieces", "lag_ns", "sizes")

    def __init__(self) -> None:
        self.at_ns = array("q")
        self.lag_ns = array("I")
        self.sizes = array("I")
        self.kept = bytearray()
        self.kept_pieces = 0

    def add(self, at_ns: int, received_ns: int | None, size: int) -> None:
        """Note a piece; its bytes are kept by `keep`, or not."""
        self.at_ns.append(at_ns)
        self.lag_ns.append(lag_of(at_ns, received_ns))
        self.sizes.append(size)

    def keep(self, data: bytes | memoryview) -> None:
        """Keep the bytes of the piece that was noted last. All pieces before it are kept too."""
        self.kept += data
        self.kept_pieces += 1

    def largest_lag_ns(self, until_ns: float = math.inf) -> int | None:
        """Return the largest lag of the pieces up to a moment; None if the kernel told none."""
        pairs = zip(self.at_ns, self.lag_ns, strict=True)
        known = [lag for at_ns, lag in pairs if at_ns <= until_ns and lag != UNKNOWN_LAG]
        return max(known, default=None)

    def pieces(self) -> Iterator[ReadPiece]:
        """Yield the pieces, those that were not kept as zeros."""
        begin = 0
        kept = bytes(self.kept)
        for number, (at_ns, lag, size) in enumerate(
            zip(self.at_ns, self.lag_ns, self.sizes, strict=True)
        ):
            is_kept = number < self.kept_pieces
            data = kept[begin : begin + size] if is_kept else bytes(size)
            begin += size
            yield ReadPiece(at_ns, None if lag == UNKNOWN_LAG else lag, data, is_kept)
