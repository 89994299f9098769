"""A segment: consecutive ids of one sequence, as a pass over several sequences takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Segment:
    """Ids that begin at position ``start`` of a cache, which has all earlier positions.

    ``prompt`` is how many ids the sequence computes in all before it needs scores: the length of a
    prompt, or 1 for a sampled id. Where arithmetic depends on a length, it depends on this one, so
    it does not matter how a prompt is cut into segments. ``wanted`` says whether the scores after
    the last id are wanted.
    """

    ids: Sequence[int]
    cache: Any
    start: int
    prompt: int
    wanted: bool = True
