"""The charts of one level, by the second and by caller.

A level has a clock of its own, so each chart over time is of one level. Dashed lines divide its
ramp, its measured window and its drain.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from voicebench import format as form
from voicebench.load.loaded_turn import REFUSED, Values, mean_in_flight
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.report.html.chart_layers import TitledChart, colour_scale, layered
from voicebench.report.html.charts import Spec

MOST_SECONDS = 600
"""A longer level is drawn in steps of several seconds."""
MOST_CALLERS = 400
"""Of more callers, evenly ranked ones are drawn."""


def level_charts(level: RecordedLevel) -> list[TitledChart]:
    """Return the charts of one level: in flight, refusals and lag by the second, stalls."""
    turns = level.held.turns
    if not turns.n:
        return []
    end_s = max(level.held.ended_s, float(turns.due_s[-1]) + 1)
    step_s = max(1, int(np.ceil(end_s / MOST_SECONDS)))
    edges: Values = np.arange(0, end_s + step_s, step_s, dtype=np.float64)
    charts = list(_by_second(level, edges, step_s))
    stalls = stall_chart(level)
    return [*charts, stalls] if stalls is not None else charts


def _by_second(level: RecordedLevel, edges: Values, step_s: int) -> Iterator[TitledChart]:
    turns = level.held.turns
    each = "second" if step_s == 1 else f"{step_s} s"
    busy = mean_in_flight(turns, edges)
    words = f"{form.number(float(busy.max()), 'count')} turns at most, the mean of each {each}."
    yield "Turns in flight", words, _over_time(level, edges, {"in flight": busy}, "turns")
    counts: dict[str, Values] = {}
    for name, marks in (
        ("refused", turns.outcome == REFUSED),
        ("other errors", ~turns.went_well & (turns.outcome != REFUSED)),
    ):
        counts[name] = turns.counted(marks, edges).astype(np.float64)
    total = {name: int(count.sum()) for name, count in counts.items()}
    words = ", ".join(f"{count} {name}" for name, count in total.items())
    words = f"{words}, by the moment at which they were due."
    yield "Refusals and errors", words, _over_time(level, edges, counts, f"turns in {each}")
    lags: dict[str, Values] = {}
    for name, metric in (("late", "late_ms"), ("client lag", "client_lag_ms")):
        worst = _largest(turns.due_s, turns.values.get(metric), edges)
        if worst is not None:
            lags[name] = worst
    if lags:
        words = ", ".join(
            f"{name} {form.quantity(float(np.nanmax(values)), 'ms')} at most"
            for name, values in lags.items()
        )
        spec = _over_time(level, edges, lags, "ms")
        yield "Delays of the client itself", f"{words}: the largest in each {each}.", spec


def stall_chart(level: RecordedLevel) -> TitledChart | None:
    """Return the stalled turns of each caller in the window, most first; None if unobserved."""
    inside = level.held.measured
    stalls = inside.values.get("stall_count")
    if stalls is None or np.isnan(stalls).all():
        return None
    callers, place = np.unique(inside.caller, return_inverse=True)
    stalled = np.bincount(place.ravel(), weights=np.nan_to_num(stalls) > 0)
    ordered = np.sort(stalled)[::-1]
    ranks = np.arange(callers.size)
    if callers.size > MOST_CALLERS:
        ranks = np.unique(np.linspace(0, callers.size - 1, MOST_CALLERS).round().astype(np.int64))
    rows: list[dict[str, object]] = [
        {"caller": int(rank) + 1, "stalled": float(ordered[rank])} for rank in ranks
    ]
    affected = int((stalled > 0).sum())
    words = (
        f"{affected} of {form.plural(callers.size, 'caller')} had a turn with a stall; "
        f"{int(stalled.sum())} of {form.plural(inside.n, 'turn')} stalled."
    )
    spec = layered(
        rows,
        [
            {
                "mark": {"type": "bar", "color": "var(--stall)"},
                "encoding": {
                    "x": {
                        "field": "caller",
                        "type": "quantitative",
                        "axis": {"title": "callers, most stalls first", "grid": False},
                    },
                    "y": {
                        "field": "stalled",
                        "type": "quantitative",
                        "axis": {"title": "turns with a stall", "tickMinStep": 1},
                        "scale": {"domainMin": 0, "domainMax": max(float(ordered[0]), 1.0)},
                    },
                },
            }
        ],
    )
    return "Stalls by caller", words, spec


def _largest(due_s: Values, values: Values | None, edges: Values) -> Values | None:
    """Return the largest value in each step, NaN where there is none; None if nothing is known."""
    if values is None or np.isnan(values).all():
        return None
    known = ~np.isnan(values)
    steps = np.clip(np.searchsorted(edges, due_s[known], "right") - 1, 0, edges.size - 2)
    worst = np.full(edges.size - 1, -np.inf)
    np.maximum.at(worst, steps, values[known])
    found: Values = np.where(np.isinf(worst), np.nan, worst)
    return found


def _over_time(level: RecordedLevel, edges: Values, lines: dict[str, Values], title: str) -> Spec:
    rows: list[dict[str, object]] = [
        {
            "at": float(at),
            "line": name,
            "value": None if np.isnan(value) else round(float(value), 4),
        }
        for name, values in lines.items()
        for at, value in zip(edges[:-1], values, strict=True)
    ]
    window = level.held.judgement.window
    bounds: list[dict[str, object]] = [{"at": window.start_s}, {"at": window.end_s}]
    across: Spec = {
        "field": "at",
        "type": "quantitative",
        "axis": {"title": "seconds of the level", "grid": False},
        "scale": {"nice": False, "domainMax": float(edges[-1])},
    }
    colours = ["var(--run-0)", "var(--run-1)"][: len(lines)]
    line: Spec = {
        "mark": {"type": "line", "strokeWidth": 1, "invalid": "break-paths-filter-domains"},
        "encoding": {
            "x": across,
            "y": {
                "field": "value",
                "type": "quantitative",
                "axis": {"title": title},
                "scale": {"domainMin": 0, "domainMax": _top(lines)},
            },
            "color": colour_scale("line", list(lines), colours),
        },
    }
    borders: Spec = {
        "data": {"values": bounds},
        "mark": {"type": "rule", "color": "var(--muted)", "strokeDash": [4, 2]},
        "encoding": {"x": across},
    }
    return layered(rows, [borders, line])


def _top(lines: dict[str, Values]) -> float:
    """Return the end of the axis: at least 1, so that a line of zeros lies at the bottom."""
    largest = max(float(np.nanmax(values)) for values in lines.values())
    return max(1.05 * largest, 1.0)
