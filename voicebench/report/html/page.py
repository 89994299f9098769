"""What stands on the page, and the template that is filled with it."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from voicebench import format as form
from voicebench.figures.metrics import BY_NAME, METRICS, Metric
from voicebench.judging.advice_sentences import Advice
from voicebench.judging.gates import GateResult
from voicebench.report.console.sheets import (
    final_line,
    first_audio_line,
    names,
    sheets_of,
    side_by_side,
    told_columns,
)
from voicebench.report.console.style import VERDICT_STYLES, Sheet
from voicebench.report.console.verdicts import label
from voicebench.report.head import warnings_of
from voicebench.report.html.charts import MOST_POINTS, LimitLine, Sample, Spec, chart, draw
from voicebench.report.html.picture import HEIGHT, SPAN
from voicebench.report.html.turns import (
    AUDIO_BYTES,
    AudioBudget,
    PageWaterfall,
    TurnRow,
    waterfall,
    words,
)
from voicebench.results.run import RecordedRun

if TYPE_CHECKING:
    from jinja2 import Environment

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
TEMPLATES = Path(__file__).parent / "templates"
PHONE_SPARE = 2
"""On a phone the verdicts stand beside their figures; names and intervals need a wider screen."""
CLASSES = {
    "green": "good",
    "red": "bad",
    "yellow": "near",
    "magenta": "unsure",
    "dim": "quiet",
    "bold": "strong",
}
"""What the terminal's styles are called in the page's style sheet."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table."""

    text: str
    style: str


