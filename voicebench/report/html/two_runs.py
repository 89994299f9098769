"""Two runs on a page: what changed from A to B, with the statistics of `voicebench compare`."""

from __future__ import annotations

from collections import Counter

from voicebench import format as form
from voicebench.figures.comparison import ComparedFigure, Outcome
from voicebench.report.compared_runs import ComparedRuns
from voicebench.report.console.comparison_table import comparison_sheet, signed, signed_interval
from voicebench.report.console.style import BAD, GOOD, NEAR, UNSURE, Sheet
from voicebench.report.html.answers import NEXT, is_fast_enough, limited, what_next
from voicebench.report.html.change_chart import change_chart
from voicebench.report.html.parts import PageAnswer, Section

LETTERS = ("A", "B")
BETTER = "Is B better than A?"
NOT_COMPARED = "the numbers mean different things"
AGREE = "compare runs that agree in this, or use `voicebench compare --anyway`"


def comparison_answers(two: ComparedRuns) -> list[PageAnswer]:
    """Return the answers of a comparison: is B better, is it fast enough, what is to be done."""
    enough = is_fast_enough(two.second, "Is B fast enough?")
    return [_is_better(two), enough, _what_next(two)]


def comparison_section(two: ComparedRuns) -> Section:
    """Return the table of all figures of both runs, and the chart of their changes."""
    sheet = comparison_sheet(two.figures, LETTERS, two.found)
    if not two.figures:
        return Section("Side by side", [Sheet("Not compared", [], sheet.notes)])
    drawn = change_chart(two.figures)
    return Section("Side by side", [sheet], [] if drawn is None else [drawn])


def _is_better(two: ComparedRuns) -> PageAnswer:
    link = ("verdicts", "all figures")
    if not two.figures:
        why = [f"{NOT_COMPARED}: {line}" for line in two.found.refused]
        return PageAnswer(BETTER, "Not compared", UNSURE, limited(why, "reason"), *link)
    doubts = [f"{NOT_COMPARED}: {line}" for line in two.found.refused]
    doubts += [
        f"{letter} is {run.final.word}: {run.final.why()}"
        for letter, run in zip(LETTERS, (two.first, two.second), strict=True)
        if run.final.word.is_obstacle
    ]
    if doubts:
        return PageAnswer(BETTER, "May not be judged", UNSURE, limited(doubts, "reason"), *link)
    headline = two.headline
    if headline is None:
        nothing = "no figure is shown by both runs"
        return PageAnswer(BETTER, "Nothing was compared", UNSURE, [nothing])
    counts = Counter(one.outcome for one in two.figures)
    counted = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    because = [change_line(headline), f"all figures: {counted}"]
    worse = [one.figure.name for one in two.figures if one.outcome is Outcome.WORSE]
    if worse and headline.outcome is not Outcome.WORSE:
        because.append(f"worse: {', '.join(limited(worse, 'figure'))}")
    word, style = _VERDICTS[headline.outcome]
    if style == GOOD and worse:
        style = NEAR
    return PageAnswer(BETTER, word.format(headline.figure.name), style, because, *link)


_VERDICTS = {
    Outcome.BETTER: ("Yes: {} is better", GOOD),
    Outcome.WORSE: ("No: {} is worse", BAD),
    Outcome.CHANGED: ("{} has changed", ""),
    Outcome.NONE_SHOWN: ("No difference of {} is shown", ""),
    Outcome.TOO_FEW: ("Too few turns to tell by {}", UNSURE),
}


def change_line(one: ComparedFigure) -> str:
    """Return ``first_audio.p50: 328 ms → 258 ms, -70.2 ms (95 %: -85.0 … -55.1)``."""
    unit = one.figure.unit
    was, now = (form.quantity(value, unit) for value in (one.first, one.second))
    line = f"{one.figure.name}: {was} → {now}"
    if one.difference is None:
        return line
    line += f", {signed(one.difference.change, unit)}{form.UNITS[unit]}"
    around = one.difference.interval
    if around is None:
        return line
    return f"{line} ({form.percent(around.level)} interval: {signed_interval(around, unit)})"


def _what_next(two: ComparedRuns) -> PageAnswer:
    if not two.figures:
        return PageAnswer(NEXT, "Compare others", UNSURE, [AGREE])
    headline = two.headline
    if headline is not None and headline.turns_needed and not two.second.final.obstacles:
        needed = form.plural(headline.turns_needed, "turn")
        return PageAnswer(
            NEXT,
            f"Measure about {needed} of each",
            UNSURE,
            [
                f"so many would show a change of {headline.figure.name} as large as this "
                f"(--runs {headline.turns_needed})"
            ],
        )
    return what_next(two.second, "What next for B?")
