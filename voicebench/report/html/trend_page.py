"""The page of a trend: is the latest run fast enough, what changed since the one before?

Two runs of a trend were not measured in turn, so a change is called shown only if the intervals of
both figures do not overlap. That is stricter than an interval of the difference, which needs the
turns of both (`voicebench compare`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from voicebench import format as form
from voicebench.figures.figure import Figure
from voicebench.figures.intervals import Interval
from voicebench.judging.final import Word
from voicebench.report.console.style import BAD, GOOD, NEAR, QUIET, VERDICT_SIGNS, VERDICT_STYLES
from voicebench.report.html.answers import CHANGED, ENOUGH, NEXT, NO_VERDICT, WORDS, limited
from voicebench.report.html.charts import Spec, draw
from voicebench.report.html.page import html_report
from voicebench.report.html.parts import Head, PageAnswer
from voicebench.report.html.trend import trend_sections
from voicebench.results.history import History, Point

MOST_HEADS = 8
"""Of more series, the head names only the first ones; each has its section below."""


def trend_html(history: History, *, drawer: Callable[[Spec], str] = draw) -> str:
    """Return the page of a trend of one series of runs, or of several."""
    series = history.by_series()
    heads = [
        head
        for title, points in list(series.items())[:MOST_HEADS]
        if (head := _head(title, points)) is not None
    ]
    return html_report(
        [],
        sections=trend_sections(history),
        heads=heads,
        answers=trend_answers(series, history.figures),
        title=f"History: {form.one_line(next(iter(series)))}" if len(series) == 1 else "History",
        drawer=drawer,
    )


def _head(title: str, points: Sequence[Point]) -> Head | None:
    """Return the verdict of the latest run of a series; None for a trend of sprints."""
    latest = points[-1]
    word = _word(latest)
    if word is None:
        return None
    return Head(
        name=form.one_line(title),
        verdict=f"{VERDICT_SIGNS[word]} {word}",
        word=word,
        line=f"the latest of {form.plural(len(points), 'run')}:",
        folder=latest.label,
    )


def _word(point: Point) -> Word | None:
    return next((word for word in Word if word == point.verdict), None)


def trend_answers(series: dict[str, list[Point]], figures: Sequence[Figure]) -> list[PageAnswer]:
    """Return the answers on the latest run of each series."""
    named = len(series) > 1
    return [
        _is_fast_enough(series, figures),
        _what_changed(series, figures, named=named),
        _what_next(series, figures),
    ]


def _is_fast_enough(series: dict[str, list[Point]], figures: Sequence[Figure]) -> PageAnswer:
    latest = {title: points[-1] for title, points in series.items()}
    words = {title: _word(point) for title, point in latest.items()}
    known = [word for word in words.values() if word is not None]
    if not known:
        return PageAnswer(ENOUGH, "Not judged", QUIET, ["a sprint has no verdict of a run"])
    if len(series) > 1:
        passed = sum(word is Word.PASS for word in known)
        missed = [
            f"{form.one_line(title)}: {word}"
            for title, word in words.items()
            if word is not None and word is not Word.PASS
        ]
        style = GOOD if passed == len(series) else BAD
        said = f"{passed} of {form.plural(len(series), 'latest run')} passed"
        return PageAnswer(ENOUGH, said, style, limited(missed, "run"))
    [word], [point] = known, latest.values()
    lines = [
        f"{figure.name}: {form.quantity(value, figure.unit)}, limit "
        f"{form.limit(point.limits[figure.name], figure.unit)}"
        for figure in figures
        if figure.name in point.limits and (value := point.values.get(figure.name)) is not None
    ]
    said = WORDS.get(word, NO_VERDICT)
    return PageAnswer(
        ENOUGH, said, VERDICT_STYLES[word], [f"latest run: {word}", *limited(lines, "limit")]
    )


def shown_changes(
    points: Sequence[Point], figures: Sequence[Figure]
) -> Iterator[tuple[Figure, float, float, bool | None]]:
    """Yield each figure whose change since the run before is shown, with both values.

    The last part says whether it is better; None if neither direction is.
    """
    if len(points) < 2:
        return
    before, latest = points[-2:]
    for figure in figures:
        was, now = (point.values.get(figure.name) for point in (before, latest))
        around = [point.ranges.get(figure.name) for point in (before, latest)]
        if was is None or now is None or around[0] is None or around[1] is None:
            continue
        if _above(around[1], around[0]):
            yield figure, was, now, {"higher": True, "lower": False}.get(figure.better)
        elif _above(around[0], around[1]):
            yield figure, was, now, {"higher": False, "lower": True}.get(figure.better)


def _above(high: Interval, low: Interval) -> bool:
    """Return whether all of one interval lies above all of another."""
    return high.low is not None and low.high is not None and high.low > low.high


def _what_changed(
    series: dict[str, list[Point]], figures: Sequence[Figure], *, named: bool
) -> PageAnswer:
    better: list[str] = []
    worse: list[str] = []
    other: list[str] = []
    for title, points in series.items():
        whose = f"{form.one_line(title)}: " if named else ""
        for figure, was, now, is_better in shown_changes(points, figures):
            said = "changed" if is_better is None else "better" if is_better else "worse"
            line = (
                f"{whose}{figure.name}: {form.quantity(was, figure.unit)} → "
                f"{form.quantity(now, figure.unit)}, {said}"
            )
            (other if is_better is None else better if is_better else worse).append(line)
    if all(len(points) < 2 for points in series.values()):
        return PageAnswer(
            CHANGED, "Nothing to compare with", QUIET, ["no series has more than one run"]
        )
    because = limited([*worse, *better, *other], "figure")
    machines = {
        str(sorted(point.machine.items()))
        for points in series.values()
        for point in points[-2:]
        if point.machine
    }
    if len(machines) > 1:
        because.append("measured on several machines, so figures may differ")
    if worse:
        return PageAnswer(CHANGED, "Worse than the run before", NEAR if better else BAD, because)
    if better:
        style = "" if len(machines) > 1 else GOOD
        return PageAnswer(CHANGED, "Better than the run before", style, because)
    said = "Nothing that is shown" if not other else "Neither better nor worse"
    return PageAnswer(CHANGED, said, "", because or ["the intervals of both runs overlap"])


def _what_next(series: dict[str, list[Point]], figures: Sequence[Figure]) -> PageAnswer:
    for points in series.values():
        if any(is_better is False for *_, is_better in shown_changes(points, figures)):
            before, latest = points[-2:]
            return PageAnswer(
                NEXT,
                "Look at both runs",
                "",
                [f"voicebench compare {before.label} {latest.label} --html compared.html"],
            )
    for points in series.values():
        word = _word(points[-1])
        if word is not None and word is not Word.PASS:
            return PageAnswer(
                NEXT,
                "Read the latest run's advice",
                "",
                [f"voicebench report {points[-1].label} -o report.html"],
            )
    return PageAnswer(NEXT, "Nothing", QUIET, ["no figure is shown to be worse"])
