"""The sprint as a Markdown page: ``sprint.md.j2``, filled in."""

from __future__ import annotations

import re
from pathlib import Path

from rich.cells import cell_len

from voicebench import format as form
from voicebench.report.exchange.markdown import escape
from voicebench.report.templating import filled
from voicebench.sprints.analysis import analyse
from voicebench.sprints.comparing import compare_sprints
from voicebench.sprints.first_lines import (
    advice_lines,
    conclusion_lines,
    opening_lines,
    status,
    title,
)
from voicebench.sprints.sprint import Lang, Sprint
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
HASH_LENGTH = 12


def sprint_page(sprint: Sprint, before: Sprint | None, lang: Lang = "en") -> str:
    """Return the page; ``before`` is the sprint that it is compared with."""
    words = Words(lang)
    compared = compare_sprints(sprint, before)
    commits = [commit.hash for commit in sprint.commits]
    conclusion = conclusion_lines(sprint, before, lang)
    facts = [escape(words("started", at=sprint.started_at))] if sprint.started_at else []
    if sprint.commit:
        facts.append(f"{words('commit')} `{_code(sprint.commit[:HASH_LENGTH])}`")
    values = {
        "sprint": sprint,
        "before": before,
        "compared": compared,
        "words": words,
        "title": title(sprint, words),
        "status": status(sprint, compared, words),
        "commit_range": "..".join(dict.fromkeys((*commits[-1:], *commits[:1]))) or None,
        "first_lines": opening_lines(sprint, before, compared, words),
        "advice": advice_lines(sprint, lang),
        "facts": facts,
        "most_commits": MOST_COMMITS,
        "tests": _tests(sprint, words),
        "analysis": analyse(sprint, before, words),
        "conclusion": conclusion,
        "width": max(map(cell_len, conclusion)),
        "br": "  ",
        "cell_len": cell_len,
        "code": _code,
        "code_block": _code_block,
        "md": escape,
        "yaml": _yaml,
        "file_table": file_table,
        "first_chunk_table": first_chunk_table,
        "length_table": length_table,
        "run_table": run_table,
        "score_table": score_table,
        "summary_table": summary_table,
    }
    return filled(Path(__file__).with_name("sprint.md.j2"), values, escaped=False)


def _tests(sprint: Sprint, words: Words) -> str:
    tests = sprint.reading("tests")
    if tests is None:
        return words("no tests")
    share = words.percent((tests.kept or 0) / tests.of if tests.of else None)
    line = words("tests passed", passed=tests.kept, total=tests.of, share=share)
    suite = sprint.suite
    more = [
        *([] if suite.skipped is None else [words("skipped", n=suite.skipped)]),
        *([] if suite.warnings is None else [words("warnings", n=suite.warnings)]),
        *([] if suite.seconds is None else [words.figure(f"{suite.seconds:.2f} s")]),
    ]
    return f"{line} {', '.join(more)}." if more else line


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


def _code(text: str) -> str:
    """Return ``text`` for a code span."""
    return form.one_line(text).replace("`", "")


def _yaml(text: str | None) -> str:
    if text is None:
        return "null"
    quoted = form.one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'
