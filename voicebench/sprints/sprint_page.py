"""The sprint as a Markdown page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len

from voicebench import format as form
from voicebench.report.exchange.markdown import escape
from voicebench.sprints.analysis import analyse
from voicebench.sprints.comparing import compare_sprints
from voicebench.sprints.first_lines import conclusion_lines, front_matter, opening, title
from voicebench.sprints.sprint import Change, Lang, Sprint
from voicebench.sprints.sprint_tables import (
    file_table,
    first_chunk_table,
    length_table,
    run_table,
    score_table,
    summary_table,
)
from voicebench.sprints.words import Words

MOST_COMMITS = 30


def sprint_page(sprint: Sprint, before: Sprint | None, lang: Lang = "en") -> str:
    """Return the page; ``before`` is the sprint that it is compared with."""
    words = Words(lang)
    compared = compare_sprints(sprint, before)
    sections = [
        (words("summary"), summary_table(sprint, before, compared, words)),
        (words("changes"), _changes(sprint, words)),
    ]
    if sprint.first_chunks:
        sections.append((words("first chunks"), first_chunk_table(sprint, words)))
    if sprint.lengths:
        sections.append((words("lengths"), length_table(sprint, words)))
    for table in sprint.tables:
        heading = words.of_result(escape(sprint.name_of(table)), words("runs"))
        sections.append((heading, run_table(table, words)))
    sections += [
        (words("tests"), _tests(sprint, words)),
        (words("score card"), score_table(sprint, before, words)),
        (words("analysis"), _analysis(sprint, before, words)),
        (words("files"), file_table(sprint, words)),
        (words("conclusion"), _box(conclusion_lines(sprint, before, lang))),
    ]
    parts = [
        front_matter(sprint, compared, words),
        f"# {escape(title(sprint, words))}\n",
        opening(sprint, before, compared, words),
        *(f"## {heading}\n\n{content.rstrip()}\n" for heading, content in sections),
    ]
    if sprint.closing is not None:
        parts.append(f"---\n\n*{escape(words.text(sprint.closing))}*\n")
    return "\n".join(parts)


def _changes(sprint: Sprint, words: Words) -> str:
    """Return the key changes that a person wrote down, and the commits."""
    parts = [_change(change, words) for change in sprint.changes]
    if sprint.commits:
        lines = [
            f"- {escape(commit.subject)} (`{form.one_line(commit.hash).replace('`', '')}`)"
            for commit in sprint.commits[:MOST_COMMITS]
        ]
        if len(sprint.commits) > MOST_COMMITS:
            lines.append(f"- {words('more commits', n=len(sprint.commits) - MOST_COMMITS)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts) or words("no commits") + "\n"


def _change(change: Change, words: Words) -> str:
    lines = [f"### {escape(words.text(change.title))}\n"]
    for key, text in (("before", change.before), ("after", change.after)):
        if text is not None:
            lines.append(f"**{words(key)}** {escape(words.text(text))}  ")
    if change.before or change.after:
        lines.append("")
    lines += [f"{escape(words.text(paragraph))}\n" for paragraph in change.text]
    if change.code:
        lines.append(_code_block(change.code, change.language))
    return "\n".join(lines)


def _code_block(code: str, language: str) -> str:
    """Return ``code`` inside a longer fence than any it contains, without control characters."""
    longest = max((len(ticks) for ticks in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    shown = "\n".join(_printable(line) for line in code.strip("\n").splitlines())
    return f"{fence}{language}\n{shown}\n{fence}\n"


def _printable(line: str) -> str:
    """Return a line of code with its spaces, without characters that a terminal would obey."""
    return "".join(
        character if character == " " else form.one_line(character)
        for character in line.expandtabs(4)
    )


def _tests(sprint: Sprint, words: Words) -> str:
    tests = sprint.reading("tests")
    if tests is None:
        return words("no tests") + "\n"
    share = words.percent((tests.kept or 0) / tests.of if tests.of else None)
    line = words("tests passed", passed=tests.kept, total=tests.of, share=share)
    suite = sprint.suite
    more = [
        *([] if suite.skipped is None else [words("skipped", n=suite.skipped)]),
        *([] if suite.warnings is None else [words("warnings", n=suite.warnings)]),
        *([] if suite.seconds is None else [words.figure(f"{suite.seconds:.2f} s")]),
    ]
    return (f"{line} {', '.join(more)}." if more else line) + "\n"


def _analysis(sprint: Sprint, before: Sprint | None, words: Words) -> str:
    found, reported = analyse(sprint, before, words), sprint.reported
    parts = []
    for heading, texts, sentences in (
        ("well", reported.well, found.well),
        ("improve", reported.improve, found.improve),
        ("next", reported.to_try, found.to_try),
    ):
        lines = [f"- {escape(sentence)}" for sentence in sentences] or [words("nothing")]
        if texts:
            theirs = [f"- {escape(words.text(text))}" for text in texts]
            ours = ["", words("as figures say") + "\n", *lines]
            lines = [words("as reported") + "\n", *theirs, *ours]
        parts.append("\n".join([f"### {words(heading)}\n", *lines]) + "\n")
    return "\n".join(parts)


def _box(lines: Sequence[str]) -> str:
    width = max(cell_len(line) for line in lines)
    boxed = [f"│ {line}{' ' * (width - cell_len(line))} │" for line in lines]
    frame = "─" * (width + 2)
    return "\n".join(["```text", f"┌{frame}┐", *boxed, f"└{frame}┘", "```"]) + "\n"
