"""The judgement of a level, from its recorded turns alone.

A level is divided into the *ramp* (until it is steady), the *measured* window and the *drain* (the
turns that come due after the window, while its last ones still go on). A turn belongs to the phase
in which it is **due**, and a turn that is due inside the window counts to its end, however long it
takes. No figure mixes two phases.

============  ====================================================================================
INVALID       the client was late, or too few turns came to their end: it says nothing of the server
FAILS         the share of good turns is below a gate's, by confidence; or the level is saturated
HOLDS         the shares are at least those of all gates, by confidence
SEEMS …       observed, and likely; enough to choose the next level of a search, never published
UNDECIDED     the longest time is over, and neither is shown
============  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from voicebench.format import plural
from voicebench.load.gate_standing import judge_gate
from voicebench.load.level_rule import (
    LEAST_BLOCKS,
    MOST_CLIENT_BUSY,
    MOST_FOREIGN,
    MOST_LATE_MS,
    MOST_UNFINISHED,
    ClientState,
    GateStanding,
    LevelRule,
    LevelStanding,
    Window,
)
from voicebench.load.load_gate import LoadGate, full_turns, good_marks
from voicebench.load.loaded_turn import (
    REFUSED,
    UNFINISHED,
    LevelTurns,
    mean_in_flight,
)
from voicebench.load.steadiness import block_means, edges_of, rises


@dataclass(frozen=True, slots=True)
class LevelJudgement:
    """A level and its figures over the measured window."""

    standing: LevelStanding
    window: Window
    gates: tuple[GateStanding, ...]
    reasons: tuple[str, ...] = ()
    """Why it is invalid or saturated."""
    saturated: bool = False
    turns: int = 0
    rates: dict[str, float | None] = field(default_factory=dict)
    """``good.rate`` and so on: shares of the turns, or of the calls."""
    in_flight: float | None = None
    """Mean number of turns under way."""
    audio_x: float | None = None
    """Seconds of audio a second, over all callers."""

    @property
    def is_shown(self) -> bool:
        """Whether it holds or fails by confidence."""
        return self.standing in (LevelStanding.HOLDS, LevelStanding.FAILS)


def judge_level(
    turns: LevelTurns,
    window: Window,
    rule: LevelRule,
    *,
    open_due_s: Sequence[float] = (),
    client: ClientState | None = None,
) -> LevelJudgement:
    """Judge the turns that are due in ``window``.

    ``turns`` are the finished turns of all phases. ``open_due_s`` has the due moments of turns that
    still go on: as long as one of the window does, it counts as bad where a gate could hold, and as
    good where a gate could fail.
    """
    inside = turns.due_in(window.start_s, window.end_s)
    # What a fault that we made did to a turn says nothing of the server.
    inside = inside.rows(~inside.disturbed)
    blocks = max(int(window.length_s / rule.block_s + 1e-9), 1)
    edges = np.linspace(window.start_s, window.end_s, blocks + 1)
    going_on = sum(window.start_s <= due_s < window.end_s for due_s in open_due_s)
    standings = tuple(judge_gate(gate, inside, edges, going_on, rule) for gate in rule.gates)
    reasons = _invalid(inside, client or ClientState())
    saturated = is_saturated(turns, window, rule.block_s)
    if saturated:
        reasons = (*reasons, "saturated: turns in flight or first audio rise to the end")
    standing = _of_level(standings, inside, blocks, saturated=saturated, invalid=bool(reasons))
    if client is not None and client.broken:
        standing = LevelStanding.INVALID
    return LevelJudgement(
        standing,
        window,
        standings,
        reasons,
        saturated,
        inside.n,
        _rates(inside, rule.gates),
        float(mean_in_flight(turns, np.array([window.start_s, window.end_s]))[0]),
        _audio_rate(inside, window),
    )


def is_saturated(turns: LevelTurns, window: Window, block_s: float) -> bool:
    """Return whether the turns in flight, or first audio, rise over the whole window."""
    blocks = int(window.length_s / block_s + 1e-9)
    means = block_means(turns, edges_of(window.start_s, block_s, blocks))
    return rises(means.in_flight) or rises(means.first_audio_ms)


def _of_level(
    gates: Sequence[GateStanding],
    inside: LevelTurns,
    blocks: int,
    *,
    saturated: bool,
    invalid: bool,
) -> LevelStanding:
    excused = int(((inside.outcome == UNFINISHED) | inside.ours).sum())
    fails_anyway = saturated or any(_fails_without(gate, excused) for gate in gates)
    if fails_anyway and blocks >= LEAST_BLOCKS:
        return LevelStanding.FAILS
    if invalid:
        return LevelStanding.INVALID
    if blocks < LEAST_BLOCKS or not inside.n or not gates:
        return LevelStanding.UNDECIDED
    order = (
        LevelStanding.FAILS,
        LevelStanding.SEEMS_TO_FAIL,
        LevelStanding.UNDECIDED,
        LevelStanding.SEEMS_TO_HOLD,
        LevelStanding.HOLDS,
    )
    return next(one for one in order if any(gate.standing is one for gate in gates))


def _fails_without(gate: GateStanding, excused: int) -> bool:
    """Return whether a gate fails even if the excused turns, unfinished or ours, had been good."""
    return gate.standing is LevelStanding.FAILS and not (
        excused and gate.bounds.good + excused >= gate.gate.share * gate.bounds.n
    )


def _invalid(inside: LevelTurns, client: ClientState) -> tuple[str, ...]:
    reasons = list(client.broken)
    for name, what in (("late_ms", "turns began late"), ("client_lag_ms", "the client read late")):
        values = inside.values.get(name, np.zeros(0))
        known = values[~np.isnan(values)]
        p99 = float(np.percentile(known, 99)) if known.size else 0.0
        if p99 > MOST_LATE_MS:
            reasons.append(f"{what}: {name} p99 is {p99:.1f} ms, and {MOST_LATE_MS:.0f} is allowed")
    unfinished = float((inside.outcome == UNFINISHED).mean()) if inside.n else 0.0
    if unfinished > MOST_UNFINISHED:
        reasons.append(f"{100 * unfinished:.1f} % of the turns were still open at the end")
    ours = int(inside.ours.sum())
    if ours:
        reasons.append(
            f"{plural(ours, 'turn')} found no file descriptor or port left on this machine"
        )
    if client.busiest_core is not None and client.busiest_core > MOST_CLIENT_BUSY:
        reasons.append(f"a core of the client was {100 * client.busiest_core:.0f} % busy")
    if client.foreign is not None and client.foreign > MOST_FOREIGN:
        reasons.append(f"other programs used {100 * client.foreign:.0f} % of the cores")
    if not inside.n:
        reasons.append("no turn was due in the measured window")
    return tuple(reasons)


def _rates(inside: LevelTurns, gates: Sequence[LoadGate]) -> dict[str, float | None]:
    if not inside.n:
        return dict.fromkeys(
            ("good.rate", "good_calls.rate", "errors.rate", "refused.rate", "unfinished.rate")
        )
    good, full = good_marks(gates, inside), full_turns(inside)
    keys = np.stack([inside.caller, inside.call])
    _, number = np.unique(keys, axis=1, return_inverse=True)
    bad_turns = np.bincount(number.ravel(), weights=full & ~good)
    shown = np.bincount(number.ravel(), weights=full) > 0
    return {
        "good.rate": float(good[full].mean()) if full.any() else None,
        "good_calls.rate": float((bad_turns[shown] == 0).mean()) if shown.any() else None,
        "errors.rate": float((~inside.went_well).mean()),
        "refused.rate": float((inside.outcome == REFUSED).mean()),
        "unfinished.rate": float((inside.outcome == UNFINISHED).mean()),
    }


def _audio_rate(inside: LevelTurns, window: Window) -> float | None:
    seconds = inside.values.get("audio_s")
    if seconds is None or window.length_s <= 0:
        return None
    return float(np.nansum(seconds)) / window.length_s