@dataclass(frozen=True, slots=True)
class HtmlTable:
    """A sheet, ready for the template."""

    title: str
    heads: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A further part of the page, such as a history: tables, and pictures as Vega-Lite."""

    title: str
    sheets: Sequence[Sheet] = ()
    charts: Sequence[tuple[str, str, Spec]] = ()
    """Each with its title and the words that say the same."""
    intro: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """The distribution of one metric."""

    title: str
    svg: str
    told: str


@dataclass(frozen=True, slots=True)
class PageRun:
    """One run as the page tells it."""

    name: str
    letter: str
    folder: str
    verdict: str
    style: str
    line: str
    warnings: tuple[str, ...]
    verdicts: HtmlTable | None
    advice: tuple[Advice, ...]
    tables: tuple[HtmlTable, ...]
    waterfall: PageWaterfall | None
    slowest: tuple[TurnRow, ...]
    environment: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]


def html_report(
    runs: Sequence[RecordedRun],
    *,
    sort: bool = False,
    sections: Sequence[Section] = (),
    drawer: Callable[[Spec], str] = draw,
) -> str:
    """Return the page. ``sort`` puts the slowest turn first; ``sections`` come after the runs.

    A page of sections alone has no runs, and the first section's title.
    """
    audio = AudioBudget(AUDIO_BYTES)
    script, style = _part("script.js"), _part("style.css")
    told = [
        _tell(run, name, LETTERS[index % len(LETTERS)], audio, sort=sort)
        for index, (name, run) in enumerate(zip(names(runs), runs, strict=True))
    ]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=" · ".join(one.name for one in told) or sections[0].title,
            runs=told,
            several=len(told) > 1,
            compared=[_table(sheet) for sheet in side_by_side(runs)] if len(runs) > 1 else [],
            first_charts=list(_charts(runs, drawer, first=True)),
            other_charts=list(_charts(runs, drawer, first=False)),
            points=MOST_POINTS,
            sections=[_section(section, drawer) for section in sections],
            metrics=[metric for metric in METRICS if _observed(metric, runs)],
            version=runs[0].environment.get("voicebench") if runs else None,
            sort=sort,
            span=SPAN,
            height=HEIGHT,
            script=script,
            style=style,
            digest=digest,
        )
    )


def _tell(run: RecordedRun, name: str, letter: str, audio: AudioBudget, *, sort: bool) -> PageRun:
    final = run.final
    sheets = sheets_of(run)
    fall = waterfall(run, audio, sort=sort)
    rows = fall.rows if fall else ()
    slowest = sorted(
        (row for row in rows if not row.apart),
        key=lambda row: -(math.inf if row.slowness is None else row.slowness),
    )
    judged = bool(run.gate_results)
    return PageRun(
        name=form.one_line(name),
        letter=letter,
        folder=run.path.name,
        verdict=final_line(final),
        style=CLASSES[VERDICT_STYLES[final.word]],
        line=first_audio_line(run),
        warnings=tuple(warnings_of(run)),
        verdicts=_table(sheets[0], most_spare=PHONE_SPARE) if judged else None,
        advice=run.advice,
        tables=tuple(_table(sheet) for sheet in sheets[judged:]),
        waterfall=fall,
        slowest=tuple(slowest[:SLOWEST]),
        environment=tuple(_flat(run.environment)),
        settings=tuple(_flat(run.settings)),
    )


def _table(sheet: Sheet, most_spare: int | None = None) -> HtmlTable:
    """Return ``sheet`` for the template; a phone leaves out columns above ``most_spare``."""
    columns = told_columns(sheet)
    sides = [
        ("number" if column.justify == "right" else "text")
        + (" wide" if most_spare is not None and column.spare > most_spare else "")
        for column in columns
    ]
    cells = [
        [Cell(cell.plain, f"{side} {_style(str(cell.style))}".strip()) for cell in column.cells]
        for side, column in zip(sides, columns, strict=True)
    ]
    return HtmlTable(
        title=sheet.title,
        heads=tuple(
            Cell(column.head.replace("\n", " "), side)
            for side, column in zip(sides, columns, strict=True)
        ),
        rows=tuple(zip(*cells, strict=True)),
        notes=tuple(note.plain for note in sheet.notes),
    )


def _style(style: str) -> str:
    return " ".join(CLASSES[word] for word in style.split() if word in CLASSES)


def _observed(metric: Metric, runs: Sequence[RecordedRun]) -> bool:
    return any(run.summary.metrics[metric.name].values for run in runs)


def _charts(
    runs: Sequence[RecordedRun], drawer: Callable[[Spec], str], *, first: bool
) -> Iterator[Chart]:
    """Yield the pictures of the metrics that people ask for first, or of all others."""
    gated = {
        result.gate.metric.name for run in runs for result in run.gate_results if result.gate.metric
    }
    leading = [*FIRST_METRICS, *sorted(gated - set(FIRST_METRICS))]
    chosen = leading if first else [one.name for one in METRICS if one.name not in leading]
    for name in chosen:
        metric = BY_NAME[name]
        if not _observed(metric, runs):
            continue
        samples = [
            Sample(LETTERS[index % len(LETTERS)], run.columns.usable(metric), run.summary.turns)
            for index, run in enumerate(runs)
            if run.summary.metrics[name].values
        ]
        targets = _targets(metric, runs)
        yield Chart(
            title=label(name),
            svg=drawer(chart(metric, samples, targets)),
            told=" ".join(_told_values(metric, run, runs) for run in runs),
        )


def _targets(metric: Metric, runs: Sequence[RecordedRun]) -> list[LimitLine]:
    """Return the limits that gates set to values of the metric, each once."""
    found: dict[float, str] = {}
    for result in (result for run in runs for result in run.gate_results):
        gate = result.gate
        if gate.metric is not metric or gate.statistic == "stdev":
            continue
        at = gate.limit if gate.argument is None else gate.argument
        found.setdefault(at, _target_name(result))
    return [LimitLine(at, name) for at, name in sorted(found.items())]


def _target_name(result: GateResult) -> str:
    gate = result.gate
    assert gate.metric is not None
    if gate.argument is None:
        return f"{gate.statistic} {gate.operator} {form.limit(gate.limit, gate.unit)}"
    return f"{gate.statistic} {form.limit(gate.argument, gate.metric.unit)}"


def _told_values(metric: Metric, run: RecordedRun, runs: Sequence[RecordedRun]) -> str:
    found = run.summary.metrics[metric.name]
    who = f"{LETTERS[list(runs).index(run) % len(LETTERS)]}: " if len(runs) > 1 else ""
    if not found.values:
        return f"{who}not observed."
    tail, carried = found.quantile(95)
    parts = [
        f"{who}{form.plural(len(found.values), 'value')}",
        f"from {form.quantity(min(found.values), metric.unit)}",
        f"to {form.quantity(max(found.values), metric.unit)}",
        f"median {form.quantity(found.quantile(50)[0], metric.unit)}",
    ]
    if carried:
        parts.append(f"p95 {form.quantity(tail, metric.unit)}")
    return ", ".join(parts) + "."


def _section(section: Section, drawer: Callable[[Spec], str]) -> dict[str, object]:
    return {
        "title": section.title,
        "intro": section.intro,
        "tables": [_table(sheet) for sheet in section.sheets],
        "charts": [Chart(title, drawer(spec), told) for title, told, spec in section.charts],
    }


def _flat(tree: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value of nested settings with its dotted key."""
    for key, value in tree.items():
        name = f"{above}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, list):
            yield name, words(", ".join(str(one) for one in value)) or form.NOTHING
        else:
            yield name, form.NOTHING if value is None else words(str(value))


@cache
def _environment() -> Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _part(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
