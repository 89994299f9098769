"""What the figures of a sprint say in sentences; each sentence carries the figure it comes from.

A rule looks at one thing and speaks only where it finds it. The bounds are constants of this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from voicebench import format as form
from voicebench.report.sprint.readings import MET, Reading, same, whole_or_rounded
from voicebench.report.sprint.sprint import RunTable, Sprint
from voicebench.report.sprint.words import Words
from voicebench.report.verdicts import label

SLOW_FIRST_RUN = 0.10
"""The first run is slow when it takes by such a share longer than the median of the later ones."""
LARGE_SHARE = 0.5
"""A stage is worth a sentence when it takes such a share of the time to first audio."""
LOW_SCORE = 8.0
FEWEST_WORDS = 1


@dataclass(frozen=True, slots=True)
class Analysis:
    """The sentences, by what they are for."""

    well: tuple[str, ...]
    improve: tuple[str, ...]
    to_try: tuple[str, ...]


def analyse(sprint: Sprint, before: Sprint | None, words: Words) -> Analysis:
    """Return what the figures of ``sprint`` say."""
    return Analysis(
        tuple(_well(sprint, before, words)),
        tuple(_improve(sprint, before, words)),
        tuple(_to_try(sprint, words)),
    )


def named(reading: Reading, words: Words) -> str:
    """Return what a reading is called."""
    return words.label(reading.name, label(f"{reading.metric}_ms"))


def _well(sprint: Sprint, before: Sprint | None, words: Words) -> Iterator[str]:
    for reading, state in zip(sprint.readings, sprint.statuses(before), strict=True):
        if reading.name in ("tests", "websocket"):
            continue
        if state in MET and state != "regressed":
            inside = reading.beyond()
            key = "good.target" if inside is not None and inside < 0 else "good.exact"
            yield words(
                key,
                label=named(reading, words),
                figure=reading.worst_text(),
                limit=reading.target().removeprefix("< "),
                share=form.percent(-inside if inside else None),
            )
        if state == "improved":
            yield _change(reading, before, "good.better", words)
    for table in sprint.tables:
        if table.best_ms is not None and table.best_ms < table.limit_ms:
            yield words(
                "good.best",
                figure=_ms(table.best_ms),
                run=table.best_run,
                share=form.percent(1 - table.best_ms / table.limit_ms),
                limit=form.limit(table.limit_ms, "ms"),
            )
    yield from _passing_tests(sprint, before, words)
    gained = sprint.gained(before)
    if before is not None and gained is not None and gained > 0:
        total, earlier = _points(sprint.total or 0), _points(before.total or 0)
        yield words("good.score", before=earlier, total=total)


def _passing_tests(sprint: Sprint, before: Sprint | None, words: Words) -> Iterator[str]:
    tests = _reading(sprint, "tests")
    if tests is None or tests.kept != tests.of:
        return
    earlier = _reading(before, "tests") if before else None
    more = (tests.kept or 0) - (earlier.kept or 0) if earlier else 0
    if before is not None and more > 0:
        yield words("good.tests", total=tests.of, more=more, before=before.number)
    else:
        yield words("good.tests alone", total=tests.of)


def _improve(sprint: Sprint, before: Sprint | None, words: Words) -> Iterator[str]:
    for reading, state in zip(sprint.readings, sprint.statuses(before), strict=True):
        if reading.name in ("tests", "websocket"):
            continue
        if state == "not measured":
            yield words("bad.measure", label=named(reading, words))
        elif state == "regressed":
            yield _change(reading, before, "bad.worse", words)
        elif state not in MET:
            yield _missed(reading, words)
    for table in sprint.tables:
        yield from _missed_runs(table, words)
        slow = slow_first_run(table)
        if slow is not None:
            run, took, rest = slow
            yield words(
                "bad.first",
                run=run,
                figure=_ms(took),
                share=form.percent(took / rest - 1),
                median=_ms(rest),
            )
    tests = _reading(sprint, "tests")
    if tests is not None and tests.kept != tests.of:
        failed = (tests.of or 0) - (tests.kept or 0)
        yield words("bad.tests", failed=failed, total=tests.of)
    scored = [(score.points, score) for score in sprint.scores if score.points is not None]
    if scored:
        points, lowest = min(scored, key=lambda pair: pair[0])
        if points < LOW_SCORE:
            yield words("bad.aspect", aspect=words(lowest.aspect), points=_points(points))


def _to_try(sprint: Sprint, words: Words) -> Iterator[str]:
    for table in sprint.tables:
        slow = slow_first_run(table)
        if slow is not None:
            run, took, rest = slow
            yield words("next.warm", run=run, share=form.percent(took / rest - 1))
        if table.kept < table.count:
            yield from _faster_start(table, sprint, words)
    ttfb = next((one for one in sprint.readings if one.metric == "tts_ttfb"), None)
    worst = (ttfb.high if ttfb.high is not None else ttfb.value) if ttfb else None
    if ttfb is not None and ttfb.limit and worst is not None and worst >= ttfb.limit:
        figure, limit = _ms(worst), form.limit(ttfb.limit, "ms")
        yield words("next.voice", figure=figure, limit=limit)


def _faster_start(table: RunTable, sprint: Sprint, words: Words) -> Iterator[str]:
    ttfbs = [run.tts_ttfb_ms for run in table.runs if run.tts_ttfb_ms is not None]
    first_words = sprint.setup.first_words
    if ttfbs and first_words is not None and first_words > FEWEST_WORDS:
        figure = _ms(median(ttfbs))
        yield words("next.words", fewer=first_words - 1, words=first_words, figure=figure)
    pairs = [
        (run.llm_ms, run.first_audio_ms)
        for run in table.runs
        if run.llm_ms is not None and run.first_audio_ms is not None
    ]
    if not pairs:
        return
    llm, whole = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    # Where voice and reply overlap, the reply may be complete long after the first audio.
    if whole > 0 and LARGE_SHARE < llm / whole <= 1:
        yield words(
            "next.overlap" if sprint.setup.sequential else "next.llm",
            figure=_ms(llm),
            whole=_ms(whole),
            share=form.percent(llm / whole),
        )


def slow_first_run(table: RunTable) -> tuple[int, float, float] | None:
    """Return the first run, its first audio and the later ones' median, where it is slow."""
    timed = [(run.run, run.first_audio_ms) for run in table.runs if run.first_audio_ms is not None]
    if len(timed) < 4 or timed[0][0] != 1:
        return None
    rest = median(took for _, took in timed[1:])
    number, took = timed[0]
    return (number, took, rest) if took > (1 + SLOW_FIRST_RUN) * rest else None


