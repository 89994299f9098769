"""Recorded runs in the terminal: one told in full, several side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.text import Text

from voicebench import format as form
from voicebench.report.console import WIDEST
from voicebench.report.recorded import Recorded
from voicebench.report.runs import first_audio_limit
from voicebench.report.sheets import (
    final_line,
    first_audio_line,
    names,
    sheets_of,
    side_by_side,
)
from voicebench.report.style import BAD, HEAD, QUIET, VERDICT_STYLES, Printable
from voicebench.report.waterfall import Waterfall


def print_recorded(console: Console, runs: Sequence[Recorded]) -> None:
    """Print the results, in the width that the console has."""
    width = min(console.width, WIDEST)
    for section in _one(runs[0]) if len(runs) == 1 else _several(runs):
        console.print(Printable(section), width=width, highlight=False)


def _one(run: Recorded) -> list[RenderableType]:
    told: list[RenderableType] = [_title(run.path.name, run)]
    for sheet in sheets_of(run):
        told += [Text(), sheet]
    if run.summary.turns:
        told += [Text(), Waterfall(run.turns, first_audio_limit(run.gate_results))]
    return [*told, Text(), Text(f"results: {run.path}", QUIET)]


def _several(runs: Sequence[Recorded]) -> list[RenderableType]:
    told: list[RenderableType] = [
        _title(form.one_line(name), run) for name, run in zip(names(runs), runs, strict=True)
    ]
    for sheet in side_by_side(runs):
        told += [Text(), sheet]
    return told


def _title(name: str, run: Recorded) -> Text:
    final = run.final
    title = Text.assemble((name, HEAD), "  ")
    title.append(final_line(final), f"bold {VERDICT_STYLES[final.word]}")
    title.append(f"\n{first_audio_line(run)}")
    for warning in run.warnings:
        title.append(f"\n{warning}", BAD)
    return title
