"""Fills the template of the page with recorded runs and further sections."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from rich.text import Text

from voicebench import format as form
from voicebench.figures.metrics import BY_NAME, METRICS, Metric
from voicebench.judging.comparability import flattened
from voicebench.judging.final import Word
from voicebench.judging.gates import GateResult
from voicebench.report.console.sheets import (
    filled_columns,
    final_line,
    first_audio_line,
    names,
    sheets_of,
    side_by_side,
)
from voicebench.report.console.style import VERDICT_STYLES, Column, Sheet
from voicebench.report.console.verdicts import label
from voicebench.report.head import warnings_of
from voicebench.report.html.calls import (
    CALL_HEIGHT,
    WAIT_HEIGHT,
    PageCalls,
    page_calls,
)
from voicebench.report.html.charts import (
    MOST_POINTS,
    TEMPLATES,
    LimitLine,
    Sample,
    Spec,
    chart,
    draw,
)
from voicebench.report.html.picture import HEIGHT, SPAN
from voicebench.report.html.turns import (
    AUDIO_BYTES,
    AudioBudget,
    PageWaterfall,
    TurnRow,
    shortened,
    waterfall,
)
from voicebench.report.templating import filled
from voicebench.results.run import RecordedRun

SLOWEST = 5
FIRST_METRICS = (
    "first_audio_ms",
    "first_sound_ms",
    "gapless_start_ms",
    "llm_total_ms",
    "tts_ttfb_ms",
    "llm_ttft_ms",
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PHONE_SPARE = 2
"""On a phone, columns of the verdicts that are spared more easily than this are hidden."""
CLASSES = {
    "green": "good",
    "red": "bad",
    "yellow": "near",
    "magenta": "unsure",
    "dim": "quiet",
    "bold": "strong",
}
"""The class in the page's style sheet for each of the terminal's styles."""


@dataclass(frozen=True, slots=True)
class Section:
    """A further part of the page, such as a history: tables, and charts as Vega-Lite."""

    title: str
    sheets: Sequence[Sheet] = ()
    charts: Sequence[tuple[str, str, Spec]] = ()
    """Each chart has a title, and words that say the same."""
    intro: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a run that is shown in sections: its verdict, its line and its notes."""

    name: str
    verdict: str
    word: Word
    line: str
    folder: str
    environment: Mapping[str, object]
    settings: Mapping[str, object]
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PageRun:
    """One run with what the page shows of it."""

    run: RecordedRun
    name: str
    letter: str
    verdicts: Sheet | None
    sheets: Sequence[Sheet]
    waterfall: PageWaterfall | None
    calls: PageCalls | None = None

    def slowest(self) -> list[TurnRow]:
        """Return the rows of the failed and slowest turns."""
        rows = self.waterfall.rows if self.waterfall else ()
        by_slowness = sorted(
            (row for row in rows if not row.apart),
            key=lambda row: math.inf if row.slowness is None else row.slowness,
            reverse=True,
        )
        return by_slowness[:SLOWEST]


