"""Runs under load in the terminal: one in full, or several side by side.

`voicebench load`, `capacity` and `report` print the same, since all print what was recorded.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.text import Text

from voicebench import format as form
from voicebench.load.recorded.load_advice import load_advice
from voicebench.load.recorded.load_run import LoadRun
from voicebench.report.console.console import advice_list, badge_text, machine_line, print_parts
from voicebench.report.console.load_sheets import load_line, load_sheets, load_side_by_side
from voicebench.report.console.sheets import names
from voicebench.report.console.style import BAD, HEAD, NEAR, QUIET, heading
from voicebench.report.console.verdicts import verdict_text
from voicebench.report.load_head import load_warnings


def print_load_runs(console: Console, runs: Sequence[LoadRun]) -> None:
    """Print one run under load in full, or several side by side."""
    several = len(runs) > 1
    print_parts(console, _several(runs) if several else _one(runs[0], console.encoding))


def _one(run: LoadRun, encoding: str) -> list[RenderableType]:
    sections: list[RenderableType] = [_title(run), *load_sheets(run)]
    advice = load_advice(run)
    if advice:  # the gravest; the page has all of it
        more = "" if len(advice) == 1 else f" (the first of {len(advice)}; see --format html)"
        sections.append(Group(heading(f"Advice{more}"), advice_list(advice[:1], encoding)))
    sections.append(_closing(run))
    return [part for section in sections for part in (Text(), section)][1:]


def _several(runs: Sequence[LoadRun]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for name, run in zip(names(runs), runs, strict=True):
        title = Text.assemble((form.one_line(name), HEAD), "  ", _verdict(run))
        title.append(f"\n{load_line(run)}")
        for warning in load_warnings(run):
            title.append(f"\n{warning}", BAD)
        parts.append(title)
    return [*parts, *(part for sheet in load_side_by_side(runs) for part in (Text(), sheet))]


def _title(run: LoadRun) -> Text:
    title = Text.assemble((run.path.name, HEAD), "  ", badge_text(run.final))
    title.append(f"\n{load_line(run)}")
    machine = machine_line(run.environment)
    if machine:
        title.append(f"\n{machine}", QUIET)
    for warning in load_warnings(run):
        title.append(f"\n{warning}", NEAR)
    return title


def _closing(run: LoadRun) -> Text:
    return Text(f"results: {run.path}\n", QUIET).append_text(_verdict(run))


def _verdict(run: LoadRun) -> Text:
    return verdict_text(run.final.word).append(f"  {run.final.why()}")
