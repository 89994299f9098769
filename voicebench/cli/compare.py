"""``voicebench compare``: two recorded runs, figure by figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.load_compare import check_comparable, compare_runs_under_load, name_incomplete
from voicebench.cli.load_report import are_under_load
from voicebench.cli.options import Json, meant_result
from voicebench.cli.output import Force, Page, check_page, print_json, print_sheet, write_text
from voicebench.cli.shown import to_stderr
from voicebench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebench.figures.comparison import ComparedFigure
    from voicebench.judging.comparability import Comparability
    from voicebench.report.compared_runs import ComparedRuns
    from voicebench.results.run import RecordedRun


def compare(
    first: Annotated[
        Path,
        typer.Argument(
            metavar="A", help="Run folder of the run to compare with.", callback=meant_result
        ),
    ],
    second: Annotated[
        Path,
        typer.Argument(
            metavar="B", help="Run folder of the run that is compared.", callback=meant_result
        ),
    ],
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="METRIC[.STATISTIC]",
            help="Figure to compare: 'llm_total.mean'; without a statistic its median. Repeatable. "
            "Default: the median of every metric.",
        ),
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway", help="Compare even if the numbers of the two runs have different meanings."
        ),
    ] = False,
    as_json: Json = False,
    page: Page = None,
    force: Force = False,
) -> None:
    """Compare two recorded runs: what changed from A to B.

    A change is called better or worse only if its interval excludes 0. Of two searches for
    capacity the brackets are compared, and the levels that both held.

    Examples:

      voicebench compare results/20260101T120000Z-default results/20260102T120000Z-default

      voicebench compare results/20260101T120000Z-default latest --html compared.html
    """
    from voicebench.figures.comparison import chosen_figure
    from voicebench.report.compared_runs import compared_runs
    from voicebench.results.run import read_run

    check_page(page, force=force, option="--html")
    if as_json and page == Path("-"):
        raise UsageError("--json and --html both want stdout", "name a file: --html page.html")
    if are_under_load([first, second]):
        if metrics:
            raise UsageError(
                "--metric is of single turns, and these are runs under load", "leave it out"
            )
        compare_runs_under_load(
            first, second, anyway=anyway, as_json=as_json, page=page, force=force
        )
        return
    wanted = [chosen_figure(text) for text in metrics or []]
    runs = [read_run(first), read_run(second)]
    compared = compared_runs(runs[0], runs[1], wanted, anyway=anyway)
    if not anyway:
        check_comparable(first, second, compared.found.refused)
    if page is not None:
        _write_page(compared, page, force=force)
    if as_json:
        print_json(document(runs, compared.figures, compared.found))
    elif page is None:
        _print(runs, compared.figures, compared.found)
    name_incomplete(runs)
    if not compared.has_compared:
        to_stderr("nothing was compared: no figure is shown by both runs")
        raise typer.Exit(ExitCode.UNDECIDED)


def _write_page(compared: ComparedRuns, path: Path, *, force: bool) -> None:
    from voicebench.report.html import html_report

    runs = [compared.first, compared.second]
    write_text(path, html_report(runs, two=compared), force=force)


def document(
    runs: list[RecordedRun], compared: Sequence[ComparedFigure], found: Comparability
) -> dict[str, object]:
    """Return what ``--json`` prints."""
    return {
        "schema": 1,
        "first": _run(runs[0]),
        "second": _run(runs[1]),
        "figures": [one.as_dict() for one in compared],
        **found.as_dict(),
    }


def _run(run: RecordedRun) -> dict[str, object]:
    return {
        "folder": str(run.path),
        "name": run.name,
        "turns": run.summary.turns,
        "failed": run.summary.failed,
        "verdict": run.word,
        "complete": run.complete and not run.cut_line,
    }


def _print(
    runs: list[RecordedRun], compared: Sequence[ComparedFigure], found: Comparability
) -> None:
    from rich.console import Console
    from rich.text import Text

    from voicebench.format import plural
    from voicebench.report.console.comparison_table import comparison_sheet
    from voicebench.report.console.style import BAD, Printable

    console = Console()
    for letter, run in zip("AB", runs, strict=True):
        line = Text(f"{letter}: {run.path.name}, {plural(run.summary.turns, 'turn')}")
        if run.summary.failed:
            line.append(f", {run.summary.failed} failed")
        if run.word is not None and run.word.is_obstacle:
            line.append(f", {run.word}: its figures may not be judged", f"bold {BAD}")
        console.print(Printable(line), highlight=False)
    console.print()
    sheet = comparison_sheet(compared, ("A", "B"), found)
    print_sheet(console, sheet)
