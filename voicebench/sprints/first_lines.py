"""The first and last lines of a sprint: its verdict, its advice and its main figures."""

from __future__ import annotations

from collections.abc import Sequence

from voicebench import format as form
from voicebench.report.console.style import VERDICT_SIGNS
from voicebench.sprints.comparing import Compared, compare_sprints, score_gains
from voicebench.sprints.readings import MET
from voicebench.sprints.sprint import WORDS, Lang, Sprint
from voicebench.sprints.sprint_tables import total_text
from voicebench.sprints.words import Words

MOST_ADVICE = 3


def title(sprint: Sprint, words: Words) -> str:
    """Return the sprint's number with its title."""
    if sprint.title is None:
        return words("sprint", n=sprint.number)
    return words("sprint titled", n=sprint.number, title=words.text(sprint.title))


def opening_lines(
    sprint: Sprint, before: Sprint | None, compared: Sequence[Compared], words: Words
) -> list[str]:
    """Return each result's verdict with its reasons, then the targets met and the score."""
    sentences = [_targets_met(compared, words)]
    if sprint.total is not None:
        sentences.append(_score(sprint, before, words))
    return list(filter(None, [*_verdicts(sprint, words), ". ".join(filter(None, sentences))]))


def conclusion_lines(sprint: Sprint, before: Sprint | None, lang: Lang = "en") -> list[str]:
    """Return the sprint in a few lines: verdict, score, runs, targets, tests."""
    words = Words(lang)
    compared = compare_sprints(sprint, before)
    lines = [form.one_line(title(sprint, words)), *_verdicts(sprint, words)]
    if sprint.total is not None:
        lines.append(_score(sprint, before, words))
    lines += [
        words.of_result(
            form.one_line(sprint.name_of(table)),
            words(
                "box.runs",
                kept=table.kept,
                of=table.count,
                limit=words.limit(table.limit_ms, "ms"),
                share=words.percent(table.kept / table.count),
                best=words.ms(table.best_ms),
                run=table.best_run,
            ),
        )
        for table in sprint.tables
        if table.best_ms is not None and table.judged
    ]
    if all(found.status != "not judged" for found in compared):
        met = sum(found.status in MET for found in compared)
        lines.append(words("box.targets", met=met, n=len(compared)))
    tests = sprint.reading("tests")
    if tests is not None:
        lines.append(words("box.tests", passed=tests.kept, total=tests.of))
    return lines


def status(sprint: Sprint, compared: Sequence[Compared], words: Words) -> str:
    """Return the verdict on the sprint, and how many targets are met."""
    word = [words(f"word.{sprint.word}")] if sprint.word else []
    targets = _targets_met(compared, words)
    return ", ".join([*word, *([targets] if targets else [])])


def _targets_met(compared: Sequence[Compared], words: Words) -> str:
    """Return how many targets are met; empty if a figure may not be judged."""
    judged = [found for found in compared if found.status != "not judged"]
    if len(judged) < len(compared):
        return ""
    met, n = sum(found.status in MET for found in judged), len(judged)
    if not n:
        return words("no target")
    return words("all met" if met == n else "some met", met=met, n=n)


def _verdicts(sprint: Sprint, words: Words) -> list[str]:
    lines = []
    for table in sprint.tables:
        standing = table.standing
        if standing is not None:
            word = f"{VERDICT_SIGNS[standing.word]} {words(f'word.{standing.word}')}"
            line = words("verdict", word=word, why=words.joined(standing.why))
            lines.append(form.one_line(words.of_result(sprint.name_of(table), line)))
    return lines


def advice_lines(sprint: Sprint, lang: Lang = "en") -> list[str]:
    """Return the most important advice, one line each."""
    words = Words(lang)
    standing = [(table, table.standing) for table in sprint.tables if table.standing is not None]
    found: list[str] = []
    for table, stands in sorted(standing, key=lambda pair: WORDS.index(pair[1].word)):
        name = sprint.name_of(table)
        found += [words.of_result(name, words.sentence(advice)) for advice in stands.advice]
    found = list(map(form.one_line, dict.fromkeys(found)))
    if len(found) <= MOST_ADVICE:
        return found
    return [*found[:MOST_ADVICE], words("more advice", n=len(found) - MOST_ADVICE)]


def _score(sprint: Sprint, before: Sprint | None, words: Words) -> str:
    score = words("box.score", total=total_text(sprint, words))
    if before is None or "total" not in score_gains(sprint, before):
        return score
    earlier = words("box.before", n=before.number, total=total_text(before, words))
    return words("two", first=score, second=earlier)
