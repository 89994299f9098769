"""``voicebench compare`` of two runs under load: capacities with their brackets, and levels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from voicebench.cli.output import print_json, print_sheet, write_text
from voicebench.cli.shown import to_stderr
from voicebench.errors import ExitCode, ResultsError

if TYPE_CHECKING:
    from voicebench.load.recorded.load_comparison import LoadComparison
    from voicebench.load.recorded.load_run import LoadRun
    from voicebench.results.run import RecordedRun


def compare_runs_under_load(
    first: Path, second: Path, *, anyway: bool, as_json: bool, page: Path | None, force: bool
) -> None:
    """Print what changed from the first to the second run, or write it as a ``page``.

    Raises `ResultsError` if the numbers of the two runs mean different things.
    """
    from voicebench.load.recorded.load_comparison import compare_load, load_comparability
    from voicebench.load.recorded.load_run import read_load_run

    runs = [read_load_run(first), read_load_run(second)]
    if not anyway:
        check_comparable(first, second, load_comparability(*runs).refused)
    compared = compare_load(*runs)
    if page is not None:
        _write_page(runs, compared, page, force=force)
    if as_json:
        print_json(load_document(runs, compared))
    elif page is None:
        _print(runs, compared)
    name_incomplete(runs)
    if not compared.has_compared:
        to_stderr("nothing was compared: no load was held by both runs")
        raise typer.Exit(ExitCode.UNDECIDED)


def _write_page(runs: list[LoadRun], compared: LoadComparison, path: Path, *, force: bool) -> None:
    from voicebench.report.html.load_page import load_html

    write_text(path, load_html(runs, compared=compared), force=force)


def check_comparable(first: Path, second: Path, refused: Sequence[str]) -> None:
    """Raise `ResultsError` if the numbers of two runs mean different things."""
    if refused:
        raise ResultsError(
            f"{first} and {second} cannot be compared, since the numbers mean different things: "
            + "; ".join(refused),
            "compare runs that agree in this, or use --anyway",
        )


def name_incomplete(runs: Sequence[RecordedRun | LoadRun]) -> None:
    """Name each interrupted run on stderr."""
    for run in runs:
        if not run.complete or run.cut_line:
            to_stderr(f"{run.path} is incomplete: its run was interrupted")


def load_document(runs: list[LoadRun], compared: LoadComparison) -> dict[str, object]:
    """Return what ``--json`` prints."""
    return {
        "schema": 1,
        "first": _run(runs[0]),
        "second": _run(runs[1]),
        "capacity": None if compared.capacity is None else compared.capacity.as_dict(),
        "levels": [one.as_dict() for one in compared.levels],
        **compared.found.as_dict(),
    }


def _run(run: LoadRun) -> dict[str, object]:
    return {
        "folder": str(run.path),
        "name": run.name,
        "kind": run.kind,
        "turns": run.turns.count,
        "levels": len(run.levels),
        "verdict": run.final.word,
        "complete": run.complete and not run.cut_line,
    }


def _print(runs: list[LoadRun], compared: LoadComparison) -> None:
    from rich.console import Console
    from rich.text import Text

    from voicebench.report.console.load_comparison_table import load_comparison_sheets
    from voicebench.report.console.load_sheets import load_line
    from voicebench.report.console.style import BAD, Printable

    console = Console()
    for letter, run in zip("AB", runs, strict=True):
        line = Text(f"{letter}: {run.path.name}, {load_line(run)}")
        if run.final.word.is_obstacle:
            line.append(f", {run.final.word}: its figures may not be judged", f"bold {BAD}")
        console.print(Printable(line), highlight=False)
    for sheet in load_comparison_sheets(compared, ("A", "B")):
        console.print()
        print_sheet(console, sheet)
