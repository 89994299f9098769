"""One level as a line of ``levels.jsonl`` and a row of ``load.csv``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from voicebench import format as form
from voicebench.figures.summary import PERCENTILES, carries, percentile
from voicebench.load.call_plan import Arrivals, CallRate, LoadPlan, Population, TurnRate
from voicebench.load.holding import HeldFor, Times
from voicebench.load.level_rule import GateStanding, LevelRule, LevelStanding
from voicebench.load.loaded_turn import ANSWERED, CUT, OUTCOMES, LevelTurns, Values

SCHEMA_OF_LEVELS = 1
TIMES = (
    "first_audio_due_ms",
    "first_sound_due_ms",
    "late_ms",
    "client_lag_ms",
    "stop_ms",
    "interrupting_first_audio_ms",
)
"""The metrics of which every level has percentiles."""

LEVEL_COLUMNS: tuple[tuple[str, str], ...] = (
    ("level", "Number of the level in its run, from 1."),
    ("purpose", "load; or climb, narrow, ceiling, again, confirm in a search for capacity."),
    ("callers", "Callers at once; empty if calls or turns arrive at a rate."),
    ("calls_per_s", "Calls that arrive a second; empty for callers."),
    ("turns_per_s", "Single turns that arrive a second; empty for callers."),
    ("standing", "holds, fails, undecided, invalid, seems to hold or seems to fail."),
    ("turns", "Turns that were due in the measured window."),
    ("good_rate", "Share of turns that keep every limit on turns."),
    ("good_calls_rate", "Share of calls with nothing but good turns."),
    ("errors_rate", "Share of turns that were not answered."),
    ("refused_rate", "Share of turns that the server refused (429, 503)."),
    ("unfinished_rate", "Share of turns that were still open at the end of the level."),
    ("first_audio_due_p50_ms", "Median of first audio from the due moment, of answered turns."),
    ("first_audio_due_p95_ms", "Its 95th percentile; empty under 20 turns."),
    ("first_audio_due_p99_ms", "Its 99th percentile; empty under 100 turns."),
    ("late_p99_ms", "99th percentile of our own delay in starting a turn."),
    ("client_lag_p99_ms", "99th percentile of our own delay in reading."),
    ("in_flight", "Mean number of turns under way."),
    ("audio_x", "Seconds of audio a second, over all callers."),
    ("inflation", "Largest variance between blocks over that of independent turns."),
    ("effective_n", "Smallest n over inflation of the gates."),
    ("window_start_s", "Begin of the measured window on the level's clock."),
    ("window_end_s", "End of the measured window."),
    ("seed", "Seed of the level's plan."),
    ("cut_rate", "Share of turns that the caller interrupted before the whole reply had come."),
    ("stop_p95_ms", "95th percentile of stop_ms, where the target said that it had stopped."),
    ("wasted_audio_s", "Seconds of sound that came and were not heard, over all turns."),
    ("interrupting_first_audio_p95_ms", "95th percentile of first audio of interrupting turns."),
)
"""Every column of ``load.csv`` with its description."""


def level_document(
    number: int, purpose: str, plan: LoadPlan, times: Times, figures: Mapping[str, object]
) -> dict[str, object]:
    """Return the line of a level in ``levels.jsonl``; ``figures`` are of `level_figures`."""
    return {
        "schema": SCHEMA_OF_LEVELS,
        "level": number,
        "purpose": purpose,
        **offered_load(plan.arrivals),
        "seed": plan.seed,
        "times": {
            "first_s": times.first_s,
            "longest_s": times.longest_s,
            "drain_s": times.drain_s,
        },
        **figures,
    }


def level_figures(rule: LevelRule, held: HeldFor) -> dict[str, object]:
    """Return the part of `level_document` that follows from the turns of the level."""
    judged, turns = held.judgement, held.turns
    window = judged.window
    inside = held.measured
    return {
        "standing": None if held.interrupted else judged.standing.value,
        "interrupted": held.interrupted,
        "steady": held.steady,
        "saturated": judged.saturated,
        "reasons": list(judged.reasons),
        "window": {"start_s": window.start_s, "end_s": window.end_s},
        "ended_s": held.ended_s,
        "client": {
            "busiest_core": held.client.busiest_core,
            "foreign": held.client.foreign,
            "broken": list(held.client.broken),
        },
        "block_s": rule.block_s,
        "error": rule.error,
        "turns": {
            "ramp": int((turns.due_s < window.start_s).sum()),
            "measured": inside.n,
            "drain": int((turns.due_s >= window.end_s).sum()),
        },
        "interruptions": _interruptions(inside),
        "disturbed": _disturbed(held.disturbed),
        "soak": _soak(held),
        "gates": [_gate(gate) for gate in judged.gates],
        "rates": dict(judged.rates),
        "in_flight": judged.in_flight,
        "audio_x": judged.audio_x,
        "metrics": {name: _percentiles(name, inside) for name in TIMES},
    }


def csv_cells(level: Mapping[str, object]) -> list[object]:
    """Return the row of a level (of `level_document`) in ``load.csv``; None is an empty cell."""
    rates = _part(level, "rates")
    metrics = _part(level, "metrics")
    first, late, lag = (
        _part(metrics, name) for name in ("first_audio_due_ms", "late_ms", "client_lag_ms")
    )
    window, turns = _part(level, "window"), _part(level, "turns")
    interruptions = _part(level, "interruptions")
    listed = level["gates"]
    gates = [gate for gate in listed if isinstance(gate, dict)] if isinstance(listed, list) else []
    cells = {
        name: level.get(name)
        for name in ("level", "purpose", "callers", "calls_per_s", "turns_per_s", "standing",
                     "in_flight", "audio_x", "seed")
    } | {
        "turns": turns.get("measured"),
        **{f"{name}_rate": rates.get(f"{name}.rate")
           for name in ("good", "good_calls", "errors", "refused", "unfinished")},
        **{f"first_audio_due_{q}_ms": first.get(q) for q in ("p50", "p95", "p99")},
        "late_p99_ms": late.get("p99"),
        "client_lag_p99_ms": lag.get("p99"),
        "inflation": max((gate["inflation"] for gate in gates), default=None),
        "effective_n": min((gate["effective_n"] for gate in gates), default=None),
        "cut_rate": interruptions.get("cut.rate"),
        "stop_p95_ms": _part(metrics, "stop_ms").get("p95"),
        "wasted_audio_s": interruptions.get("wasted_audio_s"),
        "interrupting_first_audio_p95_ms": _part(metrics, "interrupting_first_audio_ms").get("p95"),
        "window_start_s": window.get("start_s"),
        "window_end_s": window.get("end_s"),
    }  # fmt: skip
    return [cells[name] for name, _ in LEVEL_COLUMNS]


def _part(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _disturbed(turns: LevelTurns) -> dict[str, object] | None:
    """Return what became of the turns for which a fault was made; None if there are none."""
    if not turns.n:
        return None
    counts: dict[str, object] = {"turns": turns.n}
    for code, name in enumerate(OUTCOMES):
        counts[name] = int((turns.outcome == code).sum())
    return counts


def _soak(held: HeldFor) -> dict[str, object] | None:
    """Return what was watched for drift, and its drift; None if nobody asked for it."""
    if held.soak is None:
        return None
    curves = {name: list(values) for name, values in held.soak.curves.items()}
    return {"samples": curves, "drifts": [drift.as_dict() for drift in held.drifts]}


def _interruptions(inside: LevelTurns) -> dict[str, object] | None:
    """Return what became of the turns that the caller was to interrupt; None if there are none."""
    planned = int(inside.to_be_cut.sum())
    if not planned:
        return None
    cut = inside.outcome == CUT
    stopped = cut & ~np.isnan(inside.values["stop_ms"])
    wasted = inside.values["wasted_audio_s"]
    return {
        "planned": planned,
        "cut": int(cut.sum()),
        "cut.rate": float(cut.mean()),
        "stopped": int(stopped.sum()),
        "not seen to stop": int((cut & ~stopped).sum()),
        "complete before": int(((inside.outcome == ANSWERED) & ~np.isnan(wasted)).sum()),
        "interrupting turns": int(inside.interrupts.sum()),
        "wasted_audio_s": float(np.nansum(wasted)),
    }


def offered_load(arrivals: Arrivals) -> dict[str, object]:
    """Return the entries that say what a level offers: callers, a rate, or calls of a trace."""
    match arrivals:
        case Population(callers):
            return {"callers": callers}
        case CallRate(per_s):
            return {"calls_per_s": per_s}
        case TurnRate(per_s):
            return {"turns_per_s": per_s}
        case _:
            return {"trace": len(arrivals.calls)}


def offered(level: Mapping[str, object]) -> str:
    """Return what a level offers in words: ``40 callers``, ``30 calls/min``, ``4 turns/s``."""
    callers, calls, turns = (level.get(name) for name in ("callers", "calls_per_s", "turns_per_s"))
    if isinstance(callers, int):
        return form.plural(callers, "caller")
    if isinstance(calls, int | float):
        return f"{form.number(60 * calls, 'count')} calls/min"
    if isinstance(turns, int | float):
        return f"{form.number(turns, 'count')} turns/s"
    return "trace"


def _gate(found: GateStanding) -> dict[str, object]:
    bounds = found.bounds
    return {
        "gate": found.gate.gate.text,
        "share": found.gate.share,
        "standing": found.standing.value,
        "good": bounds.good,
        "n": bounds.n,
        "observed": bounds.observed,
        "low": bounds.low,
        "high": bounds.high,
        "effective_n": bounds.effective_n,
        "inflation": bounds.inflation,
    }


def _percentiles(name: str, inside: LevelTurns) -> dict[str, float | None] | None:
    """Return the percentiles that the answered turns are enough for, and the maximum."""
    values: Values = inside.values.get(name, np.zeros(0))[inside.went_well]
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    found: dict[str, float | None] = {
        f"p{q}": percentile(known.tolist(), q) if carries(known.size, q) else None
        for q in PERCENTILES
    }
    return found | {"mean": float(known.mean()), "max": float(known.max()), "n": int(known.size)}


def above_shares(held: HeldFor) -> bool:
    """Return whether the observed share of every gate is at least the gate's."""
    gates = held.judgement.gates
    return (
        bool(gates)
        and held.judgement.standing is not LevelStanding.INVALID
        and all(
            gate.bounds.observed is not None and gate.bounds.observed >= gate.gate.share
            for gate in gates
        )
    )
