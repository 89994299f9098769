"""Turns of a level, made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from voicebench.load.level_rule import LevelRule
from voicebench.load.load_gate import load_gates
from voicebench.load.loaded_turn import LevelTurns, LoadedTurn, Outcome, columns_of_turns

FAST_MS, SLOW_MS = 100.0, 900.0
LIMIT = "first_audio_due.p95 < 300ms"


def turn(
    due_s: float,
    first_audio_ms: float | None = FAST_MS,
    outcome: Outcome = "answered",
    *,
    caller: int = 0,
    call: int = 0,
    lasts_s: float = 1.0,
    late_ms: float = 0.0,
    client_lag_ms: float | None = None,
    stall_count: float = 0.0,
) -> LoadedTurn:
    """Return a turn with first audio this long after its due moment."""
    values = {
        "first_audio_due_ms": first_audio_ms,
        "late_ms": late_ms,
        "client_lag_ms": client_lag_ms,
        "stall_count": stall_count,
        "audio_s": 2.0,
    }
    return LoadedTurn(caller, call, 0, due_s, due_s + lasts_s, outcome, values)


def rule(
    *gates: str, error: float = 0.05, screen_error: float | None = None, climbs: bool = False
) -> LevelRule:
    """Return a rule with blocks of 30 seconds."""
    return LevelRule(load_gates(gates or (LIMIT,)), 30.0, error, screen_error, climbs)


def columns(turns: Iterable[LoadedTurn], *gates: str) -> LevelTurns:
    """Return turns as a level judges them."""
    return columns_of_turns(turns, rule(*gates).metrics())


def spread(n: int, until_s: float, slow: Sequence[int] = ()) -> list[LoadedTurn]:
    """Return ``n`` turns, evenly spread; those with the numbers in ``slow`` are slow."""
    moments = (np.arange(n) + 0.5) * until_s / n
    bad = set(slow)
    return [
        turn(float(at_s), SLOW_MS if number in bad else FAST_MS, caller=number % 20)
        for number, at_s in enumerate(moments)
    ]
