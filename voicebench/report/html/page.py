"""Fills the template of the page with recorded runs and further sections."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from voicebench import format as form
from voicebench.judging.advice_sentences import Advice
from voicebench.judging.comparability import flattened
from voicebench.report.compared_runs import ComparedRuns, compared_runs
from voicebench.report.console.sheets import (
    filled_columns,
    final_line,
    first_audio_line,
    names,
    sheets_of,
    side_by_side,
)
from voicebench.report.console.style import Sheet
from voicebench.report.head import warnings_of
from voicebench.report.html.answers import run_answers
from voicebench.report.html.calls import (
    CALL_HEIGHT,
    WAIT_HEIGHT,
    PageCalls,
    page_calls,
)
from voicebench.report.html.charts import MOST_POINTS, TEMPLATES, Spec, draw
from voicebench.report.html.metric_charts import distributions, observed_metrics
from voicebench.report.html.parts import Head, PageAnswer, Section, cell_classes, verdict_class
from voicebench.report.html.picture import HEIGHT, SPAN
from voicebench.report.html.turns import (
    AUDIO_BYTES,
    AudioBudget,
    PageWaterfall,
    TurnRow,
    shortened,
    waterfall,
)
from voicebench.report.html.two_runs import comparison_answers, comparison_section
from voicebench.report.templating import filled
from voicebench.results.run import RecordedRun

SLOWEST = 5
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PHONE_SPARE = 2
"""On a phone, columns of the verdicts that are spared more easily than this are hidden."""


@dataclass(frozen=True, slots=True)
class PageRun:
    """One run with what the page shows of it."""

    run: RecordedRun
    name: str
    letter: str
    verdicts: Sheet | None
    sheets: Sequence[Sheet]
    waterfall: PageWaterfall | None
    calls: PageCalls | None = None

    def slowest(self) -> list[TurnRow]:
        """Return the rows of the failed and slowest turns."""
        rows = self.waterfall.rows if self.waterfall else ()
        by_slowness = sorted(
            (row for row in rows if not row.apart),
            key=lambda row: math.inf if row.slowness is None else row.slowness,
            reverse=True,
        )
        return by_slowness[:SLOWEST]


def html_report(
    runs: Sequence[RecordedRun],
    *,
    sort: bool = False,
    sections: Sequence[Section] = (),
    heads: Sequence[Head] = (),
    answers: Sequence[PageAnswer] = (),
    advice: Sequence[tuple[str, Sequence[Advice]]] = (),
    two: ComparedRuns | None = None,
    title: str = "",
    drawer: Callable[[Spec], str] = draw,
) -> str:
    """Return the page. ``sort`` puts the slowest turn first; ``sections`` come after the runs.

    ``heads``, ``answers`` and ``advice`` (with the name of its run) are of runs that are shown in
    ``sections`` alone. A page without runs and heads has the title of its first section. Two runs
    are compared, as ``two`` has it if it is given.
    """
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    audio = AudioBudget(AUDIO_BYTES)
    shown = [
        _page_run(run, name, letter, audio, sort=sort)
        for run, name, letter in zip(runs, names(runs), cycle(LETTERS), strict=False)
    ]
    if two is None and len(runs) == 2:
        two = compared_runs(runs[0], runs[1])
    environments = [*(run.environment for run in runs), *(head.environment for head in heads)]
    first, other = distributions(shown, drawer)
    observed = observed_metrics(shown)
    values = {
        "css": cell_classes,
        "facts": _facts,
        "filled_columns": filled_columns,
        "final_line": final_line,
        "first_audio_line": first_audio_line,
        "phone_spare": PHONE_SPARE,
        "verdict_class": verdict_class,
        "warnings_of": warnings_of,
        "zip": zip,
        "title": title
        or " · ".join([*(one.name for one in shown), *(one.name for one in heads)])
        or sections[0].title,
        "heads": heads,
        "conditioned": [head for head in heads if head.environment or head.settings],
        "answers": answers or _answers(runs, two),
        "advice": [
            (name, found)
            for name, found in [*((_named(one, runs), one.run.advice) for one in shown), *advice]
            if found
        ],
        "runs": shown,
        "compared": _compared(runs, two),
        "all_metrics": side_by_side(runs)[-1] if two is not None else None,
        "first_charts": first,
        "other_charts": other,
        "points": MOST_POINTS,
        "sections": sections,
        "drawer": drawer,
        "metrics": observed,
        "names_observed": {metric.short_name: metric.name for metric in observed},
        "version": next(iter(environments), {}).get("voicebench"),
        "sort": sort,
        "span": SPAN,
        "height": HEIGHT,
        "of_calls": bool(shown) and all(page_run.calls is not None for page_run in shown),
        "call_height": CALL_HEIGHT,
        "wait_height": WAIT_HEIGHT,
        "script": script,
        "style": (TEMPLATES / "style.css").read_text(encoding="utf-8"),
        "digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return filled(TEMPLATES / "report.html.j2", values)


def _named(one: PageRun, runs: Sequence[RecordedRun]) -> str:
    return f"{one.letter}: {one.name}" if len(runs) > 1 else ""


def _answers(runs: Sequence[RecordedRun], two: ComparedRuns | None) -> list[PageAnswer]:
    """Return the answers of one run or of two; of more, each head has its verdict."""
    if two is not None:
        return comparison_answers(two)
    return run_answers(runs[0]) if len(runs) == 1 else []


def _compared(runs: Sequence[RecordedRun], two: ComparedRuns | None) -> list[Section]:
    """Return the runs side by side: two with their differences, more with their figures."""
    if len(runs) < 2:
        return []
    sheets = side_by_side(runs)
    if two is None:
        return [Section("", sheets)]
    return [Section("", sheets[:-1]), comparison_section(two)]


def _page_run(
    run: RecordedRun, name: str, letter: str, audio: AudioBudget, *, sort: bool
) -> PageRun:
    sheets = sheets_of(run)
    calls = page_calls(run, AUDIO_BYTES)
    judged = bool(run.gate_results)
    return PageRun(
        run=run,
        name=form.one_line(name),
        letter=letter,
        verdicts=sheets[0] if judged else None,
        sheets=sheets[judged:],
        waterfall=None if calls else waterfall(run, audio, sort=sort),
        calls=calls,
    )


def _facts(tree: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield each value of nested settings with its dotted key."""
    for key, value in flattened(tree).items():
        parts = value if isinstance(value, list) else [] if value in (None, {}) else [value]
        yield key, shortened(", ".join(map(str, parts))) or form.NOTHING
