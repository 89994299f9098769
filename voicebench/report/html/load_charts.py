"""The charts of a search as Vega-Lite: over callers, and along its levels."""

from __future__ import annotations

from collections.abc import Sequence

from voicebench import format as form
from voicebench.judging.gates import Gate
from voicebench.load.level_document import offered
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.level_intervals import LevelFigure, good_share, quantile_of
from voicebench.load.recorded.load_run import LoadRun
from voicebench.report.html.chart_layers import TitledChart, colour_scale, layered
from voicebench.report.html.charts import Spec

DUE, SENT = "as due", "as sent"
COLOURS = {"holds": "var(--good)", "fails": "var(--bad)", "invalid": "var(--bad)"}


def capacity_charts(run: LoadRun) -> list[TitledChart]:
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


def latency_chart(run: LoadRun, levels: Sequence[RecordedLevel]) -> TitledChart | None:
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
        rows += [level_point(level, figure, name) for level, figure in known]
        if known:
            (first, low), (last, high) = known[0], known[-1]
            words.append(
                f"{name}: {form.quantity(low.value, 'ms')} at {offered(first.document)}, "
                f"{form.quantity(high.value, 'ms')} at {offered(last.document)}"
            )
    if not rows:
        return None
    limit = first_audio_limit_of(run)
    if limit is not None:
        words.append(f"the limit is {form.quantity(limit, 'ms')}")
    names = [name for name, _, _ in lines]
    spec = _over_callers(rows, names, "first audio, ms", limit)
    return "First audio over callers", "; ".join(words) + ".", spec


def good_chart(run: LoadRun, levels: Sequence[RecordedLevel]) -> TitledChart | None:
    """Return the share of good turns over callers."""
    shown = [(level, good_share(level, run.gates)) for level in levels]
    known = [(level, figure) for level, figure in shown if figure is not None]
    if not known:
        return None
    rows = [level_point(level, figure, "good turns", 100.0) for level, figure in known]
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


def path_chart(run: LoadRun) -> TitledChart:
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
        "y": callers_axis("y"),
    }
    spec = layered(
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
                    "color": colour_scale("result", results, colours),
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


def level_point(
    level: RecordedLevel, figure: LevelFigure, name: str, factor: float = 1.0
) -> dict[str, object]:
    """Return a level as a point of the line ``name``, with its interval."""
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
    colour = colour_scale("line", names, colours)
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
                "x": callers_axis("x"),
                "y": {**value, "field": "low"},
                "y2": {"field": "high"},
                "color": {**colour, "legend": None},
            },
        },
        {
            "mark": {"type": "line", "opacity": 0.9, "point": {"size": 26, "filled": True}},
            "encoding": {
                "x": callers_axis("x"),
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
    return layered(rows, layers)


def callers_axis(_axis: str) -> Spec:
    """Return the encoding of a level's callers, on a logarithmic axis."""
    return {
        "field": "callers",
        "type": "quantitative",
        "scale": {"type": "log", "base": 2, "nice": False},
        "axis": {"title": "callers", "format": "d", "grid": _axis == "y", "tickCount": 6},
    }


def first_audio_limit_of(run: LoadRun) -> float | None:
    """Return the first limit that a gate sets to first audio from the due moment, in ms."""
    for gate in (one.gate for one in run.gates):
        if gate.metric is not None and gate.metric.name == "first_audio_due_ms":
            return _limit(gate)
    return None


def _limit(gate: Gate) -> float:
    return gate.limit if gate.argument is None else gate.argument
