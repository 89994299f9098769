"""Two runs under load on a page: what changed from A to B, as `voicebench compare` computes it."""

from __future__ import annotations

from collections import Counter

from voicebench import format as form
from voicebench.figures.comparison import Outcome
from voicebench.load.level_document import offered
from voicebench.load.recorded.level_intervals import quantile_of
from voicebench.load.recorded.load_comparison import (
    UNDECIDED,
    LevelChange,
    LoadComparison,
    compare_load,
    load_comparability,
)
from voicebench.load.recorded.load_run import LoadRun
from voicebench.report.console.comparison_table import difference_notes, signed_interval
from voicebench.report.console.load_comparison_table import (
    CAPACITY_STYLES,
    load_comparison_sheets,
)
from voicebench.report.console.style import BAD, GOOD, NEAR, UNSURE, Sheet
from voicebench.report.html.answers import limited
from voicebench.report.html.chart_layers import TitledChart, colour_scale, layered
from voicebench.report.html.charts import Spec
from voicebench.report.html.load_answers import carries, what_next
from voicebench.report.html.load_charts import callers_axis, level_point, longest_of_each
from voicebench.report.html.parts import PageAnswer, Section
from voicebench.report.html.two_runs import BETTER, LETTERS, NOT_COMPARED

CHANGED = "What changed"


def load_pair(first: LoadRun, second: LoadRun) -> LoadComparison:
    """Compare two runs; if their numbers mean different things, only say so."""
    found = load_comparability(first, second)
    if found.refused:
        return LoadComparison(found, None, ())
    return compare_load(first, second)


def load_pair_section(runs: tuple[LoadRun, LoadRun], compared: LoadComparison) -> Section:
    """Return the tables of the comparison, and first audio over callers of both runs."""
    if compared.found.refused and not compared.levels and compared.capacity is None:
        return Section(CHANGED, [Sheet("Not compared", [], difference_notes(compared.found))])
    drawn = both_chart(runs)
    sheets = load_comparison_sheets(compared, LETTERS)
    return Section(CHANGED, sheets, [] if drawn is None else [drawn])


def both_chart(runs: tuple[LoadRun, LoadRun]) -> TitledChart | None:
    """Return p95 of first audio as due over callers, one line a run; None without two levels."""
    rows: list[dict[str, object]] = []
    words = []
    for letter, run in zip(LETTERS, runs, strict=True):
        shown = [
            (level, quantile_of(level, "first_audio_due_ms", 95))
            for level in longest_of_each(run.levels)
        ]
        known = [(level, figure) for level, figure in shown if figure is not None]
        rows += [level_point(level, figure, letter) for level, figure in known]
        words += [
            f"{letter} {form.quantity(figure.value, 'ms')} at {offered(level.document)}"
            for level, figure in (known[:1] + known[-1:] if len(known) > 1 else known)
        ]
    if len(rows) < 3:
        return None
    value: Spec = {
        "field": "value",
        "type": "quantitative",
        "axis": {"title": "first audio p95, ms"},
        "scale": {"zero": False},
    }
    colour = colour_scale("line", LETTERS, ["var(--run-0)", "var(--run-1)"])
    spec = layered(
        rows,
        [
            {
                "mark": {"type": "rule", "opacity": 0.35, "strokeWidth": 4},
                "encoding": {
                    "x": callers_axis("x"),
                    "y": {**value, "field": "low"},
                    "y2": {"field": "high"},
                    "color": {**colour, "legend": None},
                },
            },
            {
                "mark": {"type": "line", "point": {"size": 26, "filled": True}},
                "encoding": {"x": callers_axis("x"), "y": value, "color": colour},
            },
        ],
    )
    return "First audio over callers, both runs", f"p95 as due: {', '.join(words)}.", spec


def load_pair_answers(runs: tuple[LoadRun, LoadRun], compared: LoadComparison) -> list[PageAnswer]:
    """Return the answers of two runs: is B better, what does it carry, what is to be done."""
    second = runs[1]
    asked = "How many callers does B carry?" if second.is_search else "Is B fast enough?"
    return [
        _is_better(runs, compared),
        carries(second, asked),
        what_next(second, "What next for B?"),
    ]


def _is_better(runs: tuple[LoadRun, LoadRun], compared: LoadComparison) -> PageAnswer:
    refused = [f"{NOT_COMPARED}: {line}" for line in compared.found.refused]
    if refused and not compared.levels and compared.capacity is None:
        return PageAnswer(BETTER, "Not compared", UNSURE, limited(refused, "reason"))
    doubts = refused + [
        f"{letter} is {run.final.word}: {run.final.why()}"
        for letter, run in zip("AB", runs, strict=True)
        if run.final.word.is_obstacle
    ]
    if doubts:
        return PageAnswer(BETTER, "May not be judged", UNSURE, limited(doubts, "reason"))
    if not compared.has_compared:
        return PageAnswer(BETTER, "Nothing was compared", UNSURE, ["no load was held by both runs"])
    counts = Counter(one.outcome for one in compared.levels)
    counted = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    levels = [f"figures of levels that both held: {counted}"] if counted else []
    change = compared.capacity
    if change is not None:
        word = {"better": "Yes", "worse": "No"}.get(change.verdict, "Undecided")
        was, now = (form.number(one[0], "count") for one in (change.first, change.second))
        why = [f"callers confirmed: {was} → {now}", change.why, *levels]
        style = CAPACITY_STYLES[change.verdict]
        if change.verdict != UNDECIDED:
            word = f"{word}: {change.verdict} capacity"
        return PageAnswer(BETTER, word, style, why, "more-1", "all figures")
    return _by_levels(compared.levels, levels)


def _by_levels(changes: tuple[LevelChange, ...], counted: list[str]) -> PageAnswer:
    """Return the answer for single levels: better only if nothing is worse."""
    outcomes = {one.outcome for one in changes}
    shown = [one for one in changes if one.outcome in (Outcome.BETTER, Outcome.WORSE)]
    lines = limited([_change_line(one) for one in shown], "figure")
    word, style = "No difference is shown", ""
    if {Outcome.BETTER, Outcome.WORSE} <= outcomes:
        word, style = "In some figures", NEAR
    elif Outcome.BETTER in outcomes:
        word, style = "Yes", GOOD
    elif Outcome.WORSE in outcomes:
        word, style = "No: worse", BAD
    elif outcomes & {Outcome.TOO_FEW}:
        word, style = "Too few turns to tell", UNSURE
    return PageAnswer(BETTER, word, style, [*lines, *counted], "more-1", "all figures")


def _change_line(one: LevelChange) -> str:
    was, now = (form.quantity(value, one.unit) for value in (one.first, one.second))
    around = signed_interval(one.interval, one.unit)
    return f"{one.figure} at {offered(one.level.document)}: {was} → {now} (change {around})"
