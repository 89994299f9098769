"""The two tables that set a sprint beside the one before: the summary and the score card."""

from __future__ import annotations

from collections.abc import Sequence

from voicebench import format as form
from voicebench.report.exchange.markdown import escape, markdown_table
from voicebench.sprints.comparing import Compared, other_models, score_gains
from voicebench.sprints.readings import SIGNS, Reading
from voicebench.sprints.sprint import Score, Sprint
from voicebench.sprints.words import Words


def named(sprint: Sprint, reading: Reading, words: Words) -> str:
    """Return what a reading is called; a percentile of too few values is their maximum."""
    called = words.label(reading.name)
    if reading.limited:
        called = f"{words.label(reading.metric)} ({words('statistic.max of', n=reading.count)})"
    return words.of_result(reading.result if sprint.is_of_several_results() else "", called)


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
                named(sprint, reading, words),
                *([_earlier(found, words)] if before else []),
                words.figure(reading.text()),
                _target(reading, words),
                f"{SIGNS[found.status]} {status}",
            ]
        )
    numbers = [words("sprint", n=before.number)] if before else []
    head = [words("metric"), *numbers, words("sprint", n=sprint.number)]
    head += [words("target"), words("status")]
    right = [False, *([True] if before else []), True, True, False]
    notes = [f"{escape(note)}  " for note in _notes(sprint, before, compared, words)]
    return "\n".join([markdown_table(head, rows, right), "", *notes]).rstrip() + "\n"


def score_table(sprint: Sprint, before: Sprint | None, words: Words) -> str:
    """Return the points of each aspect, those of the sprint before, and the change."""
    gains = score_gains(sprint, before)
    earlier = {score.aspect: score for score in before.scores} if before else {}
    rows = []
    for score in sprint.scores:
        was = [_points(earlier.get(score.aspect), words)] if before else []
        change = [words.gain(gains.get(score.aspect))] if before else []
        row = [words(score.aspect), *was, _points(score, words), *change, _why(score, words)]
        rows.append(row)
    was = [_total(before, words)] if before else []
    change = [words.gain(gains.get("total"))] if before else []
    rows.append([words("score total"), *was, _total(sprint, words), *change, ""])
    numbers = [words("sprint", n=before.number)] if before else []
    head = [words("aspect"), *numbers, words("sprint", n=sprint.number)]
    head += [*([words("change")] if before else []), words("from")]
    right = [False, *[True] * (len(head) - 2), False]
    notes = [escape(note) for note in _score_notes(sprint, before, words)]
    return "\n\n".join([markdown_table(head, rows, right), *notes]) + "\n"


def total_of(sprint: Sprint, words: Words) -> str:
    """Return ``40/50 (80 %)``."""
    assert sprint.total is not None
    share = words.percent(sprint.total / sprint.possible)
    return f"{words.points(sprint.total)}/{sprint.possible} ({share})"


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
            called = named(sprint, found.reading, words)
            reasons.setdefault(words.said(found.why_not), []).append(called)
    notes = [
        words("not compared", labels=", ".join(dict.fromkeys(labels)), why=why)
        for why, labels in reasons.items()
    ]
    notes += [
        words("own gate", label=named(sprint, found.reading, words), gate=found.reading.own_gate)
        for found in compared
        if found.reading.own_gate
    ]
    if before is not None and (differing := other_models(sprint, before)):
        notes.append(words("other models", n=before.number, differing=", ".join(differing)))
    measured = any(found.reading.result for found in compared)
    if before is not None and before.imported and measured:
        notes.append(words("before imported", n=before.number))
    return notes


def _points(score: Score | None, words: Words) -> str:
    if score is None or score.points is None:
        return form.NOTHING
    return f"{words.points(score.points)}/10"


def _total(sprint: Sprint | None, words: Words) -> str:
    return form.NOTHING if sprint is None or sprint.total is None else total_of(sprint, words)


def _why(score: Score, words: Words) -> str:
    if score.by_hand:
        return words("by hand")
    return ", ".join(map(words.said, score.why)) or words("not measured")


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
