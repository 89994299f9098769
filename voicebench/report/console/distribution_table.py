"""The distributions: every metric that was observed, over the measured turns."""

from __future__ import annotations

from rich.text import Text

from voicebench import format as form
from voicebench.figures.metrics import METRICS, Metric
from voicebench.figures.summary import Distribution, Summary, values_needed
from voicebench.report.console.style import QUIET, Column, Sheet

UNITS = {"ms": "ms", "s": "s", "x": "×", "per_s": "/s", "count": "", "bool": "%"}
TAIL = 95
WHOLE_REPLIES = (
    "in {} the reply came in one piece, not streamed: its first token (llm_ttft) and the gaps "
    "between tokens were not observable"
)


def distribution_sheet(summary: Summary) -> Sheet | None:
    """Return the table; None where nothing was observed."""
    rows = [
        (metric, summary.metrics[metric.name])
        for metric in METRICS
        if summary.metrics[metric.name].values
    ]
    if not rows:
        return None
    columns = [
        Column("metric", [Text(metric.short_name) for metric, _ in rows], "left"),
        Column("unit", [Text(UNITS[metric.unit], QUIET) for metric, _ in rows], "left", spare=1),
        Column("n", [Text(str(found.n), QUIET) for _, found in rows], spare=3),
        Column("missing", [_missing(found) for _, found in rows], spare=4),
        Column("mean", [_value(metric, found.mean()) for metric, found in rows], spare=2),
        Column("p50", [_quantile(metric, found, 50) for metric, found in rows]),
        Column("p95", [_quantile(metric, found, TAIL) for metric, found in rows]),
        Column("max", [_value(metric, max(found.values)) for metric, found in rows], spare=1),
    ]
    limited = any(not found.quantile(TAIL)[1] for _, found in rows)
    notes = []
    if limited:
        needed = values_needed(TAIL)
        notes.append(f"p95 needs {needed} values; under that, the maximum is all there is")
    if _whole_replies(summary):
        notes.append(WHOLE_REPLIES.format(form.plural(_whole_replies(summary), "turn")))
    return Sheet("Distributions", columns, [Text(note, QUIET) for note in notes])


def _whole_replies(summary: Summary) -> int:
    """Count the turns whose reply came in one piece: complete, without a first token."""
    complete, begun = (summary.metrics[name].values for name in ("llm_total_ms", "llm_ttft_ms"))
    return len(complete) - len(begun)


def _missing(found: Distribution) -> Text:
    return Text(str(found.missing), "bold") if found.missing else Text("0", QUIET)


def _value(metric: Metric, value: float | None) -> Text:
    return Text(form.number(value, metric.unit))


def _quantile(metric: Metric, found: Distribution, q: float) -> Text:
    value, carried = found.quantile(q)
    return _value(metric, value) if carried else Text(f"max of {len(found.values)}", QUIET)
