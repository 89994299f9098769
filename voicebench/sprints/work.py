"""What was done in a sprint: its key changes, its commits and the files that they touched."""

from __future__ import annotations

import re

from voicebench import format as form
from voicebench.report.exchange.markdown import escape, markdown_table
from voicebench.sprints.sprint import Change, Sprint
from voicebench.sprints.words import Words

MOST_COMMITS = 30
MOST_FILES = 40


def changes(sprint: Sprint, words: Words) -> str:
    """Return the key changes as they were told, and the commits."""
    parts = [_change(change, words) for change in sprint.changes]
    commits = sprint.commits
    if commits:
        lines = [f"- {escape(one.subject)} (`{_hash(one.hash)}`)" for one in commits[:MOST_COMMITS]]
        if len(commits) > MOST_COMMITS:
            lines.append(f"- {words('more commits', n=len(commits) - MOST_COMMITS)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts) or words("no commits") + "\n"


def files(sprint: Sprint, words: Words) -> str:
    """Return the files that changed, those with the most changed lines where there are many."""
    if not sprint.files:
        return words("no files") + "\n"
    busiest = sorted(
        sprint.files, key=lambda change: -((change.added or 0) + (change.removed or 0))
    )
    noted = any(change.note for change in sprint.files)
    rows = []
    for change in sorted(busiest[:MOST_FILES], key=lambda change: change.path):
        note = words.text(change.note) if change.note else ""
        counts = [_lines("+", change.added), _lines("−", change.removed)]
        rows.append([change.path, *counts, *([note] if noted else [])])
    head = [words("file"), "+", "−", *([words("what changed")] if noted else [])]
    table = markdown_table(head, rows, [False, True, True, False][: len(head)])
    more = len(sprint.files) - MOST_FILES
    return table + "\n" + (f"\n{words('more files', n=more)}\n" if more > 0 else "")


def _change(change: Change, words: Words) -> str:
    lines = [f"### {escape(words.text(change.title))}\n"]
    for key, said in (("before", change.before), ("after", change.after)):
        if said is not None:
            lines.append(f"**{words(key)}** {escape(words.text(said))}  ")
    if change.before or change.after:
        lines.append("")
    lines += [f"{escape(words.text(one))}\n" for one in change.text]
    if change.code:
        lines.append(_code_block(change.code, change.language))
    return "\n".join(lines)


def _code_block(code: str, language: str) -> str:
    """Return ``code`` fenced by more backticks than it holds, without characters that command."""
    longest = max((len(ticks) for ticks in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    shown = "\n".join(_printable(line) for line in code.strip("\n").splitlines())
    return f"{fence}{language}\n{shown}\n{fence}\n"


def _printable(line: str) -> str:
    """Return one line of code as it is, but for characters that a terminal would obey."""
    return "".join(one if one == " " else form.one_line(one) for one in line.expandtabs(4))


def _hash(commit: str) -> str:
    return form.one_line(commit).replace("`", "")


def _lines(sign: str, count: int | None) -> str:
    return form.NOTHING if count is None else f"{sign}{count}"
