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
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voicebench import format as form
from voicebench.errors import UsageError
from voicebench.figures.metrics import Metric
from voicebench.machine.environment import address_space_limit
from voicebench.report.templating import filled

TEMPLATES = Path(__file__).parent / "templates"
WIDTH = 280
HEIGHT = 130
STRIP_HEIGHT = 22
MOST_POINTS = 400
"""Of more values, evenly ranked ones are drawn, with the smallest and the largest."""
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
"""Runs differ by their dashes too, for people who cannot see the colours."""

Spec = dict[str, object]


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one run, and the number of its turns, failed ones included."""

    run: str
    values: NDArray[np.float64]
    turns: int


@dataclass(frozen=True, slots=True)
class LimitLine:
    """A limit to be drawn, and the name of its line."""

    at: float
    name: str


def chart(metric: Metric, samples: Sequence[Sample], targets: Sequence[LimitLine]) -> Spec:
    """Return the Vega-Lite specification: ``distribution.vl.json.j2``, filled in.

    The name of a target stands on the side of its line that has room. If most values lie above the
    target, the curve is low there, so the name goes to the top.
    """
    low, high = _domain(samples, targets)
    shown = [target for target in targets if target.at <= high]
    runs = range(len(samples))
    values = {
        "title": ", ".join(filter(None, (metric.short_name, form.unit_name(metric.unit)))),
        "width": WIDTH,
        "height": HEIGHT,
        "strip_height": STRIP_HEIGHT,
        "domain": [low, high],
        "middle": (low + high) / 2,
        "median": float(np.median(np.concatenate([sample.values for sample in samples]))),
        "names": [sample.run for sample in samples],
        "colours": [f"var(--run-{run % 4})" for run in runs],
        "dashes": [DASHES[run % len(DASHES)] for run in runs],
        "targets": shown,
        "target_values": [{"x": target.at} for target in shown],
        "steps": [row for sample in samples for row in _steps(sample)],
        "dots": [row for sample in samples for row in _dots(sample)],
    }
    spec: Spec = json.loads(filled(TEMPLATES / "distribution.vl.json.j2", values))
    return spec


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
