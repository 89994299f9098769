"""The tables of a sprint's page: the summary, the score card, the measurements, the files."""

from __future__ import annotations

from collections.abc import Sequence

from voicebench import format as form
from voicebench.report.exchange.markdown import escape, markdown_table
from voicebench.sprints.comparing import Compared, other_models, score_gains
from voicebench.sprints.readings import SIGNS, Reading
from voicebench.sprints.sprint import RunTable, Score, Sprint
from voicebench.sprints.words import Words

MOST_FILES = 40


def figure_label(sprint: Sprint, reading: Reading, words: Words) -> str:
    """Return the label of a figure; a percentile of too few values is labelled as their maximum."""
    label = words.label(reading.name)
    if reading.limited:
        label = f"{words.label(reading.metric)} ({words('statistic.max of', n=reading.count)})"
    return words.of_result(reading.result if sprint.has_several_results() else "", label)


def summary_table(
    sprint: Sprint, before: Sprint | None, compared: Sequence[Compared], words: Words
) -> str:
    """Return each figure with its target and status, and the figure of the sprint before."""
    rows = []
    for found in compared:
        reading = found.reading
        status = words(found.status, kept=reading.kept, of=reading.of)
        rows.append(
            [
                figure_label(sprint, reading, words),
                *([_earlier(found, words)] if before else []),
                words.figure(reading.text()),
                _target(reading, words),
                f"{SIGNS[found.status]} {status}",
            ]
        )
    head = [words("metric"), *_sprint_heads(sprint, before, words), words("target")]
    notes = [f"{escape(note)}  " for note in _notes(sprint, before, compared, words)]
    return _table([*head, words("status")], rows, notes)


def score_table(sprint: Sprint, before: Sprint | None, words: Words) -> str:
    """Return the points of each aspect, those of the sprint before, and the change."""
    gains = score_gains(sprint, before)
    earlier = {score.aspect: score for score in before.scores} if before else {}
    cells = [
        (
            words(score.aspect),
            _points(earlier.get(score.aspect), words),
            _points(score, words),
            words.gain(gains.get(score.aspect)),
            _origin(score, words),
        )
        for score in sprint.scores
    ]
    totals = (_total(before, words), _total(sprint, words))
    cells.append((words("score total"), *totals, words.gain(gains.get("total")), ""))
    head = [words("aspect"), *_sprint_heads(sprint, before, words)]
    rows = [[name, points, origin] for name, _, points, _, origin in cells]
    if before:
        head.append(words("change"))
        rows = list(map(list, cells))
    notes = "".join(f"\n\n{escape(note)}" for note in _score_notes(sprint, before, words))
    return _table([*head, words("from")], rows).rstrip() + notes + "\n"


def first_chunk_table(sprint: Sprint, words: Words) -> str:
    """Return how long the voice took for each first chunk."""
    rows = [
        [
            words.text(chunk.text) + (f" ({words('cold')})" if chunk.cold else ""),
            words.ms(chunk.first_byte_ms),
        ]
        for chunk in sprint.first_chunks
    ]
    return markdown_table([words("text"), words("first byte")], rows, [False, True]) + "\n"


def length_table(sprint: Sprint, words: Words) -> str:
    """Return how long the voice took, by the length of the text."""
    counted = any(length.chunks is not None for length in sprint.lengths)
    rows = []
    for length in sprint.lengths:
        chunks = form.NOTHING if length.chunks is None else str(length.chunks)
        took = [words.ms(length.first_byte_ms), words.ms(length.total_ms)]
        rows.append([length.characters, *([chunks] if counted else []), *took])
    head = [words("characters"), *([words("chunks")] if counted else [])]
    head += [words("first byte"), words("total")]
    return markdown_table(head, rows, [True] * len(head)) + "\n"


def run_table(table: RunTable, words: Words) -> str:
    """Return the runs of one result, how many kept the limit, and the best one."""
    if not table.count:
        return words("no runs") + "\n"
    rows = []
    for run in table.runs:
        kept = "pass" if run.keeps(table.limit_ms) else "failed" if run.failed else "fail"
        in_time = words(kept) if table.judged else f"{SIGNS['not judged']} {words('not judged')}"
        figures = (run.llm_ms, run.tts_ttfb_ms, run.first_audio_ms)
        rows.append([str(run.run), *map(words.ms, figures), in_time])
    head = [words("run"), words("llm"), words("ttfb"), words("first audio"), words("in time")]
    lines = [markdown_table(head, rows, [True, True, True, True, False]), ""]
    if len(table.runs) < table.count:
        lines += [words("shortlist", shown=len(table.runs), count=table.count) + "  "]
    if table.judged:
        limit, share = words.limit(table.limit_ms, "ms"), words.percent(table.kept / table.count)
        success = words("success", kept=table.kept, of=table.count, limit=limit, share=share)
        lines.append(f"{success}  ")
        if table.best_ms is not None:
            lines.append(words("best", best=words.ms(table.best_ms), run=table.best_run))
    return "\n".join(lines) + "\n"


