"""Runs in Prometheus' text exposition format, for the textfile collector of its node exporter.

Format: Prometheus, "Exposition formats", text-based format 0.0.4. Every sample is a gauge: a run is
a finished measurement, and the next run replaces it. Names and units follow Prometheus' practices:
seconds instead of milliseconds, ratios from 0 to 1, and the unit at the end of the name.

Every sample has the labels ``run`` and ``target``. A quantile for which there are too few turns
(p95 of fewer than 20) is left out; the maximum has ``quantile="1"``. No gate of a run without a
verdict (interrupted, invalid) counts as passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from voicebench.figures.figure import parse_figure
from voicebench.figures.metrics import METRICS
from voicebench.figures.summary import PERCENTILES, Distribution, Summary
from voicebench.judging.final import Word
from voicebench.judging.gates import Verdict
from voicebench.load.recorded.load_run import LoadRun
from voicebench.report.console.sheets import names
from voicebench.report.exchange.exchange import escape_label
from voicebench.report.exchange.load_exchange import load_figures
from voicebench.report.exchange.load_reports import load_verdicts
from voicebench.results.run import RecordedRun

_BASE_UNITS: dict[str, tuple[str, float]] = {
    "ms": ("seconds", 0.001),
    "s": ("seconds", 1.0),
    "count": ("count", 1.0),
    "x": ("ratio", 1.0),
    "per_s": ("per_second", 1.0),
    "bool": ("ratio", 1.0),
    "share": ("ratio", 1.0),
    "callers": ("callers", 1.0),
}
"""Prometheus' unit of each of ours, and the factor between them."""
_HELP = {
    "info": "Always 1; the version of voicebench that measured.",
    "started_timestamp_seconds": "When the first turn began, in Unix time.",
    "passed": "1 if the verdict of the run is PASS, else 0.",
    "verdict": "Always 1; the word of the verdict.",
    "exit_code": "Exit code of the command for this run.",
    "turns": "Measured turns, by outcome.",
    "metric_turns": "Measured turns that show a metric.",
    "gate_passed": "1 if the gate passed, else 0; never 1 if the run has no verdict.",
    "gate_value": "Observed figure of a gate.",
    "gate_limit": "Limit of a gate.",
    "metric": "Metric over the measured turns: a quantile.",
    "metric_mean": "Metric over the measured turns: the mean.",
    "rate": "Share of the turns of the judged level.",
    "capacity": "Highest confirmed number of callers.",
}
Labels = Mapping[str, str]


class Exposition:
    """Samples by family, so that all samples of a name stand together, as the format demands."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[str, dict[str, str]]] = {}

    def add(self, name: str, value: float | None, labels: Labels, unit: str = "") -> None:
        """Add a sample of the family ``name``, a key of the help; None adds nothing.

        ``unit`` is the value's, a key of the table of units; empty for a number without one.
        """
        if value is None:
            return
        suffix, factor = _BASE_UNITS[unit] if unit else ("", 1.0)
        family = "_".join(filter(None, ("voicebench_run", name, suffix)))
        pairs = ",".join(f'{key}="{escape_label(text)}"' for key, text in labels.items())
        _, samples = self._families.setdefault(family, (_HELP[name], {}))
        # Once only, though a gate be given twice. Twelve digits: enough for Unix time, and 120 ms
        # are 0.12.
        samples.setdefault(f"{family}{{{pairs}}}", f"{value * factor:.12g}")

    def text(self) -> str:
        """Return the document."""
        lines = []
        for family, (help_text, samples) in self._families.items():
            lines += [f"# HELP {family} {help_text}", f"# TYPE {family} gauge"]
            lines += [f"{series} {value}" for series, value in samples.items()]
        return "".join(f"{line}\n" for line in lines)


def prometheus_report(runs: Sequence[RecordedRun]) -> str:
    """Return the figures, verdicts and gates of ``runs``."""
    out = Exposition()
    for name, run in zip(names(runs), runs, strict=True):
        labels = _labels(name, run)
        _add_head(out, labels, run, run.started_at, run.final.word)
        failed = run.summary.failed
        out.add("turns", run.summary.turns - failed, {**labels, "outcome": "answered"})
        out.add("turns", failed, {**labels, "outcome": "failed"})
        for result in run.gate_results:
            gate = {**labels, "gate": result.gate.text}
            passed = result.verdict is Verdict.PASS and not run.final.word.is_obstacle
            out.add("gate_passed", passed, gate)
            out.add("gate_value", result.observed, gate, result.gate.unit)
            out.add("gate_limit", result.gate.limit, gate, result.gate.unit)
        _add_metrics(out, labels, run.summary)
    return out.text()


def load_prometheus(runs: Sequence[LoadRun]) -> str:
    """Return the capacity, the judged level, verdicts and gates of runs under load."""
    out = Exposition()
    labels_of = {name: _labels(name, run) for name, run in zip(names(runs), runs, strict=True)}
    for labels, run in zip(labels_of.values(), runs, strict=True):
        _add_head(out, labels, run, run.turns.started_at, run.final.word)
        for what, verdict, _figures in load_verdicts(run):
            out.add("gate_passed", verdict is Verdict.PASS, {**labels, "gate": what})
    for exported in load_figures(runs):
        labels = labels_of[exported.run]
        if exported.name == "capacity":
            out.add("capacity", exported.value, labels, exported.unit)
            continue
        figure = parse_figure(exported.name)
        if figure.metric is None:
            out.add("rate", exported.value, {**labels, "rate": figure.rate}, exported.unit)
        elif figure.percentile is not None:
            metric = {"metric": figure.metric.short_name, "quantile": _quantile(figure.percentile)}
            out.add("metric", exported.value, {**labels, **metric}, exported.unit)
    return out.text()


def _labels(name: str, run: RecordedRun | LoadRun) -> dict[str, str]:
    return {"run": name, "target": run.target or ""}


def _add_head(
    out: Exposition, labels: Labels, run: RecordedRun | LoadRun, started_at: str | None, word: Word
) -> None:
    version = str(run.environment.get("voicebench") or "")
    out.add("info", 1, {**labels, "version": version})
    out.add("started_timestamp_seconds", _unix_time(started_at), labels)
    out.add("passed", word is Word.PASS, labels)
    out.add("verdict", 1, {**labels, "verdict": word.value})
    out.add("exit_code", run.final.exit_code, labels)


def _add_metrics(out: Exposition, labels: Labels, summary: Summary) -> None:
    for metric in METRICS:
        distribution = summary.metrics[metric.name]
        if not distribution.values:
            continue
        named = {**labels, "metric": metric.short_name}
        out.add("metric_turns", len(distribution.values), named)
        out.add("metric_mean", distribution.mean(), named, metric.unit)
        if metric.unit in ("bool", "share"):
            continue  # the mean is the share
        for quantile, value in _quantiles(distribution).items():
            out.add("metric", value, {**named, "quantile": quantile}, metric.unit)


def _quantiles(distribution: Distribution) -> dict[str, float | None]:
    carried = {q: distribution.quantile(q) for q in PERCENTILES}
    found = {_quantile(q): value for q, (value, enough) in carried.items() if enough}
    return found | {"1": distribution.largest()}


def _quantile(percentile: float) -> str:
    return f"{percentile / 100:g}"


def _unix_time(started_at: str | None) -> float | None:
    """Return the moment of an ISO date, None if there is none that can be read."""
    try:
        return None if started_at is None else datetime.fromisoformat(started_at).timestamp()
    except (ValueError, OverflowError):
        return None
