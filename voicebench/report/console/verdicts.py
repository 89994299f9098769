"""The table of the gates: figures against their targets, one row a gate.

A row shows the figure of this run with its interval, the same figure of the previous run of the
same name, the target and the verdict. If the limit applies to single turns, the row also says how
many turns keep it. A percentile of too few turns is labelled as the maximum; an end of an interval
that the turns cannot bound is open (``≥ 332``).

Against the previous run a figure is *maintained* if it changed by at most a tenth, else *improved*
or *regressed*. The two runs were not measured in turn, so no verdict depends on this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from rich.text import Text

from voicebench import format as form
from voicebench.figures.figure import ERRORS as ERROR_RATE
from voicebench.figures.summary import Summary, values_needed
from voicebench.judging.final import Word
from voicebench.judging.gates import OPERATORS, Gate, GateResult, Verdict
from voicebench.report.console.style import (
    BAD,
    GOOD,
    QUIET,
    VERDICT_SIGNS,
    VERDICT_STYLES,
    Column,
    Sheet,
)

MAINTAINED_WITHIN = 0.10
"""A figure that changed by at most this share counts as maintained."""

Trend = Literal["maintained", "improved", "regressed"]

LABELS = {
    "llm_ttft_ms": "LLM first token",
    "llm_total_ms": "E2E latency",
    "llm_itl_ms": "LLM token gap",
    "llm_tokens": "Reply tokens",
    "llm_tokens_per_s": "LLM tokens per second",
    "first_chunk_ms": "First text chunk",
    "tts_ttfb_ms": "TTS TTFB",
    "first_audio_ms": "E2E first audio",
    "first_sound_ms": "E2E first sound",
    "gapless_start_ms": "Gapless start",
    "turn_ms": "Whole turn",
    "synth_speed_x": "Synthesis speed",
}
"""The labels of the metrics. E2E latency is the time until the reply's text is complete."""

ERRORS = "Failed turns"


def label(metric_name: str) -> str:
    """Return the label of a metric."""
    plain = metric_name.removesuffix("_ms").removesuffix("_s").removesuffix("_x").replace("_", " ")
    return LABELS.get(metric_name, plain.capitalize())


def verdict_sheet(
    results: Sequence[GateResult], summary: Summary, previous: Mapping[str, float] | None = None
) -> Sheet:
    """Return the table of gates; ``previous`` has the figures of the previous run by name."""
    gates = [result.gate for result in results]
    earlier = [(previous or {}).get(gate.figure.name) for gate in gates]
    columns = [
        Column("metric", [_title(result, summary) for result in results], "left", least=26),
        Column("name", [Text(_name(gate), QUIET) for gate in gates], "left", spare=5, extra=True),
        Column(
            "this\nrun", [_beside_limit(found.observed, found.gate, "bold") for found in results]
        ),
        Column(_interval_head(results), [_interval(result) for result in results], spare=3),
        Column(
            "previous\nrun",
            [_beside_limit(was, gate, QUIET) for was, gate in zip(earlier, gates, strict=True)],
            spare=2,
        ),
        Column(
            "target",
            [Text(target_text(gate.operator, gate.limit, gate.unit)) for gate in gates],
            spare=1,
        ),
        Column("status", [verdict_text(result.verdict) for result in results], "left"),
        Column("pass", [_passing(result, summary) for result in results], spare=3),
    ]
    if previous:
        changes = list(zip(earlier, results, strict=True))
        columns += [
            Column("since then", [_since(result, was) for was, result in changes], "left", spare=2),
            Column(
                "change", [_change(result, was) for was, result in changes], spare=4, extra=True
            ),
        ]
    return Sheet("Against the targets", columns, _notes(results, summary))


def trend(before: float, now: float, *, lower_is_better: bool, exact: bool = False) -> Trend:
    """Return the trend from ``before`` to ``now``; if ``exact``, any change counts."""
    moved = now - before
    if abs(moved) <= (0.0 if exact else MAINTAINED_WITHIN * abs(before)):
        return "maintained"
    return "improved" if (moved < 0) == lower_is_better else "regressed"


