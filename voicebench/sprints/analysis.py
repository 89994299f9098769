"""What the figures of a sprint say in sentences; each sentence carries the figure it comes from.

A rule looks at one thing and speaks only where it finds it; of a run that is not judged it says
nothing. What to try is in `voicebench.sprints.to_try`. The bounds are constants of this file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voicebench import format as form
from voicebench.sprints.comparing import Compared, compare_sprints, score_gains
from voicebench.sprints.readings import EXACT, MET, Reading
from voicebench.sprints.sprint import RunTable, Sprint
from voicebench.sprints.sprint_tables import named
from voicebench.sprints.to_try import judged_tables, slow_first_run, what_to_try
from voicebench.sprints.words import Words

LOW_SCORE = 8.0


@dataclass(frozen=True, slots=True)
class Analysis:
    """The sentences, by what they are for."""

    well: tuple[str, ...]
    improve: tuple[str, ...]
    to_try: tuple[str, ...]


def analyse(sprint: Sprint, before: Sprint | None, words: Words) -> Analysis:
    """Return what the figures of ``sprint`` say."""
    compared = compare_sprints(sprint, before)
    return Analysis(
        tuple(_well(sprint, before, compared, words)),
        tuple(_improve(sprint, compared, words)),
        tuple(what_to_try(sprint, words)),
    )


def _well(
    sprint: Sprint, before: Sprint | None, compared: Sequence[Compared], words: Words
) -> Iterator[str]:
    for found in compared:
        reading = found.reading
        if reading.name in EXACT:
            continue
        if found.status in MET and found.status != "regressed" and reading.limit is not None:
            inside = reading.beyond()
            yield words(
                "good.target" if inside is not None and inside < 0 else "good.exact",
                label=named(sprint, reading, words),
                figure=words.figure(reading.worst_text()),
                limit=words.figure(reading.target().removeprefix("< ")),
                share=words.percent(-inside if inside else None),
            )
        if found.status == "improved":
            yield _change(sprint, found, "good.better", words)
    for table in judged_tables(sprint):
        if table.best_ms is not None and table.best_ms < table.limit_ms:
            told = words(
                "good.best",
                figure=words.ms(table.best_ms),
                run=table.best_run,
                share=words.percent(1 - table.best_ms / table.limit_ms),
                limit=words.limit(table.limit_ms, "ms"),
            )
            yield words.of_result(sprint.said_of(table), told)
    yield from _passing_tests(sprint, before, words)
    gained = score_gains(sprint, before).get("total")
    if before is not None and gained is not None and gained > 0:
        earlier, total = words.points(before.total or 0), words.points(sprint.total or 0)
        yield words("good.score", before=earlier, total=total)


def _passing_tests(sprint: Sprint, before: Sprint | None, words: Words) -> Iterator[str]:
    tests = sprint.reading("tests")
    if tests is None or not tests.is_met():
        return
    earlier = before.reading("tests") if before else None
    more = (tests.kept or 0) - (earlier.kept or 0) if earlier else 0
    if before is not None and more > 0:
        yield words("good.tests", total=tests.of, more=more, before=before.number)
    else:
        yield words("good.tests alone", total=tests.of)


def _improve(sprint: Sprint, compared: Sequence[Compared], words: Words) -> Iterator[str]:
    for found in compared:
        reading = found.reading
        if reading.name in EXACT or found.status == "not judged":
            continue
        if found.status == "not measured":
            yield words("bad.measure", label=named(sprint, reading, words))
        elif found.status == "regressed":
            yield _change(sprint, found, "bad.worse", words)
        elif found.status not in MET:
            yield _missed(sprint, reading, words)
    for table in judged_tables(sprint):
        for told in _of_runs(table, words):
            yield words.of_result(sprint.said_of(table), told)
    for table in sprint.tables:
        if table.standing is not None and not table.standing.judged:
            yield words(
                "bad.not judged",
                result=table.name,
                word=words(f"word.{table.standing.word}"),
                why=words.joined(table.standing.why),
            )
    tests = sprint.reading("tests")
    if tests is not None and tests.of and tests.kept != tests.of:
        yield words("bad.tests", failed=tests.of - (tests.kept or 0), total=tests.of)
    scored = [(score.points, score) for score in sprint.scores if score.points is not None]
    if scored:
        points, lowest = min(scored, key=lambda pair: pair[0])
        if points < LOW_SCORE:
            aspect, figure = words(lowest.aspect), words.points(points)
            yield words("bad.aspect", aspect=aspect, points=figure)


def _missed(sprint: Sprint, reading: Reading, words: Words) -> str:
    beyond = reading.beyond()
    key = "bad.target" if reading.lower_is_better else "bad.under"
    return words(
        "bad.zero" if beyond is None else key,
        label=named(sprint, reading, words),
        figure=words.figure(reading.worst_text()),
        share=words.percent(beyond),
        limit=words.limit(reading.limit or 0.0, reading.unit),
    )


def _of_runs(table: RunTable, words: Words) -> Iterator[str]:
    timed = [(run.first_audio_ms, run.run) for run in table.runs if run.first_audio_ms is not None]
    if table.kept < table.count and timed:
        slowest, run = max(timed, key=lambda pair: pair[0])
        yield words(
            "bad.runs",
            missed=table.count - table.kept,
            of=table.count,
            limit=words.limit(table.limit_ms, "ms"),
            figure=words.ms(slowest),
            run=run,
        )
    if table.stalled:
        yield words("bad.stalls", stalled=table.stalled, of=table.count)
    slow = slow_first_run(table)
    if slow is not None:
        run, took, rest = slow
        share = words.percent(took / rest - 1)
        yield words("bad.first", run=run, figure=words.ms(took), share=share, median=words.ms(rest))


def _change(sprint: Sprint, found: Compared, key: str, words: Words) -> str:
    reading = found.reading
    assert found.was is not None
    assert reading.value is not None
    return words(
        key,
        label=named(sprint, reading, words),
        before=words.figure(reading.figure_text(found.was)),
        figure=words.figure(reading.worst_text()),
        change=words.figure(form.change(found.was, reading.value)),
    )
