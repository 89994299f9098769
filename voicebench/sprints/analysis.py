"""The analysis of a sprint: sentences that each carry the figure they come from.

Each rule looks at one thing and yields a sentence only where it finds it. Figures of a run that is
not judged yield none. *What to try* proposes one change for each target that is missed; where a run
stalls, no shorter first chunk is proposed, since it speaks sooner and stalls more. The bounds are
constants of this file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from voicebench import format as form
from voicebench.sprints.comparing import Compared, compare_sprints, score_gains
from voicebench.sprints.readings import EXACT, MET, Reading
from voicebench.sprints.sprint import RunTable, Sprint
from voicebench.sprints.sprint_tables import figure_label
from voicebench.sprints.words import Words

LOW_SCORE = 8.0
SLOW_FIRST_RUN = 0.10
"""The first run is slow if it takes longer than the median of the others by this share."""
LARGE_SHARE = 0.5
"""A stage gets a sentence if it takes this share of the time to first audio."""
FEWEST_WORDS = 1


@dataclass(frozen=True, slots=True)
class Analysis:
    """The sentences of the three parts."""

    well: tuple[str, ...]
    improve: tuple[str, ...]
    to_try: tuple[str, ...]


def analyse(sprint: Sprint, before: Sprint | None, words: Words) -> Analysis:
    """Return the sentences that the figures of ``sprint`` give."""
    compared = compare_sprints(sprint, before)
    return Analysis(
        tuple(_well(sprint, before, compared, words)),
        tuple(_improve(sprint, compared, words)),
        tuple(_to_try(sprint, words)),
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
                label=figure_label(sprint, reading, words),
                figure=words.figure(reading.worst_text()),
                limit=words.figure(reading.target().removeprefix("< ")),
                share=words.percent(-inside if inside else None),
            )
        if found.status == "improved":
            yield _moved(sprint, found, "good.better", words)
    for table in _judged(sprint):
        if table.best_ms is not None and table.best_ms < table.limit_ms:
            best = words(
                "good.best",
                figure=words.ms(table.best_ms),
                run=table.best_run,
                share=words.percent(1 - table.best_ms / table.limit_ms),
                limit=words.limit(table.limit_ms, "ms"),
            )
            yield words.of_result(sprint.name_of(table), best)
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
            yield words("bad.measure", label=figure_label(sprint, reading, words))
        elif found.status == "regressed":
            yield _moved(sprint, found, "bad.worse", words)
        elif found.status not in MET:
            yield _missed(sprint, reading, words)
    for table in _judged(sprint):
        for sentence in _weak_runs(table, words):
            yield words.of_result(sprint.name_of(table), sentence)
    for table in sprint.tables:
        if table.standing is not None and not table.judged:
            word, why = words(f"word.{table.standing.word}"), words.joined(table.standing.why)
            yield words("bad.not judged", result=table.name, word=word, why=why)
    tests = sprint.reading("tests")
    if tests is not None and tests.of and tests.kept != tests.of:
        yield words("bad.tests", failed=tests.of - (tests.kept or 0), total=tests.of)
    scored = [(score.points, score.aspect) for score in sprint.scores if score.points is not None]
    if scored:
        points, aspect = min(scored, key=lambda pair: pair[0])
        if points < LOW_SCORE:
            yield words("bad.aspect", aspect=words(aspect), points=words.points(points))


def _missed(sprint: Sprint, reading: Reading, words: Words) -> str:
    beyond = reading.beyond()
    key = "bad.target" if reading.lower_is_better else "bad.under"
    return words(
        "bad.zero" if beyond is None else key,
        label=figure_label(sprint, reading, words),
        figure=words.figure(reading.worst_text()),
        share=words.percent(beyond),
        limit=words.limit(reading.limit or 0.0, reading.unit),
    )


def _weak_runs(table: RunTable, words: Words) -> Iterator[str]:
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
    slow = _slow_first_run(table)
    if slow is not None:
        took, rest = slow
        share = words.percent(took / rest - 1)
        yield words("bad.first", run=1, figure=words.ms(took), share=share, median=words.ms(rest))


def _moved(sprint: Sprint, found: Compared, key: str, words: Words) -> str:
    reading = found.reading
    assert found.was is not None
    assert reading.value is not None
    return words(
        key,
        label=figure_label(sprint, reading, words),
        before=words.figure(reading.figure_text(found.was)),
        figure=words.figure(reading.worst_text()),
        change=words.figure(form.change(found.was, reading.value)),
    )


def _to_try(sprint: Sprint, words: Words) -> Iterator[str]:
    found = [*_of_runs(sprint, words), *_of_targets(sprint, words)]
    yield from found
    first_audio = sprint.worst_missed("first_audio")
    if first_audio is not None and not found:
        yield _change(first_audio, words)


def _of_runs(sprint: Sprint, words: Words) -> Iterator[str]:
    for table in sprint.tables:
        sentences = list(map(words.sentence, table.standing.advice if table.standing else ()))
        if table.judged:
            sentences += _of_table(table, sprint, words)
        yield from (words.of_result(sprint.name_of(table), sentence) for sentence in sentences)


def _of_table(table: RunTable, sprint: Sprint, words: Words) -> Iterator[str]:
    slow = _slow_first_run(table)
    if slow is not None:
        took, rest = slow
        yield words("next.warm", run=1, share=words.percent(took / rest - 1))
    if table.kept == table.count:
        return
    ttfbs = [run.tts_ttfb_ms for run in table.runs if run.tts_ttfb_ms is not None]
    first_words = sprint.setup.first_words
    if ttfbs and first_words is not None and first_words > FEWEST_WORDS and not table.stalled:
        figure = words.ms(median(ttfbs))
        yield words("next.words", fewer=first_words - 1, words=first_words, figure=figure)
    pairs = [
        (run.llm_ms, run.first_audio_ms)
        for run in table.runs
        if run.llm_ms is not None and run.first_audio_ms is not None
    ]
    if not pairs:
        return
    llm, whole = (median(values) for values in zip(*pairs, strict=True))
    # Where voice and reply overlap, the reply may be complete long after the first audio.
    if whole > 0 and LARGE_SHARE < llm / whole <= 1:
        yield words(
            "next.overlap" if sprint.setup.sequential else "next.llm",
            figure=words.ms(llm),
            whole=words.ms(whole),
            share=words.percent(llm / whole),
        )


def _of_targets(sprint: Sprint, words: Words) -> Iterator[str]:
    """Yield a change for each metric but first audio that misses its target or was not measured."""
    for metric in ("llm_total", "tts_ttfb", "errors"):
        reading = sprint.worst_missed(metric)
        if reading is not None:
            yield _change(reading, words)
    for reading in sprint.readings:
        if reading.judged and reading.is_met() is None:
            yield words("next.measure", label=words.label(reading.name))


def _change(reading: Reading, words: Words) -> str:
    return words(
        f"next.{reading.metric}",
        figure=words.figure(reading.worst_text()),
        limit=words.limit(reading.limit or 0.0, reading.unit),
    )


def _judged(sprint: Sprint) -> list[RunTable]:
    return [table for table in sprint.tables if table.judged]


def _slow_first_run(table: RunTable) -> tuple[float, float] | None:
    """Return the first audio of run 1 and the median of the later runs, if run 1 is slow."""
    timed = [(run.run, run.first_audio_ms) for run in table.runs if run.first_audio_ms is not None]
    if len(timed) < 4 or timed[0][0] != 1:
        return None
    took, rest = timed[0][1], median(took for _, took in timed[1:])
    return (took, rest) if took > (1 + SLOW_FIRST_RUN) * rest else None
