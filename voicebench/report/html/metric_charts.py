"""The distribution of each metric on the page: its chart, and words that say the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from voicebench import format as form
from voicebench.figures.metrics import BY_NAME, METRICS, Metric
from voicebench.judging.gates import GateResult
from voicebench.report.console.verdicts import label
from voicebench.report.html.charts import LimitLine, Sample, Spec, chart
from voicebench.results.run import RecordedRun

FIRST_METRICS = (
    "first_audio_ms",
    "first_sound_ms",
    "gapless_start_ms",
    "llm_total_ms",
    "tts_ttfb_ms",
    "llm_ttft_ms",
)


class Lettered(Protocol):
    """A run on the page, with the letter that charts call it by."""

    @property
    def run(self) -> RecordedRun:
        """The run."""
        ...

    @property
    def letter(self) -> str:
        """Its letter."""
        ...


@dataclass(frozen=True, slots=True)
class DrawnMetric:
    """The chart of one metric."""

    name: str
    title: str
    svg: str
    in_words: str


def observed_metrics(runs: Sequence[Lettered]) -> list[Metric]:
    """Return the metrics that at least one of the runs shows."""
    return [
        metric
        for metric in METRICS
        if any(one.run.summary.metrics[metric.name].values for one in runs)
    ]


def distributions(
    runs: Sequence[Lettered], drawer: Callable[[Spec], str]
) -> tuple[list[DrawnMetric], list[DrawnMetric]]:
    """Return the charts to be seen at once, and those of all other metrics."""
    gated = {
        result.gate.metric.name
        for one in runs
        for result in one.run.gate_results
        if result.gate.metric
    }
    observed = observed_metrics(runs)
    first = [*FIRST_METRICS, *sorted(gated - set(FIRST_METRICS))]
    return (
        [_drawn(BY_NAME[name], runs, drawer) for name in first if BY_NAME[name] in observed],
        [_drawn(metric, runs, drawer) for metric in observed if metric.name not in first],
    )


def _drawn(metric: Metric, runs: Sequence[Lettered], drawer: Callable[[Spec], str]) -> DrawnMetric:
    samples = [
        Sample(one.letter, one.run.columns.usable(metric), one.run.summary.turns)
        for one in runs
        if one.run.summary.metrics[metric.name].values
    ]
    results = [result for one in runs for result in one.run.gate_results]
    return DrawnMetric(
        metric.name,
        label(metric.name),
        drawer(chart(metric, samples, _targets(metric, results))),
        " ".join(_in_words(metric, one, named=len(runs) > 1) for one in runs),
    )


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


def _in_words(metric: Metric, one: Lettered, *, named: bool) -> str:
    found = one.run.summary.metrics[metric.name]
    who = f"{one.letter}: " if named else ""
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
