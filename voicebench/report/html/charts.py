"""The distribution of one metric as SVG: the ECDF above, every value below, and the targets.

The *ECDF* is the share of turns at or under a value: it crosses a target's line at the share that
kept the target. It is a share of all turns, so it stays under 100 % if a turn failed. The *strip*
shows each turn as a dot, so outliers and clusters are visible. Colours are CSS variables of the
page, so one chart fits the light and the dark style.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicebench import format as form
from voicebench.errors import UsageError
from voicebench.figures.metrics import Metric
from voicebench.machine.environment import address_space_limit

WIDTH = 280
HEIGHT = 130
STRIP_HEIGHT = 22
MOST_POINTS = 400
"""Of more values, evenly ranked ones are drawn, with the smallest and the largest."""
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
"""Runs differ by their dashes too, for people who cannot see the colours."""
INK = "var(--ink)"
QUIET = "var(--muted)"
LINE = "var(--line)"

Values = NDArray[np.float64]
Spec = dict[str, object]


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one run, and the number of its turns, failed ones included."""

    run: str
    values: Values
    turns: int


@dataclass(frozen=True, slots=True)
class LimitLine:
    """A limit to be drawn, and the name of its line."""

    at: float
    name: str


def chart(metric: Metric, samples: Sequence[Sample], targets: Sequence[LimitLine]) -> Spec:
    """Return the Vega-Lite specification."""
    unit = form.unit_name(metric.unit)
    title = f"{metric.short_name}, {unit}" if unit else metric.short_name
    steps = [row for sample in samples for row in _steps(sample)]
    dots = [row for sample in samples for row in _dots(sample)]
    low, high = _domain(samples, targets)
    across: Spec = {
        "field": "x",
        "type": "quantitative",
        "scale": {"domain": [low, high], "nice": True, "zero": False},
    }
    names = [sample.run for sample in samples]
    run: Spec = {"field": "run", "type": "nominal", "legend": None}
    colour = run | {
        "scale": {"domain": names, "range": [f"var(--run-{i % 4})" for i in range(len(names))]}
    }
    dash = run | {
        "scale": {"domain": names, "range": [DASHES[i % len(DASHES)] for i in range(len(names))]}
    }
    upper: Spec = {
        "width": WIDTH,
        "height": HEIGHT,
        "layer": [
            *_target_lines(targets, samples, across, (low, high)),
            {
                "data": {"values": steps},
                "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2},
                "encoding": {
                    "x": across | {"axis": {"labels": False, "ticks": False, "title": None}},
                    "y": {
                        "field": "y",
                        "type": "quantitative",
                        "scale": {"domain": [0, 1]},
                        "axis": {"format": ".0%", "title": "share of turns", "tickCount": 5},
                    },
                    "color": colour,
                    "strokeDash": dash,
                },
            },
        ],
    }
    lower: Spec = {
        "width": WIDTH,
        "height": STRIP_HEIGHT * len(samples),
        "data": {"values": dots},
        "mark": {"type": "point", "filled": True, "size": 22, "opacity": 0.55},
        "encoding": {
            "x": across
            | {
                "axis": {
                    "title": title,
                    "tickCount": 5,
                    "format": "~f",
                    "labelFlush": False,
                    "labelOverlap": True,
                }
            },
            "y": {"field": "run", "type": "nominal", "sort": names, "axis": _run_axis(names)},
            "yOffset": {"field": "spread", "type": "quantitative"},
            "color": colour,
        },
    }
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "vconcat": [upper, lower],
        "spacing": 6,
        "resolve": {"scale": {"x": "shared"}},
        "config": CONFIG,
    }


DRAWING_BYTES = 70_000_000_000
"""The address space that vl-convert's engine (V8) reserves; it uses a thousandth of it."""


