"""The page of runs under load: verdicts, charts over callers and by the second, tables, price."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.load_history import load_history
from voicebench.load.recorded.load_run import LoadRun
from voicebench.report.console.load_sheets import (
    held_as,
    load_line,
    load_sheets,
    load_side_by_side,
)
from voicebench.report.console.sheets import final_line, names
from voicebench.report.html.charts import Spec, draw
from voicebench.report.html.level_charts import level_charts
from voicebench.report.html.load_charts import capacity_charts
from voicebench.report.html.page import Head, Section, html_report
from voicebench.report.html.trend import trend_up_to
from voicebench.report.load_head import load_warnings

OVER_CALLERS = (
    "Each point is a level: the longest one with this number of callers. The bar through it is its "
    "95 % interval, widened because turns of one level depend on each other. As due: from the "
    "moment at which the turn ought to start. As sent: from the moment at which it was sent. The "
    "dashed line is the limit, or the share that the gates need."
)
BY_SECOND = (
    "On the level's own clock. Between the dashed lines is the measured window, before it the ramp "
    "and after it the drain. Only the window is in the figures."
)


def load_html(
    runs: Sequence[LoadRun],
    *,
    more: Sequence[Section] = (),
    drawer: Callable[[Spec], str] = draw,
) -> str:
    """Return the page of one run, or of several side by side; ``more`` sections come last."""
    called = names(runs)
    heads = [
        Head(
            name=name,
            verdict=final_line(run.final),
            word=run.final.word,
            line=load_line(run),
            folder=run.path.name,
            warnings=load_warnings(run),
            environment=run.environment,
            settings=run.settings,
        )
        for name, run in zip(called, runs, strict=True)
    ]
    sections: list[Section] = []
    if len(runs) > 1:
        sections.append(Section("Side by side", load_side_by_side(runs)))
    for name, run in zip(called, runs, strict=True):
        sections += _sections(run, f"{name}: " if len(runs) > 1 else "")
    return html_report([], sections=[*sections, *more], heads=heads, drawer=drawer)


def load_trend_of(runs: Sequence[LoadRun]) -> list[Section]:
    """Return the trend of each run's series, up to the run itself."""
    return trend_up_to(runs, load_history)


def _sections(run: LoadRun, head: str) -> list[Section]:
    sheets = load_sheets(run)
    found = []
    judged = sheets[:1] if sheets and sheets[0].title.startswith("Gates") else []
    if judged:
        found.append(Section(f"{head}Verdicts", judged))
    charts = capacity_charts(run)
    if charts:
        found.append(Section(f"{head}Over callers", charts=charts, intro=OVER_CALLERS))
    for level in shown_levels(run):
        drawn = level_charts(level)
        title = f"{head}Level {level.number}: {held_as(level)}"
        found.append(Section(title, charts=drawn, intro=BY_SECOND))
    return [*found, Section(f"{head}Figures", sheets[len(judged) :])]


def shown_levels(run: LoadRun) -> list[RecordedLevel]:
    """Return the levels that are drawn by the second: the answer's, and the one that fails."""
    shown = [run.shown_level]
    answer = run.replay.answer
    if answer is not None and answer.high is not None:
        shown += [
            level
            for level in run.levels
            if level.callers == answer.high and level.held.judgement.is_shown
        ][:1]
    return [level for level in shown if level is not None and level.held.turns.n]
