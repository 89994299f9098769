"""The page of a sweep: which setting, what it changes, and how to measure with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicebench import format as form
from voicebench.figures.metrics import FIRST_AUDIO
from voicebench.report.console.style import GOOD, QUIET, UNSURE, Sheet
from voicebench.report.console.tuning_table import TradeOffRow
from voicebench.report.html.answers import NEXT
from voicebench.report.html.chart_layers import ROOM, TitledChart, colour_scale, layered
from voicebench.report.html.charts import Sample, Spec, chart, draw
from voicebench.report.html.page import LETTERS, html_report
from voicebench.report.html.parts import PageAnswer, Section

MOST_DRAWN = 4
"""The candidates whose distributions are drawn over each other: the best, then the earliest."""
ROW = 24
BARS = 190
FIRST, GAPLESS = "first audio", "gapless start"
TRADE_OFF = (
    "Left is earlier. The bar is the 95 % interval of first audio: if two bars overlap, the "
    "candidates may be equal. A gapless start far to the right of first audio means that the "
    "listener hears pauses."
)


@dataclass(frozen=True, slots=True, eq=False)
class SweepPage:
    """Content of the page of a sweep."""

    title: str
    rows: Sequence[TradeOffRow]
    first_audio_ms: Sequence[NDArray[np.float64]]
    """The values of each candidate's turns, in the order of ``rows``."""
    sheet: Sheet
    """The table that the terminal prints."""
    line: str
    """The choice in words."""
    command: str = ""
    """The command that measures the best candidate; empty if none was chosen."""


def tuning_html(sweep: SweepPage, *, drawer: Callable[[Spec], str] = draw) -> str:
    """Return the page of a sweep."""
    sections = [Section("Trade-off", [sweep.sheet], trade_off_charts(sweep.rows), TRADE_OFF)]
    both = _distributions(sweep)
    if both is not None:
        sections.append(both)
    return html_report(
        [], sections=sections, answers=tuning_answers(sweep), title=sweep.title, drawer=drawer
    )


def tuning_answers(sweep: SweepPage) -> list[PageAnswer]:
    """Return the answers of a sweep."""
    best = next((row for row in sweep.rows if row.is_best), None)
    which = "Which setting?"
    if best is None:
        remedy = "measure more turns of each candidate (--runs), and let the sweep end"
        return [
            PageAnswer(which, "None is chosen", UNSURE, [sweep.line]),
            PageAnswer(NEXT, "Measure again", UNSURE, [remedy]),
        ]
    others = [row for row in sweep.rows if row is not best]
    gains = [_figures("", best), *(_figures(f"{row.label}: ", row) for row in others[:3])]
    after = [sweep.command] if sweep.command else ["write its settings to a file: -o best.toml"]
    return [
        PageAnswer(which, best.label, GOOD, [sweep.line]),
        PageAnswer("What does it change?", gains[0], "", gains[1:]),
        PageAnswer(NEXT, "Measure with it", "" if sweep.command else QUIET, after),
    ]


def _figures(who: str, row: TradeOffRow) -> str:
    return (
        f"{who}first audio {form.quantity(row.first_audio_ms, 'ms')}, gapless start "
        f"{form.quantity(row.gapless_start_ms, 'ms')}"
    )


def trade_off_charts(rows: Sequence[TradeOffRow]) -> list[TitledChart]:
    """Return first audio with its interval and gapless start, one row a candidate."""
    points: list[dict[str, object]] = []
    bars: list[dict[str, object]] = []
    words = []
    for row in rows:
        if row.first_audio_ms is None:
            continue
        points.append({"candidate": row.label, "figure": FIRST, "ms": row.first_audio_ms})
        if row.gapless_start_ms is not None:
            points.append({"candidate": row.label, "figure": GAPLESS, "ms": row.gapless_start_ms})
        around = row.first_audio_around
        if around is not None and around.low is not None and around.high is not None:
            bars.append({"candidate": row.label, "low": around.low, "high": around.high})
        words.append(f"{_figures(f'{row.label}: ', row)} ({row.standing or 'not judged'})")
    if not points:
        return []
    down: Spec = {
        "field": "candidate",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "ticks": False, "domain": False, "labelLimit": 170},
    }
    across: Spec = {
        "type": "quantitative",
        "scale": {"zero": False},
        "axis": {"title": "ms", "tickCount": 5},
    }
    names = [FIRST, GAPLESS]
    spec = layered(
        points,
        [
            {
                "data": {"values": bars},
                "mark": {
                    "type": "rule",
                    "strokeWidth": 5,
                    "opacity": 0.35,
                    "color": "var(--run-0)",
                },
                "encoding": {"x": {**across, "field": "low"}, "x2": {"field": "high"}, "y": down},
            },
            {
                "mark": {"type": "point", "size": 50, "filled": True, "opacity": 1},
                "encoding": {
                    "x": {**across, "field": "ms"},
                    "y": down,
                    "color": colour_scale("figure", names, ["var(--run-0)", "var(--run-1)"]),
                    "shape": {
                        "field": "figure",
                        "type": "nominal",
                        "scale": {"domain": names, "range": ["circle", "diamond"]},
                        "legend": None,
                    },
                },
            },
        ],
    )
    spec |= {
        "padding": ROOM,
        "width": BARS,
        "height": ROW * len({point["candidate"] for point in points}),
    }
    return [("First audio and gapless start", f"{'; '.join(words)}.", spec)]


def _distributions(sweep: SweepPage) -> Section | None:
    """Return the distributions of the best and the earliest candidates over each other."""
    known = [
        (row, values)
        for row, values in zip(sweep.rows, sweep.first_audio_ms, strict=True)
        if values.size
    ]
    if not known:
        return None
    known.sort(key=lambda pair: (not pair[0].is_best, float(np.median(pair[1]))))
    shown = list(zip(LETTERS, known[:MOST_DRAWN], strict=False))
    spec = chart(
        FIRST_AUDIO, [Sample(letter, values, row.turns) for letter, (row, values) in shown], []
    )
    words = "; ".join(
        f"{letter} ({row.label}): {form.plural(values.size, 'value')}, median "
        f"{form.quantity(float(np.median(values)), 'ms')}"
        for letter, (row, values) in shown
    )
    left = len(known) - len(shown)
    intro = "Above: the share of turns at or under a value. Below: each turn."
    if left:
        intro += f" The best and the earliest; {form.plural(left, 'other candidate')} not drawn."
    return Section("Distributions", charts=[("E2E first audio", f"{words}.", spec)], intro=intro)
