"""What other programs draw and compare: JSON, and the formats of three trackers of benchmarks.

* ``json``: the documents of ``summary.json``, computed anew from the turns.
* ``github-benchmark``: the list that github-action-benchmark reads as ``customSmallerIsBetter``. It
  knows one direction for a whole file, so figures of which more is better are left out.
* ``bencher``: Bencher Metric Format. Each figure is a benchmark; durations are the built-in measure
  ``latency``, which is in nanoseconds, everything else has a measure of its unit.
* ``gitlab``: OpenMetrics text, for GitLab's ``artifacts:reports:metrics``. GitLab compares values
  as text, so they have six digits.

All three hold the figures of the gates and, of the metrics in `ALWAYS`, p50 and p95.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voicebench.figures.figure import Figure, parse_figure
from voicebench.figures.intervals import Interval
from voicebench.quoting import as_json
from voicebench.report.console.sheets import names
from voicebench.results.codec import SCHEMA
from voicebench.results.run import RecordedRun

ALWAYS = ("first_audio", "first_sound", "gapless_start", "llm_total", "tts_ttfb")
_NS_PER_MS = 1e6
_MEASURES = {
    "s": "seconds",
    "count": "count",
    "x": "speed",
    "per_s": "throughput",
    "bool": "share",
    "share": "share",
}


@dataclass(frozen=True, slots=True)
class ExportedFigure:
    """A figure of a run, as it was observed."""

    run: str
    figure: Figure
    value: float
    interval: Interval | None
    note: str


def json_report(runs: Sequence[RecordedRun]) -> str:
    """Return the documents of all runs as one."""
    document = {"schema": SCHEMA, "results": [run.document() for run in runs]}
    return as_json(document, indent=2) + "\n"


def github_benchmark(runs: Sequence[RecordedRun]) -> str:
    """Return github-action-benchmark's list."""
    entries = []
    for told in _told(runs):
        if told.figure.better != "lower":
            continue
        entry: dict[str, object] = {
            "name": f"{told.run}: {told.figure.name}",
            "unit": told.figure.unit,
            "value": told.value,
        }
        if told.interval is not None and told.interval.is_closed:
            assert told.interval.low is not None
            assert told.interval.high is not None
            entry["range"] = f"{told.interval.low:.6g} to {told.interval.high:.6g}"
        if told.note:
            entry["extra"] = told.note
        entries.append(entry)
    return as_json(entries, indent=2) + "\n"


def bencher(runs: Sequence[RecordedRun]) -> str:
    """Return the figures in Bencher Metric Format."""
    document: dict[str, dict[str, dict[str, float]]] = {}
    for told in _told(runs):
        unit = told.figure.unit
        measure, factor = ("latency", _NS_PER_MS) if unit == "ms" else (_MEASURES[unit], 1.0)
        metric = {"value": told.value * factor}
        if told.interval is not None:
            low, high = told.interval.low, told.interval.high
            metric |= {} if low is None else {"lower_value": low * factor}
            metric |= {} if high is None else {"upper_value": high * factor}
        document[f"{told.run}: {told.figure.name}"] = {measure: metric}
    return as_json(document, indent=2) + "\n"


def gitlab_metrics(runs: Sequence[RecordedRun]) -> str:
    """Return the figures as OpenMetrics text."""
    samples: dict[str, list[str]] = {}
    for told in _told(runs):
        name = "voicebench_" + re.sub(r"[^a-z0-9]+", "_", told.figure.name.lower()).strip("_")
        run = told.run.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        samples.setdefault(f"{name}_{told.figure.unit}", []).append(
            f'{{run="{run}"}} {told.value:.6g}'
        )
    lines = []
    for name, values in samples.items():
        lines.append(f"# TYPE {name} gauge")
        lines += [name + value for value in values]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _told(runs: Sequence[RecordedRun]) -> Iterator[ExportedFigure]:
    for name, run in zip(names(runs), runs, strict=True):
        figures = [result.gate.figure for result in run.gate_results]
        figures += [
            parse_figure(f"{metric}.{part}") for metric in ALWAYS for part in ("p50", "p95")
        ]
        for figure in {figure.name: figure for figure in figures}.values():
            value, note = figure.observe(run.summary)
            if value is not None:
                yield ExportedFigure(name, figure, value, figure.interval(run.summary), note)