def kept_by(gate: Gate, summary: Summary) -> tuple[int, int] | None:
    """Return how many turns keep the gate's limit, and how many there are, failed ones included.

    None for a mean and a deviation, which do not apply to single turns. A turn keeps the limit on
    errors if it does not fail.
    """
    if gate.metric is None:
        is_seen = gate.rate == ERROR_RATE
        return (summary.turns - summary.failed, summary.turns) if is_seen else None
    if gate.statistic in ("mean", "stdev"):
        return None
    distribution = summary.metrics[gate.metric.name]
    if gate.argument is not None:
        kept = sum(map(gate.figure.counts, distribution.values))
    else:
        compare = OPERATORS[gate.operator]
        kept = sum(compare(value, gate.limit) for value in distribution.values)
    return kept, distribution.n


def has_enough_turns(gate: Gate, summary: Summary) -> bool:
    """Return whether the turns are enough for the gate's percentile; True if it has none."""
    quantile = gate.percentile
    if quantile is None or gate.metric is None:
        return True
    return summary.metrics[gate.metric.name].quantile(quantile)[1]


def verdict_text(word: Verdict | Word) -> Text:
    """Return the sign and the word of a verdict in its colour."""
    return Text(f"{VERDICT_SIGNS[word]} {word.value}", f"bold {VERDICT_STYLES[word]}")


def _title(result: GateResult, summary: Summary) -> Text:
    gate = result.gate
    if gate.metric is None:
        return Text(ERRORS if gate.rate == ERROR_RATE else gate.figure.name)
    statistic = gate.statistic
    if gate.argument is not None:
        statistic = f"{statistic} {form.limit(gate.argument, gate.metric.unit)}"
    elif result.observed is not None and not has_enough_turns(gate, summary):
        statistic = f"max of {len(summary.metrics[gate.metric.name].values)}"
    return Text.assemble(label(gate.metric.name), (f" ({statistic})", QUIET))


def _name(gate: Gate) -> str:
    metric = gate.rate if gate.metric is None else gate.metric.short_name
    return f"{metric}.{gate.statistic}"


def _beside_limit(value: float | None, gate: Gate, style: str) -> Text:
    return Text(form.beside(value, gate.limit, gate.unit), style)


def _interval_head(results: Sequence[GateResult]) -> str:
    levels = {result.interval.level for result in results if result.interval is not None}
    return f"{form.percent(max(levels))}\ninterval" if levels else "interval"


def _interval(result: GateResult) -> Text:
    """Return the interval of the figure; an end that the turns cannot bound is open."""
    interval = result.interval
    if interval is None:
        return Text(form.NOTHING, QUIET)
    return Text(form.span(interval.low, interval.high, result.gate.unit), QUIET)


def target_text(operator: str, limit: float, unit: str) -> str:
    """Return a limit with its sign: ``≤ 300 ms``."""
    sign = {"<=": "≤", ">=": "≥"}.get(operator, operator)
    return f"{sign} {form.limit(limit, unit)}"


def _passing(result: GateResult, summary: Summary) -> Text:
    kept = kept_by(result.gate, summary)
    if result.observed is None or kept is None:
        return Text()
    return Text(f"{kept[0]}/{kept[1]}")


def _since(result: GateResult, before: float | None) -> Text:
    if before is None or result.observed is None:
        return Text(form.NOTHING, QUIET)
    gate = result.gate
    lower_is_better = gate.operator in ("<", "<=")
    exact = gate.metric is None
    word = trend(before, result.observed, lower_is_better=lower_is_better, exact=exact)
    return Text(word, {"maintained": "", "improved": GOOD, "regressed": BAD}[word])


def _change(result: GateResult, before: float | None) -> Text:
    now = result.observed
    if before is None or now is None:
        return Text()
    text = form.change(before, now)
    return Text("" if text == form.NO_CHANGE else text, QUIET)


def _notes(results: Sequence[GateResult], summary: Summary) -> list[Text]:
    notes = [
        Text(f"{_title(result, summary).plain}: {result.note}", QUIET)
        for result in results
        if result.verdict is Verdict.UNDECIDED and result.note
    ]
    for result in results:
        quantile = result.gate.percentile
        if quantile is None or result.observed is None or has_enough_turns(result.gate, summary):
            continue
        assert result.gate.metric is not None
        count = len(summary.metrics[result.gate.metric.name].values)
        note = (
            f"{result.gate.statistic} needs {values_needed(quantile)} turns: "
            f"the maximum of {count} is shown and judged"
        )
        if note not in [text.plain for text in notes]:
            notes.append(Text(note, QUIET))
    return notes
