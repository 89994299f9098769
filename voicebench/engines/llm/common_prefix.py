"""The common beginning of two sequences: of ids, or of letters."""

from __future__ import annotations

from collections.abc import Sequence


def common_length(first: Sequence[object], second: Sequence[object]) -> int:
    """Return how many items both begin with."""
    most = min(len(first), len(second))
    if list(first[:most]) == list(second[:most]):
        return most
    return next(place for place in range(most) if first[place] != second[place])
