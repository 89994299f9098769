"""The page of runs under load: verdicts, charts over callers and by the second, tables, price."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.load_advice import load_advice
from voicebench.load.recorded.load_comparison import LoadComparison
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
from voicebench.report.html.load_answers import load_answers
from voicebench.report.html.load_charts import capacity_charts
from voicebench.report.html.page import LETTERS, html_report
from voicebench.report.html.parts import Head, Section
from voicebench.report.html.trend import trend_up_to
from voicebench.report.html.two_load_runs import load_pair, load_pair_answers, load_pair_section
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
    compared: LoadComparison | None = None,
    more: Sequence[Section] = (),
    drawer: Callable[[Spec], str] = draw,
) -> str:
    """Return the page of one run, or of several side by side; ``more`` sections come last.

    Two runs are compared, as ``compared`` has it if it is given.
    """
    called = names(runs)
    letters = [f"{letter}: " if len(runs) > 1 else "" for letter, _ in zip(cycle(LETTERS), runs)]
    advice = [
        (f"{letter}{name}" if letter else "", load_advice(run))
        for letter, name, run in zip(letters, called, runs, strict=True)
    ]
    heads = [
        Head(
            name=f"{letter}{name}",
            verdict=final_line(run.final),
            word=run.final.word,
            line=load_line(run),
            folder=run.path.name,
            warnings=load_warnings(run),
            environment=run.environment,
            settings=run.settings,
        )
        for letter, name, run in zip(letters, called, runs, strict=True)
    ]
    sections: list[Section] = []
    answers = load_answers(runs[0]) if len(runs) == 1 else []
    if len(runs) == 2:
        pair = (runs[0], runs[1])
        compared = compared or load_pair(*pair)
        answers = load_pair_answers(pair, compared)
        sections.append(load_pair_section(pair, compared))
    if len(runs) > 1:
        sections.append(Section("Side by side", load_side_by_side(runs)))
    for letter, run in zip(letters, runs, strict=True):
        sections += _sections(run, letter)
    return html_report(
        [],
        sections=[*sections, *more],
        heads=heads,
        answers=answers,
        advice=advice,
        drawer=drawer,
    )


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
