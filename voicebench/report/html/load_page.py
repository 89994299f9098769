"""The page of runs under load: verdict, latency over callers, the levels by the second, tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voicebench.load.recorded.load_run import LoadRun
from voicebench.report.console.load_sheets import load_line, load_sheets, load_side_by_side
from voicebench.report.console.sheets import final_line, names
from voicebench.report.html.charts import Spec, draw
from voicebench.report.html.page import Head, Section, html_report
from voicebench.report.load_head import load_warnings


def load_html(runs: Sequence[LoadRun], *, drawer: Callable[[Spec], str] = draw) -> str:
    """Return the page of one run, or of several side by side."""
    sections = [
        Section("Figures", load_sheets(runs[0]) if len(runs) == 1 else load_side_by_side(runs))
    ]
    heads = [
        Head(
            name,
            final_line(run.final),
            run.final.word,
            load_line(run),
            run.path.name,
            load_warnings(run),
        )
        for name, run in zip(names(runs), runs, strict=True)
    ]
    return html_report([], sections=sections, heads=heads, drawer=drawer)
