"""A run as Markdown: for a pull request, a step summary, a wiki.

The words of models and prompts may contain anything. `escape` removes the effect of Markdown, HTML,
mentions and links, so a reply cannot add a picture to a pull request or notify people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from voicebench import format as form
from voicebench.report.console.sheets import (
    filled_columns,
    final_line,
    first_audio_line,
    names,
    sheets_of,
    side_by_side,
)
from voicebench.report.console.style import Sheet
from voicebench.report.head import warnings_of
from voicebench.results.run import RecordedRun

_MARKUP = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "\\`*_[]|~$"},
        ">": "&gt;",
        "@": "&#64;",
        "#": "&#35;",
    }
)
_TAG = re.compile("<(?! )")
"""The beginning of a tag. ``<`` before a space, as in ``< 300 ms``, does not begin one."""


def escape(text: str) -> str:
    """Return ``text`` as one line that Markdown shows unchanged."""
    plain = _TAG.sub("&lt;", form.one_line(text).replace("&", "&amp;"))
    return plain.translate(_MARKUP).replace("://", "&#58;//").replace("www.", "www&#46;")


def markdown_failure(word: str, sentence: str) -> str:
    """Return the report on a run that ended with an error."""
    return f"# voicebench: {escape(word)}\n\n{escape(sentence)}\n"


def markdown_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]
) -> str:
    """Return a table with escaped cells; the columns in ``right`` are numbers."""
    lines = [
        _row(head),
        "|" + "|".join("---:" if number else "---" for number in right) + "|",
        *(_row(row) for row in rows),
    ]
    return "\n".join(lines)


def sheet_markdown(sheet: Sheet) -> str:
    """Return the table of a sheet with its notes, without its title."""
    columns = filled_columns(sheet)
    table = markdown_table(
        [column.head.replace("\n", " ") for column in columns],
        list(zip(*([cell.plain for cell in column.cells] for column in columns), strict=True)),
        [column.justify == "right" for column in columns],
    )
    notes = [f"{escape(note.plain)}  " for note in sheet.notes]
    return "\n".join([table, "", *notes]).rstrip() + "\n"


def sheet_sections(sheets: Sequence[Sheet], *, fold: bool = False) -> list[str]:
    """Return each sheet under its title; ``fold`` hides the long ones until a click."""
    parts = []
    for sheet in sheets:
        if fold and sheet.folds:
            summary = f"<details><summary>{escape(sheet.title)}</summary>\n"
            parts += [summary, sheet_markdown(sheet), "</details>\n"]
        else:
            parts += [f"## {escape(sheet.title)}\n", sheet_markdown(sheet)]
    return parts


def markdown_report(runs: Sequence[RecordedRun], *, fold: bool = False) -> str:
    """Return one run in full, or several side by side.

    ``fold`` hides the long tables until a click, for a pull request.
    """
    if len(runs) == 1:
        return _one(runs[0], fold=fold)
    parts = ["# voicebench\n"]
    for name, run in zip(names(runs), runs, strict=True):
        parts.append(
            f"- **{escape(name)}**: {final_line(run.final)} · {escape(first_audio_line(run))}"
        )
        parts += [f"  - {escape(warning)}" for warning in warnings_of(run)]
    parts.append("")
    return "\n".join([*parts, *sheet_sections(side_by_side(runs))])


def _one(run: RecordedRun, *, fold: bool) -> str:
    parts = [
        f"# voicebench: {escape(run.name)}\n",
        f"**{final_line(run.final)}**  ",
        escape(first_audio_line(run)) + "  ",
        f"`{run.path.name.replace('`', '')}`\n",
        *(f"> **Note:** {escape(warning)}\n" for warning in warnings_of(run)),
    ]
    sheets = sheets_of(run)
    if run.gate_results:  # the verdicts come first, then what would change them
        verdicts, *sheets = sheets
        parts += sheet_sections([verdicts])
    if run.advice:
        advice = [f"- {escape(item.finding)}  \n  → {escape(item.remedy)}" for item in run.advice]
        parts += ["## Advice\n", "\n".join(advice) + "\n"]
    return "\n".join([*parts, *sheet_sections(sheets, fold=fold)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escape(cell) for cell in cells) + " |"
