"""The judgement of one gate of a level: how many turns or calls keep it, and what that proves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voicebench.load.evidence import ShareBounds, block_inflation, share_bounds
from voicebench.load.level_rule import GateStanding, LevelRule, LevelStanding
from voicebench.load.load_gate import LoadGate, full_turns, good_marks
from voicebench.load.loaded_turn import LevelTurns, Marks, Values


def judge_gate(
    gate: LoadGate, inside: LevelTurns, edges: Values, going_on: int, rule: LevelRule
) -> GateStanding:
    """Judge ``gate`` by the turns ``inside`` the window, in blocks between ``edges``.

    ``going_on`` turns of the window have not ended: they count as bad for HOLDS, good for FAILS.
    """
    kept, counted = _kept(gate, rule.gates, inside)
    inflation = _inflation(gate, kept, counted, edges, rule.error)
    good, n, target = int(kept.sum()), counted.n, gate.share
    if n == 0:
        return GateStanding(gate, LevelStanding.UNDECIDED, share_bounds(0, 0, 1.0, target=target))

    def bounds(hits: int, count: int, error: float) -> ShareBounds:
        return share_bounds(hits, count, error, target=target, inflation=inflation)

    # Each gate alone could fail a level, so they share that error; to hold, all must hold.
    low = bounds(good, n + going_on, rule.error)
    high = bounds(good + going_on, n + going_on, rule.error / len(rule.gates))
    shown = ShareBounds(good, n, low.effective_n, inflation, low.low, high.high)
    if low.low >= target:
        return GateStanding(gate, LevelStanding.HOLDS, shown)
    if high.high < target:
        return GateStanding(gate, LevelStanding.FAILS, shown)
    likely = LevelStanding.UNDECIDED
    if rule.screen_error is not None:
        seen = rule.climbs and good >= target * (n + going_on)
        if seen or bounds(good, n + going_on, rule.screen_error).low >= target:
            likely = LevelStanding.SEEMS_TO_HOLD
        elif bounds(good + going_on, n + going_on, rule.screen_error).high < target:
            likely = LevelStanding.SEEMS_TO_FAIL
    return GateStanding(gate, likely, shown)


def _kept(
    gate: LoadGate, gates: Sequence[LoadGate], inside: LevelTurns
) -> tuple[Marks, LevelTurns]:
    """Return which turns, or calls, are good for ``gate``, and what was counted."""
    if gate.limits_turns:
        counted = inside.rows(gate.counted(inside))
        return gate.kept(counted), counted
    good = good_marks(gates, inside)
    if not gate.counts_calls or not inside.n:
        full = full_turns(inside)
        return good[full], inside.rows(full)
    keys = np.stack([inside.caller, inside.call])
    _, first, number = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    full = full_turns(inside)
    bad = np.bincount(number.ravel(), weights=full & ~good, minlength=first.size)
    # An interrupted turn that went well until then makes no call bad, and shows no good one.
    shown = np.bincount(number.ravel(), weights=full, minlength=first.size) > 0
    # A call is counted in the block in which its first measured turn is due.
    order = np.argsort(first)
    order = order[shown[order]]
    return bad[order] == 0, inside.rows(first[order])


def _inflation(
    gate: LoadGate, kept: Marks, counted: LevelTurns, edges: Values, error: float
) -> float:
    """Return the larger inflation of two marks: over the limit, and the worst 1 - share.

    Where few turns are over the limit they say little about how bad turns come together; the worst
    turns do, and there are always as many of them as the gate allows.
    """
    everything = counted.counted(np.ones(counted.n, dtype=np.bool_), edges)
    found = [block_inflation(counted.counted(~kept, edges), everything, error=error)]
    tail = gate.tail(counted) if gate.limits_turns else None
    if tail is not None:
        found.append(block_inflation(counted.counted(tail, edges), everything, error=error))
    return max(found)
