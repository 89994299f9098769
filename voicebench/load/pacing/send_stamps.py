"""The moments at which a paced server sent: what a client's stamps are compared with.

Client and server are on one machine, so ``CLOCK_MONOTONIC`` is one clock for both.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from voicebench.load.pacing.paced_script import PacedKind

MOST_STAMPS = 4_000_000
"""160 MB; later ones are counted but not kept."""
KINDS: tuple[PacedKind, ...] = ("token", "sound", "end")
_FIELDS = 5


class SendStamp(NamedTuple):
    """One thing that was sent: by which reply, and when."""

    port: int
    """The client's port."""
    request: int
    """The request's number on this connection, from 1."""
    kind: PacedKind
    number: int
    due_ns: int
    """When the script wanted it, on the monotonic clock."""
    sent_ns: int
    """Just before it was given to the system."""


class SendStamps:
    """Stamps as they are made; about 1 µs each."""

    def __init__(self) -> None:
        self._rows = array("q")
        self.left_out = 0

    def add(self, stamp: SendStamp) -> None:
        """Keep one stamp, if there is room."""
        if len(self._rows) >= MOST_STAMPS * _FIELDS:
            self.left_out += 1
            return
        port, request, kind, number, due_ns, sent_ns = stamp
        self._rows.extend((port, request, KINDS.index(kind) << 32 | number, due_ns, sent_ns))

    def as_bytes(self) -> bytes:
        """Return all stamps: five little-endian 64-bit integers each."""
        rows = self._rows[:]
        if sys.byteorder == "big":
            rows.byteswap()
        return rows.tobytes()


def stamps_in(data: bytes) -> Iterator[SendStamp]:
    """Yield the stamps in `SendStamps.as_bytes`."""
    rows = array("q", data)
    if sys.byteorder == "big":
        rows.byteswap()
    for begin in range(0, len(rows), _FIELDS):
        port, request, place, due_ns, sent_ns = rows[begin : begin + _FIELDS]
        number = place & 0xFFFFFFFF
        yield SendStamp(port, request, KINDS[place >> 32], number, due_ns, sent_ns)
