"""Parts of charts: size, colours, frame."""

from __future__ import annotations

import json
from collections.abc import Sequence

from voicebench.report.html.charts import TEMPLATES, Spec

WIDTH = 280
HEIGHT = 150
TitledChart = tuple[str, str, Spec]
"""The title, words that say the same, and the specification."""
CONFIG = json.loads((TEMPLATES / "config.vl.json").read_text(encoding="utf-8"))


def colour_scale(field: str, names: Sequence[str], colours: Sequence[str]) -> Spec:
    """Return the colour of each name, with a legend if there are several."""
    legend: Spec | None = None
    if len(names) > 1:
        legend = {"title": None, "orient": "bottom", "labelColor": "var(--ink)", "columns": 3}
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": list(names), "range": list(colours)},
        "legend": legend,
    }


ROOM = {"left": 18, "right": 8, "top": 5, "bottom": 5}
"""Room around a chart with names beside it: a browser's letters may be wider than the drawer's."""


def layered(rows: Sequence[dict[str, object]], layers: Sequence[Spec]) -> Spec:
    """Return the chart of these rows in layers."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": list(rows)},
        "layer": list(layers),
        "config": CONFIG,
    }
