"""What to try next: for each target that is missed, one change that the figures point to.

Where a run stalls, nothing that makes its first chunk shorter is said: a shorter first chunk speaks
sooner and stalls more. The bounds are constants of this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from voicebench.sprints.readings import Reading
from voicebench.sprints.sprint import RunTable, Sprint
from voicebench.sprints.words import Words

SLOW_FIRST_RUN = 0.10
"""The first run is slow when it takes by such a share longer than the median of the later ones."""
LARGE_SHARE = 0.5
"""A stage is worth a sentence when it takes such a share of the time to first audio."""
FEWEST_WORDS = 1


def judged_tables(sprint: Sprint) -> list[RunTable]:
    """Return the results whose figures may be judged."""
    return [table for table in sprint.tables if table.judged]


def slow_first_run(table: RunTable) -> tuple[int, float, float] | None:
    """Return the first run, its first audio and the later ones' median, where it is slow."""
    timed = [(run.run, run.first_audio_ms) for run in table.runs if run.first_audio_ms is not None]
    if len(timed) < 4 or timed[0][0] != 1:
        return None
    rest = median(took for _, took in timed[1:])
    number, took = timed[0]
    return (number, took, rest) if took > (1 + SLOW_FIRST_RUN) * rest else None


def what_to_try(sprint: Sprint, words: Words) -> Iterator[str]:
    """Yield one sentence for each change to try."""
    found = [*_of_runs(sprint, words), *_per_target(sprint, words)]
    first_audio = sprint.worst_missed("first_audio")
    yield from found
    if first_audio is not None and not found:
        yield _change(first_audio, words)


def _of_runs(sprint: Sprint, words: Words) -> Iterator[str]:
    for table in sprint.tables:
        told = list(map(words.said, table.standing.advice if table.standing else ()))
        if table.judged:
            told += _of_table(table, sprint, words)
        yield from (words.of_result(sprint.said_of(table), one) for one in told)


def _of_table(table: RunTable, sprint: Sprint, words: Words) -> Iterator[str]:
    slow = slow_first_run(table)
    if slow is not None:
        run, took, rest = slow
        yield words("next.warm", run=run, share=words.percent(took / rest - 1))
    if table.kept < table.count:
        yield from _faster_start(table, sprint, words)


def _faster_start(table: RunTable, sprint: Sprint, words: Words) -> Iterator[str]:
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
    llm, whole = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    # Where voice and reply overlap, the reply may be complete long after the first audio.
    if whole > 0 and LARGE_SHARE < llm / whole <= 1:
        yield words(
            "next.overlap" if sprint.setup.sequential else "next.llm",
            figure=words.ms(llm),
            whole=words.ms(whole),
            share=words.percent(llm / whole),
        )


def _per_target(sprint: Sprint, words: Words) -> Iterator[str]:
    """Yield a change for each metric but the first audio that misses its target, or has none."""
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
