"""Formats for other programs: JSON, and the formats of three benchmark trackers.

* ``json``: the documents of ``summary.json``, computed again from the turns.
* ``github-benchmark``: the list that github-action-benchmark reads as ``customSmallerIsBetter``. A
  file has one direction, so figures of which more is better are left out.
* ``bencher``: Bencher Metric Format. Each figure is a benchmark. Durations use the built-in measure
  ``latency``, in nanoseconds; every other unit has its own measure.
* ``gitlab``: OpenMetrics text for GitLab's ``artifacts:reports:metrics``. GitLab compares values as
  text, so they have six digits.

The trackers get the figures of the gates, and p50 and p95 of the metrics in `ALWAYS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from voicebench.figures.figure import parse_figure
from voicebench.figures.intervals import Interval
from voicebench.figures.metrics import Better
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
    "callers": "callers",
}


@dataclass(frozen=True, slots=True)
class ExportedFigure:
    """An observed figure of a run."""

    run: str
    name: str
    """The figure: ``first_audio.p95``."""
    unit: str
    better: Better
    value: float
    interval: Interval | None
    note: str


class Documented(Protocol):
    """A recorded run of any kind."""

    def document(self) -> dict[str, object]:
        """Return the run as one document."""
        ...


def json_report(runs: Sequence[Documented]) -> str:
    """Return the documents of all runs as one document."""
    document = {"schema": SCHEMA, "results": [run.document() for run in runs]}
    return as_json(document, indent=2) + "\n"


def github_benchmark(figures: Iterable[ExportedFigure]) -> str:
    """Return github-action-benchmark's list."""
    entries = []
    for exported in figures:
        if exported.better != "lower":
            continue
        entry: dict[str, object] = {
            "name": f"{exported.run}: {exported.name}",
            "unit": exported.unit,
            "value": exported.value,
        }
        if exported.interval is not None and exported.interval.is_closed:
            assert exported.interval.low is not None
            assert exported.interval.high is not None
            entry["range"] = f"{exported.interval.low:.6g} to {exported.interval.high:.6g}"
        if exported.note:
            entry["extra"] = exported.note
        entries.append(entry)
    return as_json(entries, indent=2) + "\n"


def bencher(figures: Iterable[ExportedFigure]) -> str:
    """Return the figures in Bencher Metric Format."""
    document: dict[str, dict[str, dict[str, float]]] = {}
    for exported in figures:
        unit = exported.unit
        measure, factor = ("latency", _NS_PER_MS) if unit == "ms" else (_MEASURES[unit], 1.0)
        metric = {"value": exported.value * factor}
        if exported.interval is not None:
            low, high = exported.interval.low, exported.interval.high
            metric |= {} if low is None else {"lower_value": low * factor}
            metric |= {} if high is None else {"upper_value": high * factor}
        document[f"{exported.run}: {exported.name}"] = {measure: metric}
    return as_json(document, indent=2) + "\n"


def gitlab_metrics(figures: Iterable[ExportedFigure]) -> str:
    """Return the figures as OpenMetrics text."""
    samples: dict[str, list[str]] = {}
    for exported in figures:
        name = "voicebench_" + re.sub(r"[^a-z0-9]+", "_", exported.name.lower()).strip("_")
        samples.setdefault(f"{name}_{exported.unit}", []).append(
            f'{{run="{escape_label(exported.run)}"}} {exported.value:.6g}'
        )
    lines = []
    for name, values in samples.items():
        lines.append(f"# TYPE {name} gauge")
        lines += [name + value for value in values]
    return "\n".join([*lines, "# EOF"]) + "\n"


def escape_label(text: str) -> str:
    """Return the value of a label as OpenMetrics and Prometheus write it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def run_figures(runs: Sequence[RecordedRun]) -> Iterator[ExportedFigure]:
    """Yield the figures of each run that the benchmark trackers get."""
    for name, run in zip(names(runs), runs, strict=True):
        figures = [result.gate.figure for result in run.gate_results]
        figures += [
            parse_figure(f"{metric}.{part}") for metric in ALWAYS for part in ("p50", "p95")
        ]
        for figure in {figure.name: figure for figure in figures}.values():
            value, note = figure.observe(run.summary)
            if value is not None:
                interval = figure.interval(run.summary)
                yield ExportedFigure(
                    name, figure.name, figure.unit, figure.better, value, interval, note
                )
