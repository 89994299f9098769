"""An interrupted turn: the listener speaks before the reply was heard out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

CutHow = Literal["asked", "hung up", "complete"]
"""``asked``: the target was asked to stop. ``hung up``: the connection was closed, so that nothing
after it can be seen. ``complete``: the whole reply had come, and there was nothing left to stop."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The interruption of a turn. Times in nanoseconds after the turn's start."""

    at_ns: int
    """When the listener interrupted, and the request to stop went out."""
    how: CutHow
    stopped_ns: int | None = None
    """When the target said that it had stopped, or its reply ended; None if it never did, or if
    that cannot be seen."""


def moved_cut(cut: Cut, by_ns: int) -> Cut:
    """Return the same interruption ``by_ns`` later."""
    stopped_ns = None if cut.stopped_ns is None else cut.stopped_ns + by_ns
    return replace(cut, at_ns=cut.at_ns + by_ns, stopped_ns=stopped_ns)
