"""Tables of figures: all metrics, the phases beside each other, and the servers' own durations."""

from __future__ import annotations

from rich.text import Text

from voicebench import format as form
from voicebench.figures.metrics import METRICS, Metric
from voicebench.figures.phases import figures_of, phase_figures
from voicebench.figures.summary import Distribution, Summary, percentile, values_needed
from voicebench.judging.digest import Digest
from voicebench.report.console.style import QUIET, Column, Sheet
from voicebench.report.runs import phase_label

TAIL = 95
WHOLE_REPLIES = (
    "in {} the reply came in one piece, not streamed: its first token (llm_ttft) and the gaps "
    "between tokens were not observable"
)
_SERVER_PARTS = (
    ("LLM: first token", "server_llm_ms", "transport_llm_ms"),
    ("voice: first sound", "server_tts_ms", "transport_tts_ms"),
)
_TRANSPORT = (
    "theirs by the server's clock; ours from the moment the request was sent; the difference is "
    "the transport"
)


def distribution_sheet(summary: Summary) -> Sheet | None:
    """Return the table of every observed metric; None if nothing was observed."""
    rows = [
        (metric, summary.metrics[metric.name])
        for metric in METRICS
        if summary.metrics[metric.name].values
    ]
    if not rows:
        return None
    units = [Text(form.unit_name(metric.unit), QUIET) for metric, _ in rows]
    columns = [
        Column("metric", [Text(metric.short_name) for metric, _ in rows], "left"),
        Column("unit", units, "left", spare=1),
        Column("n", [Text(str(found.n), QUIET) for _, found in rows], spare=3),
        Column("missing", [_missing(found) for _, found in rows], spare=4),
        Column("mean", [_value(metric, found.mean()) for metric, found in rows], spare=2),
        Column("p50", [_quantile(metric, found, 50) for metric, found in rows]),
        Column("p95", [_quantile(metric, found, TAIL) for metric, found in rows]),
        Column("max", [_value(metric, found.largest()) for metric, found in rows], spare=1),
    ]
    notes = []
    if not all(found.quantile(TAIL)[1] for _, found in rows):
        notes.append(f"a p95 needs {values_needed(TAIL)} values: with fewer, the maximum is shown")
    complete, begun = (summary.metrics[name].values for name in ("llm_total_ms", "llm_ttft_ms"))
    whole_replies = len(complete) - len(begun)
    if whole_replies:
        notes.append(WHOLE_REPLIES.format(form.plural(whole_replies, "turn")))
    return Sheet("Distributions", columns, [Text(note, QUIET) for note in notes], folds=True)


def phase_sheet(digest: Digest) -> Sheet | None:
    """Return the table of the first turns after loading and after a silence, in order of time.

    None if no turn was cold or idle.
    """
    summary = digest.summary
    apart = phase_figures(digest.phases, summary)
    if not apart or not summary.turns:
        return None
    rows = [
        *(found for found in apart if found.phase == "cold"),
        figures_of("measured", summary, summary),
        *(found for found in apart if found.phase == "idle"),
    ]
    columns = [
        Column("phase", [Text(phase_label(row.phase)) for row in rows], "left"),
        Column("turns", [Text(str(row.turns), QUIET) for row in rows], spare=2),
        Column("failed", [Text(str(row.failed), QUIET) for row in rows], spare=3),
        Column("first\naudio p50", [Text(form.ms(row.first_audio_ms)) for row in rows]),
        Column("over\nmeasured", [Text(_signed(row.over_measured_ms)) for row in rows]),
    ]
    if any(row.connect_ms is not None for row in rows):
        reused = [Text(form.percent(row.connection_reused)) for row in rows]
        columns += [
            Column("connect", [Text(form.ms(row.connect_ms)) for row in rows]),
            Column("connections\nreused", reused),
        ]
    return Sheet("Phases, in ms", columns, folds=True)


def server_sheet(summary: Summary) -> Sheet | None:
    """Return the servers' own durations beside ours; None if no server reports any."""
    rows = [part for part in _SERVER_PARTS if summary.metrics[part[1]].values]
    if not rows and summary.metrics["server_ms"].values:
        rows = [("whole turn", "server_ms", "transport_ms")]
    if not rows:
        return None
    theirs = [summary.metrics[server].values for _, server, _ in rows]
    between = [summary.metrics[transport].values for _, _, transport in rows]
    # A turn shows both or neither, so both columns have the values of the same turns.
    ours = [tuple(map(sum, zip(*pair, strict=True))) for pair in zip(theirs, between, strict=True)]
    columns = [
        Column("of what", [Text(name) for name, _, _ in rows], "left"),
        Column("n", [Text(str(len(values)), QUIET) for values in theirs], spare=2),
        *(
            Column(head, [Text(form.ms(percentile(values, 50))) for values in column])
            for head, column in (
                ("its own\np50", theirs),
                ("ours\np50", ours),
                ("difference\np50", between),
            )
        ),
    ]
    notes = [Text(_TRANSPORT, QUIET)]
    return Sheet("Durations reported by servers, in ms", columns, notes, folds=True)


def _missing(found: Distribution) -> Text:
    return Text(str(found.missing), "bold") if found.missing else Text("0", QUIET)


def _value(metric: Metric, value: float | None) -> Text:
    return Text(form.number(value, metric.unit))


def _quantile(metric: Metric, found: Distribution, q: float) -> Text:
    value, carried = found.quantile(q)
    return _value(metric, value) if carried else Text(f"max of {len(found.values)}", QUIET)


def _signed(value: float | None) -> str:
    text = form.ms(value)
    return f"+{text}" if value is not None and value > 0 else text