def html_report(
    runs: Sequence[RecordedRun],
    *,
    sort: bool = False,
    sections: Sequence[Section] = (),
    heads: Sequence[Head] = (),
    drawer: Callable[[Spec], str] = draw,
) -> str:
    """Return the page. ``sort`` puts the slowest turn first; ``sections`` come after the runs.

    ``heads`` are of runs that are shown in ``sections`` alone. A page without runs and heads has
    the title of its first section.
    """
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    audio = AudioBudget(AUDIO_BYTES)
    shown = [
        _page_run(run, name, letter, audio, sort=sort)
        for run, name, letter in zip(runs, names(runs), cycle(LETTERS), strict=False)
    ]
    gated = {
        result.gate.metric.name for run in runs for result in run.gate_results if result.gate.metric
    }
    observed = [
        metric for metric in METRICS if any(run.summary.metrics[metric.name].values for run in runs)
    ]
    environments = [*(run.environment for run in runs), *(head.environment for head in heads)]
    first = [*FIRST_METRICS, *sorted(gated - set(FIRST_METRICS))]
    values = {
        "css": _css,
        "facts": _facts,
        "filled_columns": filled_columns,
        "final_line": final_line,
        "first_audio_line": first_audio_line,
        "phone_spare": PHONE_SPARE,
        "verdict_class": lambda word: CLASSES[VERDICT_STYLES[word]],
        "warnings_of": warnings_of,
        "zip": zip,
        "title": " · ".join([*(one.name for one in shown), *(one.name for one in heads)])
        or sections[0].title,
        "heads": heads,
        "runs": shown,
        "compared": side_by_side(runs) if len(runs) > 1 else [],
        "first_charts": [
            _chart(BY_NAME[name], shown, drawer) for name in first if BY_NAME[name] in observed
        ],
        "other_charts": [
            _chart(metric, shown, drawer) for metric in observed if metric.name not in first
        ],
        "points": MOST_POINTS,
        "sections": sections,
        "drawer": drawer,
        "metrics": observed,
        "version": next(iter(environments), {}).get("voicebench"),
        "sort": sort,
        "span": SPAN,
        "height": HEIGHT,
        "of_calls": bool(shown) and all(page_run.calls is not None for page_run in shown),
        "call_height": CALL_HEIGHT,
        "wait_height": WAIT_HEIGHT,
        "script": script,
        "style": (TEMPLATES / "style.css").read_text(encoding="utf-8"),
        "digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return filled(TEMPLATES / "report.html.j2", values)


def _page_run(
    run: RecordedRun, name: str, letter: str, audio: AudioBudget, *, sort: bool
) -> PageRun:
    sheets = sheets_of(run)
    calls = page_calls(run, AUDIO_BYTES)
    judged = bool(run.gate_results)
    return PageRun(
        run=run,
        name=form.one_line(name),
        letter=letter,
        verdicts=sheets[0] if judged else None,
        sheets=sheets[judged:],
        waterfall=None if calls else waterfall(run, audio, sort=sort),
        calls=calls,
    )


def _chart(
    metric: Metric, runs: Sequence[PageRun], drawer: Callable[[Spec], str]
) -> tuple[str, str, str]:
    """Return the title of a metric's chart, its SVG, and words that say the same."""
    samples = [
        Sample(page_run.letter, page_run.run.columns.usable(metric), page_run.run.summary.turns)
        for page_run in runs
        if page_run.run.summary.metrics[metric.name].values
    ]
    results = [result for page_run in runs for result in page_run.run.gate_results]
    svg = drawer(chart(metric, samples, _targets(metric, results)))
    return label(metric.name), svg, " ".join(_in_words(metric, page_run, runs) for page_run in runs)


def _targets(metric: Metric, results: Sequence[GateResult]) -> list[LimitLine]:
    """Return the limits that gates set to values of the metric, each once."""
    found: dict[float, str] = {}
    for gate in (result.gate for result in results):
        if gate.metric is not metric or gate.statistic == "stdev":
            continue
        if gate.argument is None:
            name = f"{gate.statistic} {gate.operator} {form.limit(gate.limit, gate.unit)}"
            found.setdefault(gate.limit, name)
        else:
            name = f"{gate.statistic} {form.limit(gate.argument, metric.unit)}"
            found.setdefault(gate.argument, name)
    return [LimitLine(at, name) for at, name in sorted(found.items())]


def _in_words(metric: Metric, page_run: PageRun, runs: Sequence[PageRun]) -> str:
    found = page_run.run.summary.metrics[metric.name]
    who = f"{page_run.letter}: " if len(runs) > 1 else ""
    if not found.values:
        return f"{who}not observed."
    tail, carried = found.quantile(95)
    parts = [
        f"{who}{form.plural(len(found.values), 'value')}",
        f"from {form.quantity(min(found.values), metric.unit)}",
        f"to {form.quantity(found.largest(), metric.unit)}",
        f"median {form.quantity(found.quantile(50)[0], metric.unit)}",
    ]
    if carried:
        parts.append(f"p95 {form.quantity(tail, metric.unit)}")
    return ", ".join(parts) + "."


def _css(column: Column, most_spare: int | None, cell: Text | None = None) -> str:
    """Return the classes of a cell; a phone hides columns above ``most_spare``."""
    classes = ["number" if column.justify == "right" else "text"]
    if most_spare is not None and column.spare > most_spare:
        classes.append("wide")
    styles = [] if cell is None else str(cell.style).split()
    return " ".join([*classes, *(CLASSES[style] for style in styles if style in CLASSES)])


def _facts(tree: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield each value of nested settings with its dotted key."""
    for key, value in flattened(tree).items():
        parts = value if isinstance(value, list) else [] if value in (None, {}) else [value]
        yield key, shortened(", ".join(map(str, parts))) or form.NOTHING
