"""The change of every figure from one run to another: a point and its interval on one axis.

Changes are percentages of the first run's figure, so that all figures fit on one axis. The line at
0 is no change: a bar that crosses it shows none.
"""

from __future__ import annotations

from collections.abc import Sequence

from voicebench.figures.comparison import ComparedFigure, Outcome
from voicebench.report.html.chart_layers import ROOM, TitledChart, colour_scale, layered
from voicebench.report.html.charts import Spec

ROW = 22
"""The height of a figure's row."""
BARS = 190
"""The width of the bars: the names of the figures stand beside them."""
FARTHEST = 150.0
"""Changes and bars are cut at this percentage, so that one does not squeeze all others."""
COLOURS = {
    Outcome.BETTER: "var(--good)",
    Outcome.WORSE: "var(--bad)",
    Outcome.CHANGED: "var(--run-0)",
    Outcome.NONE_SHOWN: "var(--muted)",
    Outcome.TOO_FEW: "var(--unsure)",
}


def change_chart(compared: Sequence[ComparedFigure]) -> TitledChart | None:
    """Return the chart; None if no figure has a change in percent."""
    rows = [row for one in compared if (row := _row(one)) is not None]
    if not rows:
        return None
    outcomes = [outcome for outcome in COLOURS if any(row["verdict"] == outcome for row in rows)]
    colour = colour_scale(
        "verdict", [str(outcome) for outcome in outcomes], [COLOURS[one] for one in outcomes]
    )
    across: Spec = {
        "type": "quantitative",
        "scale": {"domain": _domain(rows), "nice": True, "zero": True},
        "axis": {"title": "change, % of A", "tickCount": 5},
    }
    down: Spec = {
        "field": "figure",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "ticks": False, "domain": False, "grid": False},
    }
    spec = layered(
        rows,
        [
            {
                "data": {"values": [{"zero": 0}]},
                "mark": {"type": "rule", "color": "var(--target)", "strokeDash": [4, 2]},
                "encoding": {"x": {**across, "field": "zero"}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 4, "opacity": 0.4, "clip": True},
                "encoding": {
                    "x": {**across, "field": "low"},
                    "x2": {"field": "high"},
                    "y": down,
                    "color": {**colour, "legend": None},
                },
            },
            {
                "mark": {"type": "point", "size": 40, "filled": True, "opacity": 1, "clip": True},
                "encoding": {"x": {**across, "field": "change"}, "y": down, "color": colour},
            },
        ],
    )
    spec |= {"padding": ROOM, "width": BARS, "height": ROW * len(rows)}
    words = ", ".join(f"{row['figure']} {row['change']:+.0f} % ({row['verdict']})" for row in rows)
    return "Changes from A to B", f"{words}.", spec


def _row(one: ComparedFigure) -> dict[str, object] | None:
    """Return the change in percent; an end that the turns cannot bound is drawn at the change."""
    if one.relative is None or one.difference is None or one.first is None:
        return None
    change = 100 * one.relative
    around = one.difference.interval
    low, high = (None, None) if around is None else (around.low, around.high)
    scale = 100 / abs(one.first)
    return {
        "figure": one.figure.name,
        "verdict": str(one.outcome),
        "change": _cut(change),
        "low": _cut(change if low is None else low * scale),
        "high": _cut(change if high is None else high * scale),
    }


def _cut(percent: float) -> float:
    return round(min(max(percent, -FARTHEST), FARTHEST), 3)


def _domain(rows: Sequence[dict[str, object]]) -> list[float]:
    ends = [end for row in rows for end in (row["low"], row["high"]) if isinstance(end, float)]
    return [min(0.0, *ends), max(0.0, *ends)]
