"""Steady state: from which moment a level is measured, and whether its load is too much.

The beginning of a level is dropped: at least one mean cycle of a caller, then block by block until
neither the turns in flight nor first audio show a trend over four blocks. A level in which one of
the two rises over all its blocks is **saturated**: more turns come than are answered, so an average
over it would only describe how long it was held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voicebench.load.loaded_turn import LevelTurns, Values, mean_in_flight

STEADY_BLOCKS = 4
BLOCKS_OF_PATIENCE = 2 * STEADY_BLOCKS
"""So many blocks must be over before a level is never steady.

Four blocks in one direction are no evidence: of 24 orders of independent blocks two are such, and
two curves are looked at. All windows of four within eight blocks are it once in 20,000 cases.
"""
LEAST_TREND = 0.10
"""A smaller change over the four blocks is not a trend."""
TREND_Z = 4.5
"""Kendall's statistic over all blocks above which a rise is no chance.

Independent blocks exceed it once in 300,000 cases. A level is looked at many times, a search has
many levels, and the blocks of a queue are not independent: at 3.3 (one in 2,000) one of sixteen
searches called a level saturated that was not. 12 blocks that rise all the time exceed it.
"""
SATURATED_RISE = 1.5
"""How much larger the last third of the blocks must be than the first third."""
STEEP_Z, STEEP_RISE = 3.0, 2.0
"""A curve that doubles needs less: eight blocks cannot exceed `TREND_Z`. Of 2,400 levels of closed
queues, at and below their capacity, none did it, and in one of 200 searches one did."""

FIRST_AUDIO_DUE = "first_audio_due_ms"


@dataclass(frozen=True, slots=True)
class BlockMeans:
    """Two curves of a level: means of each block, shape ``(blocks,)``; NaN for an empty block."""

    in_flight: Values
    first_audio_ms: Values


def block_means(turns: LevelTurns, edges: Values, open_due_s: Sequence[float] = ()) -> BlockMeans:
    """Return both curves between ``edges``. First audio is that of the turns due in a block.

    ``open_due_s`` has the due moments of turns that still go on. Without them a server that answers
    nothing would have nothing in flight.
    """
    marks = turns.went_well
    if FIRST_AUDIO_DUE in turns.values:
        marks = marks & ~np.isnan(turns.values[FIRST_AUDIO_DUE])
        weights = turns.values[FIRST_AUDIO_DUE][marks]
    else:
        weights = np.zeros(int(marks.sum()))
    sums, _ = np.histogram(turns.due_s[marks], edges, weights=weights)
    counts = turns.counted(marks, edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        return BlockMeans(mean_in_flight(turns, edges, open_due_s), sums / counts)


def steady_from(
    turns: LevelTurns,
    first_s: float,
    block_s: float,
    now_s: float,
    open_due_s: Sequence[float] = (),
) -> float | None:
    """Return the first moment on a grid of blocks from which four blocks show no trend.

    ``first_s`` is the earliest moment allowed, ``now_s`` the end of what is known, and
    ``open_due_s`` has the due moments of turns that still go on. None if there is no such moment
    yet.
    """
    start_s = first_s
    while start_s + STEADY_BLOCKS * block_s <= now_s + 1e-9:
        means = block_means(turns, edges_of(start_s, block_s, STEADY_BLOCKS), open_due_s)
        if not has_trend(means.in_flight) and not has_trend(means.first_audio_ms):
            return start_s
        start_s += block_s
    return None


def unsteady_until(first_s: float, longest_s: float, block_s: float) -> float:
    """Return the moment at which a level that is not steady yet is given up."""
    return first_s + max(longest_s / 2, BLOCKS_OF_PATIENCE * block_s)


def edges_of(start_s: float, block_s: float, blocks: int) -> Values:
    """Return the edges of ``blocks`` blocks."""
    return start_s + block_s * np.arange(blocks + 1, dtype=np.float64)


def has_trend(means: Values) -> bool:
    """Return whether every block is above the one before it, or every one below, by enough."""
    known = means[~np.isnan(means)]
    if known.size < STEADY_BLOCKS:
        return False
    steps = np.diff(known)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        return False
    largest = float(np.max(np.abs(known)))
    return abs(float(known[-1] - known[0])) > LEAST_TREND * largest


def rises(means: Values) -> bool:
    """Return whether a curve rises over all its blocks, too clearly for chance (Kendall 1938)."""
    known = means[~np.isnan(means)]
    n = known.size
    if n < BLOCKS_OF_PATIENCE:
        return False
    earlier, later = np.triu_indices(n, 1)
    score = float(np.sign(known[later] - known[earlier]).sum())
    statistic = score / np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    third = n // 3
    first, last = float(known[:third].mean()), float(known[-third:].mean())
    return bool(
        (statistic > TREND_Z and last > SATURATED_RISE * first)
        or (statistic > STEEP_Z and last > STEEP_RISE * first)
    )