def _missed(reading: Reading, words: Words) -> str:
    beyond = reading.beyond()
    key = "bad.target" if reading.lower_is_better else "bad.under"
    return words(
        "bad.zero" if beyond is None else key,
        label=named(reading, words),
        figure=reading.worst_text(),
        share=form.percent(beyond),
        limit=form.limit(reading.limit or 0.0, reading.unit),
    )


def _missed_runs(table: RunTable, words: Words) -> Iterator[str]:
    timed = [(run.first_audio_ms, run.run) for run in table.runs if run.first_audio_ms is not None]
    if table.kept == table.count or not timed:
        return
    slowest, run = max(timed, key=lambda pair: pair[0])
    yield words(
        "bad.runs",
        missed=table.count - table.kept,
        of=table.count,
        limit=form.limit(table.limit_ms, "ms"),
        figure=_ms(slowest),
        run=run,
    )


def _change(reading: Reading, before: Sprint | None, key: str, words: Words) -> str:
    earlier = same(reading, before.readings) if before else None
    assert earlier is not None
    assert earlier.value is not None
    assert reading.value is not None
    return words(
        key,
        label=named(reading, words),
        before=earlier.worst_text(),
        figure=reading.worst_text(),
        change=form.change(earlier.value, reading.value),
    )


def _reading(sprint: Sprint, name: str) -> Reading | None:
    return next((reading for reading in sprint.readings if reading.name == name), None)


def _ms(value: float) -> str:
    return f"{whole_or_rounded(value, 'ms')} ms"


def _points(points: float) -> str:
    return form.number(points, "count")