def draw(spec: Spec) -> str:
    """Return ``spec`` as SVG without a size of its own, hidden from screen readers.

    The page says the same in words beside it. Raises `UsageError` if the limit on the address space
    is too low for vl-convert, which would end this process.
    """
    limit = address_space_limit()
    if limit is not None and limit < DRAWING_BYTES:
        raise UsageError(
            f"charts cannot be drawn: the address space is limited to {limit // 10**6} MB, and "
            f"drawing reserves {DRAWING_BYTES // 10**9} GB of it (not of memory)",
            "lift the limit (ulimit -v unlimited), or take another format",
        )
    import vl_convert

    svg = str(vl_convert.vegalite_to_svg(json.dumps(spec)))
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def _steps(sample: Sample) -> list[dict[str, object]]:
    """Return the corners of the ECDF. A turn without a value counts as above all values."""
    name, ordered = sample.run, np.sort(sample.values)
    kept = _evenly(ordered.size)
    rows: list[dict[str, object]] = [{"run": name, "x": _short(ordered[0]), "y": 0.0}]
    rows += [
        {"run": name, "x": _short(ordered[rank]), "y": round((rank + 1) / sample.turns, 5)}
        for rank in kept
    ]
    return rows


def _dots(sample: Sample) -> list[dict[str, object]]:
    """Return the values, spread a little across the strip, the same way each time."""
    ordered = np.sort(sample.values)
    return [
        {"run": sample.run, "x": _short(ordered[rank]), "spread": index * 7 % 5}
        for index, rank in enumerate(_evenly(ordered.size))
    ]


def _evenly(count: int) -> list[int]:
    if count <= MOST_POINTS:
        return list(range(count))
    return sorted({round(rank) for rank in np.linspace(0, count - 1, MOST_POINTS).tolist()})


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _domain(samples: Sequence[Sample], targets: Sequence[LimitLine]) -> tuple[float, float]:
    everything = np.concatenate([sample.values for sample in samples])
    low, high = float(everything.min()), float(everything.max())
    # A distant target would squeeze the values into a corner, so its line is left out.
    for target in targets:
        if target.at <= 3 * high:
            low, high = min(low, target.at), max(high, target.at)
    margin = 0.03 * (high - low) or max(abs(high) * 0.1, 0.5)
    return _short(low - margin), _short(high + margin)


def _target_lines(
    targets: Sequence[LimitLine],
    samples: Sequence[Sample],
    across: Spec,
    domain: tuple[float, float],
) -> list[Spec]:
    """Return the lines of the targets, and their names on the side with room.

    If most values lie above a target, the curve is low there, so its name goes to the top.
    """
    middle = sum(domain) / 2
    everything = np.concatenate([sample.values for sample in samples])
    targets = [target for target in targets if target.at <= domain[1]]
    if not targets:
        return []
    data: Spec = {"values": [{"x": target.at} for target in targets]}
    hidden: Spec = {"axis": {"labels": False, "ticks": False, "title": None}}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "color": "var(--target)", "strokeWidth": 1.5, "clip": False},
            "encoding": {"x": across | hidden},
        },
        *(
            {
                "data": {"values": [{"x": target.at, "name": target.name}]},
                "mark": {
                    "type": "text",
                    "color": "var(--target)",
                    "align": "left" if target.at < middle else "right",
                    "dx": 4 if target.at < middle else -4,
                    "baseline": "bottom",
                },
                "encoding": {
                    "x": across | hidden,
                    "y": {"value": _name_height(index, target.at < np.median(everything))},
                    "text": {"field": "name", "type": "nominal"},
                },
            }
            for index, target in enumerate(targets)
        ),
    ]


def _name_height(index: int, at_the_top: bool) -> int:
    return 12 + 14 * index if at_the_top else HEIGHT - 4 - 14 * index


def _run_axis(names: Sequence[str]) -> Spec | None:
    if len(names) == 1:
        return None
    return {"title": None, "ticks": False, "domain": False, "grid": False}


CONFIG: Spec = {
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "gridColor": LINE,
        "domainColor": QUIET,
        "tickColor": QUIET,
    },
    "text": {"fontSize": 11},
}
