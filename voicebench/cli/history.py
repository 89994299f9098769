"""``voicebench history``: the trend over all results of a name, or over sprints."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from voicebench.cli.options import Json, ResultsFolder
from voicebench.cli.output import (
    Force,
    Page,
    check_page,
    print_json,
    print_sheet,
    write_text,
    write_with,
)
from voicebench.cli.shown import to_stderr
from voicebench.errors import ResultsError, UsageError

if TYPE_CHECKING:
    from voicebench.results.history import History, Point


def history(
    results: ResultsFolder,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of the runs. Default: all runs.")
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="METRIC[.STATISTIC]",
            help="Figure to draw: 'first_audio.p95'. Repeatable.",
        ),
    ] = None,
    sprints: Annotated[
        bool, typer.Option("--sprints", help="Draw the trend over sprint reports instead.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print only a CSV to stdout, one row for each run.")
    ] = False,
    as_json: Json = False,
    page: Page = None,
    force: Force = False,
) -> None:
    """Draw each figure over all runs of a name, oldest first.

    Runs of another target or on other prompts get their own lines.

    Examples:

      voicebench history default

      voicebench history --metric first_audio.p95 --csv > trend.csv

      voicebench history default --html trend.html
    """
    from voicebench.figures.comparison import chosen_figure
    from voicebench.results.history import run_history, sprint_history

    if as_csv and as_json:
        raise UsageError("--json and --csv both want stdout", "give one of them")
    if page == Path("-") and (as_csv or as_json):
        raise UsageError(
            "--html - and a document both want stdout", "name a file: --html trend.html"
        )
    if sprints and (name or metrics):
        raise UsageError("--sprints takes no name and no --metric", "leave them out")
    check_page(page, force=force, option="--html")
    figures = [chosen_figure(text) for text in metrics or []]
    if sprints:
        found = sprint_history(results)
    else:
        found = with_load(results, name, lambda: run_history(results, name, figures or None))
    for line in found.left_out:
        to_stderr(line)
    if page is not None:
        _write_page(found, page, force=force)
    if as_json:
        document = {"schema": 1, "runs": [point.as_dict() for point in found.points]}
        print_json(document)
    elif as_csv:
        _print_csv(found)
    elif page is None:
        _print_tables(found)


def with_load(results: Path, name: str | None, runs: Callable[[], History]) -> History:
    """Return the trend of the runs, and of the runs under load beside them.

    Raises `ResultsError` if there are none of both.
    """
    from voicebench.load.recorded.load_history import load_history
    from voicebench.results.history import History

    under_load = load_history(results, name)
    try:
        found = runs()
    except ResultsError:
        if not under_load.points:
            raise
        return under_load
    if not under_load.points:
        return History(found.points, found.figures, (*found.left_out, *under_load.left_out))
    figures = {figure.name: figure for figure in (*found.figures, *under_load.figures)}
    return History(
        (*found.points, *under_load.points),
        tuple(figures.values()),
        (*found.left_out, *under_load.left_out),
    )


def _print_csv(found: History) -> None:
    columns = ["label", "name", "series", "started_at", "commit", "turns", "failed", "verdict"]
    columns += [figure.name for figure in found.figures]

    def write(file: TextIO) -> None:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(_cells, found.points))

    write_with(None, write, force=False)


def _cells(point: Point) -> dict[str, object]:
    """Return the cells of a row; a name or commit that looks like a formula is quoted."""
    from voicebench.results.csv_rows import quoted

    return {
        name: quoted(cell) if isinstance(cell, str) and cell else cell
        for name, cell in point.as_dict().items()
    }


def _write_page(found: History, path: Path, *, force: bool) -> None:
    from voicebench.report.html.trend_page import trend_html

    write_text(path, trend_html(found), force=force)


def _print_tables(found: History) -> None:
    from rich.console import Console

    from voicebench.report.console.history_table import history_sheet

    console = Console()
    for title, points in found.by_series().items():
        sheet = history_sheet(title, points, found.figures, console.encoding)
        print_sheet(console, sheet)
        console.print()
