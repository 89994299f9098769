"""The charts of runs under load as Vega-Lite: over callers, along the search, by the second.

A level has a clock of its own, so each chart over time is of one level. Dashed lines divide its
ramp, its measured window and its drain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from voicebench import format as form
from voicebench.judging.gates import Gate
from voicebench.load.level_document import offered
from voicebench.load.loaded_turn import REFUSED, Values, mean_in_flight
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.level_intervals import LevelFigure, good_share, quantile_of
from voicebench.load.recorded.load_run import LoadRun
from voicebench.report.html.charts import TEMPLATES, Spec

WIDTH = 280
HEIGHT = 150
MOST_SECONDS = 600
"""A longer level is drawn in steps of several seconds."""
MOST_CALLERS = 400
"""Of more callers, evenly ranked ones are drawn."""
DUE, SENT = "as due", "as sent"
Chart = tuple[str, str, Spec]
"""The title, words that say the same, and the specification."""
COLOURS = {"holds": "var(--good)", "fails": "var(--bad)", "invalid": "var(--bad)"}
CONFIG = json.loads((TEMPLATES / "config.vl.json").read_text(encoding="utf-8"))


def capacity_charts(run: LoadRun) -> list[Chart]:
    """Return the charts over callers of a search; none of a run of one level."""
    levels = longest_of_each(run.levels)
    if len(levels) < 2:
        return []
    charts = [latency_chart(run, levels), good_chart(run, levels)]
    return [*(one for one in charts if one is not None), path_chart(run)]


def longest_of_each(levels: Sequence[RecordedLevel]) -> list[RecordedLevel]:
    """Return the level with the most measured turns of each number of callers, in order."""
    found: dict[int, RecordedLevel] = {}
    for level in levels:
        callers = level.callers
        if callers is None or level.held.interrupted:
            continue
        known = found.get(callers)
        if known is None or level.held.measured.n >= known.held.measured.n:
            found[callers] = level
    return [found[callers] for callers in sorted(found)]


def latency_chart(run: LoadRun, levels: Sequence[RecordedLevel]) -> Chart | None:
    """Return first audio over callers: p50 and p95 as due, and p95 as sent."""
    rows: list[dict[str, object]] = []
    # The later ones are drawn on top; where nothing was late, both p95 are the same line.
    lines = (
        (f"p95 {SENT}", "first_audio_ms", 95),
        (f"p95 {DUE}", "first_audio_due_ms", 95),
        (f"p50 {DUE}", "first_audio_due_ms", 50),
    )
    words: list[str] = []
    for name, metric, q in lines:
        shown = [(level, quantile_of(level, metric, q)) for level in levels]
        known = [(level, figure) for level, figure in shown if figure is not None]
        rows += [_point(level, figure, name) for level, figure in known]
        if known:
            (first, low), (last, high) = known[0], known[-1]
            words.append(
                f"{name}: {form.quantity(low.value, 'ms')} at {offered(first.document)}, "
                f"{form.quantity(high.value, 'ms')} at {offered(last.document)}"
            )
    if not rows:
        return None
    limit = _first_audio_limit(run)
    if limit is not None:
        words.append(f"the limit is {form.quantity(limit, 'ms')}")
    names = [name for name, _, _ in lines]
    spec = _over_callers(rows, names, "first audio, ms", limit)
    return "First audio over callers", "; ".join(words) + ".", spec


def good_chart(run: LoadRun, levels: Sequence[RecordedLevel]) -> Chart | None:
    """Return the share of good turns over callers."""
    shown = [(level, good_share(level, run.gates)) for level in levels]
    known = [(level, figure) for level, figure in shown if figure is not None]
    if not known:
        return None
    rows = [_point(level, figure, "good turns", 100.0) for level, figure in known]
    needed = min((gate.share for gate in run.gates), default=None)
    limit = None if needed is None else 100 * needed
    (first, low), (last, high) = known[0], known[-1]
    words = (
        f"{form.percent(low.value)} at {offered(first.document)}, {form.percent(high.value)} at "
        f"{offered(last.document)}"
    )
    if limit is not None:
        words += f"; the gates need {form.percent(needed)} or more"
    spec = _over_callers(rows, ["good turns"], "good turns, %", limit)
    return "Good turns over callers", f"{words}.", spec


def path_chart(run: LoadRun) -> Chart:
    """Return the callers of each level in the order in which they were held."""
    rows: list[dict[str, object]] = [
        {
            "level": level.number,
            "callers": level.callers,
            "result": "so far" if level.held.interrupted else level.held.judgement.standing.value,
        }
        for level in run.levels
    ]
    results = sorted({str(row["result"]) for row in rows})
    colours = [COLOURS.get(result, _seeming(result)) for result in results]
    marks: Spec = {
        "x": {
            "field": "level",
            "type": "quantitative",
            "axis": {"title": "level", "format": "d", "tickMinStep": 1, "grid": False},
        },
        "y": _callers("y"),
    }
    spec = _spec(
        rows,
        [
            {
                "mark": {"type": "line", "color": "var(--muted)", "strokeWidth": 1},
                "encoding": marks,
            },
            {
                "mark": {"type": "point", "size": 60, "filled": True, "opacity": 1},
                "encoding": {
                    **marks,
                    "color": _scale("result", results, colours),
                    "shape": {"field": "result", "type": "nominal", "legend": None},
                },
            },
        ],
    )
    return "The search", f"{form.plural(len(rows), 'level')}: {run.final.why()}.", spec


def _seeming(result: str) -> str:
    return {"seems to hold": "var(--heard)", "seems to fail": "var(--near)"}.get(
        result, "var(--unsure)"
    )


def level_charts(level: RecordedLevel) -> list[Chart]:
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


def _by_second(level: RecordedLevel, edges: Values, step_s: int) -> Iterator[Chart]:
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


def stall_chart(level: RecordedLevel) -> Chart | None:
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
    spec = _spec(
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


def _point(
    level: RecordedLevel, figure: LevelFigure, name: str, factor: float = 1.0
) -> dict[str, object]:
    low, high = figure.interval.low, figure.interval.high
    # An end that the turns cannot bound is drawn at the value.
    return {
        "callers": level.callers,
        "line": name,
        "value": figure.value * factor,
        "low": (figure.value if low is None else low) * factor,
        "high": (figure.value if high is None else high) * factor,
    }


def _over_callers(
    rows: Sequence[dict[str, object]], names: Sequence[str], title: str, limit: float | None
) -> Spec:
    colours = ["var(--run-1)", "var(--run-0)", "var(--run-2)"][-len(names) :]
    if len(names) == 1:
        colours = ["var(--run-0)"]
    value: Spec = {
        "field": "value",
        "type": "quantitative",
        "axis": {"title": title},
        "scale": {"zero": False},
    }
    colour = _scale("line", names, colours)
    widths: Spec = {
        "field": "line",
        "type": "nominal",
        "scale": {"domain": list(names), "range": [5, 1.5, 1.5] if len(names) > 1 else [1.5]},
        "legend": None,
    }
    layers: list[Spec] = [
        {
            "transform": [{"filter": f"datum.line != 'p95 {SENT}'"}],
            "mark": {"type": "rule", "opacity": 0.35, "strokeWidth": 4},
            "encoding": {
                "x": _callers("x"),
                "y": {**value, "field": "low"},
                "y2": {"field": "high"},
                "color": {**colour, "legend": None},
            },
        },
        {
            "mark": {"type": "line", "opacity": 0.9, "point": {"size": 26, "filled": True}},
            "encoding": {
                "x": _callers("x"),
                "y": value,
                "color": colour,
                "strokeWidth": widths,
            },
        },
    ]
    if limit is not None:
        layers.insert(
            0,
            {
                "data": {"values": [{"value": limit}]},
                "mark": {"type": "rule", "color": "var(--target)", "strokeDash": [4, 2]},
                "encoding": {"y": value},
            },
        )
    return _spec(rows, layers)


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
            "color": _scale("line", list(lines), colours),
        },
    }
    borders: Spec = {
        "data": {"values": bounds},
        "mark": {"type": "rule", "color": "var(--muted)", "strokeDash": [4, 2]},
        "encoding": {"x": across},
    }
    return _spec(rows, [borders, line])


def _top(lines: dict[str, Values]) -> float:
    """Return the end of the axis: at least 1, so that a line of zeros lies at the bottom."""
    largest = max(float(np.nanmax(values)) for values in lines.values())
    return max(1.05 * largest, 1.0)


def _callers(_axis: str) -> Spec:
    return {
        "field": "callers",
        "type": "quantitative",
        "scale": {"type": "log", "base": 2, "nice": False},
        "axis": {"title": "callers", "format": "d", "grid": _axis == "y", "tickCount": 6},
    }


def _scale(field: str, names: Sequence[str], colours: Sequence[str]) -> Spec:
    legend: Spec | None = None
    if len(names) > 1:
        legend = {"title": None, "orient": "bottom", "labelColor": "var(--ink)", "columns": 3}
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": list(names), "range": list(colours)},
        "legend": legend,
    }


def _spec(rows: Sequence[dict[str, object]], layers: Sequence[Spec]) -> Spec:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": list(rows)},
        "layer": list(layers),
        "config": CONFIG,
    }


def _first_audio_limit(run: LoadRun) -> float | None:
    """Return the first limit that a gate sets to first audio from the due moment, in ms."""
    for gate in (one.gate for one in run.gates):
        if gate.metric is not None and gate.metric.name == "first_audio_due_ms":
            return _limit(gate)
    return None


def _limit(gate: Gate) -> float:
    return gate.limit if gate.argument is None else gate.argument