def file_table(sprint: Sprint, words: Words) -> str:
    """Return the changed files; of many, those with the most changed lines."""
    if not sprint.files:
        return words("no files") + "\n"
    busiest = sorted(sprint.files, key=lambda file: -((file.added or 0) + (file.removed or 0)))
    noted = any(file.note for file in sprint.files)
    rows = []
    for file in sorted(busiest[:MOST_FILES], key=lambda file: file.path):
        note = words.text(file.note) if file.note else ""
        counts = [_lines("+", file.added), _lines("−", file.removed)]
        rows.append([file.path, *counts, *([note] if noted else [])])
    head = [words("file"), "+", "−", *([words("what changed")] if noted else [])]
    table = markdown_table(head, rows, [False, True, True, False][: len(head)])
    more = len(sprint.files) - MOST_FILES
    return table + "\n" + (f"\n{words('more files', n=more)}\n" if more > 0 else "")


def total_text(sprint: Sprint, words: Words) -> str:
    """Return ``40/50 (80 %)``."""
    assert sprint.total is not None
    share = words.percent(sprint.total / sprint.possible)
    return f"{words.points(sprint.total)}/{sprint.possible} ({share})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """Return a table whose first and last columns are text and all others are numbers."""
    right = [False, *[True] * (len(head) - 2), False]
    return "\n".join([markdown_table(head, rows, right), "", *notes]).rstrip() + "\n"


def _sprint_heads(sprint: Sprint, before: Sprint | None, words: Words) -> list[str]:
    return [words("sprint", n=each.number) for each in (before, sprint) if each is not None]


def _earlier(found: Compared, words: Words) -> str:
    if found.before is None:
        return form.NOTHING
    if found.was is None or found.before.statistic == found.reading.statistic:
        text = words.figure(found.before.text())
    else:
        text = words.figure(found.reading.figure_text(found.was))
    return text if found.why_not is None else words("not comparable", figure=text)


def _target(reading: Reading, words: Words) -> str:
    if reading.name == "tests":
        return words("all pass")
    return "ok" if reading.name == "websocket" else words.figure(reading.target())


def _notes(
    sprint: Sprint, before: Sprint | None, compared: Sequence[Compared], words: Words
) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for found in compared:
        if found.why_not is not None:
            label = figure_label(sprint, found.reading, words)
            reasons.setdefault(words.sentence(found.why_not), []).append(label)
    notes = [
        words("not compared", labels=", ".join(dict.fromkeys(labels)), why=why)
        for why, labels in reasons.items()
    ]
    notes += [
        words("own gate", label=figure_label(sprint, reading, words), gate=reading.own_gate)
        for reading in sprint.readings
        if reading.own_gate
    ]
    if before is not None:
        if differing := other_models(sprint, before):
            notes.append(words("other models", n=before.number, differing=", ".join(differing)))
        if before.imported and any(reading.result for reading in sprint.readings):
            notes.append(words("before imported", n=before.number))
    return notes


def _points(score: Score | None, words: Words) -> str:
    if score is None or score.points is None:
        return form.NOTHING
    return f"{words.points(score.points)}/10"


def _total(sprint: Sprint | None, words: Words) -> str:
    return form.NOTHING if sprint is None or sprint.total is None else total_text(sprint, words)


def _origin(score: Score, words: Words) -> str:
    """Return where the points come from."""
    if score.by_hand:
        return words("by hand")
    return ", ".join(map(words.sentence, score.why)) or words("not measured")


def _score_notes(sprint: Sprint, before: Sprint | None, words: Words) -> list[str]:
    notes = []
    totals = before is not None and None not in (sprint.total, before.total)
    if totals and "total" not in score_gains(sprint, before):
        notes.append(words("totals not compared"))
    for each in (sprint, before):
        if each is None or each.total is None or each.sum_of_aspects in (None, each.total):
            continue
        total, added = words.points(each.total), words.points(each.sum_of_aspects or 0)
        notes.append(words("other sum", n=each.number, total=total, sum=added))
    return notes


def _lines(sign: str, count: int | None) -> str:
    return form.NOTHING if count is None else f"{sign}{count}"
