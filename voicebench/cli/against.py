"""``voicebench run CONFIG --against CONFIG2``: measure two set-ups alternately."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebench.cli.outcome import exit_code
from voicebench.cli.output import print_json, print_sheet
from voicebench.errors import ExitCode

if TYPE_CHECKING:
    from voicebench.measuring.versus import Versus
    from voicebench.settings import Effective

_MOST_SERIOUS_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.UNDECIDED,
    ExitCode.GATE_FAILED,
    ExitCode.PASSED,
)
"""The order in which one of two exit codes is chosen."""


def run_against(first: Effective, second: Effective, *, as_json: bool, quiet: bool) -> int:
    """Measure both, print what their differences show, and return the exit code."""
    from rich.console import Console

    from voicebench.cli.models import fetch_with_progress
    from voicebench.measuring.versus import check_both, run_versus
    from voicebench.report.console.progress import Progress

    console = Console(stderr=True, quiet=quiet)
    check_both(first, second)
    for side in (first, second):
        fetch_with_progress(side.settings, console)
    with Progress(console, quiet=quiet) as progress:
        versus = run_versus(first, second, progress)
    if as_json:
        print_json(document(versus))
    else:
        _print(versus)
    codes = {exit_code(run) for run in (versus.first, versus.second)}
    return next(code for code in _MOST_SERIOUS_FIRST if code in codes)


def document(versus: Versus) -> dict[str, object]:
    """Return what ``--json`` prints: both runs' documents and the comparison."""
    return {
        "schema": 1,
        "first": versus.first.stored,
        "second": versus.second.stored,
        "figures": [one.as_dict() for one in versus.compared],
        "differs": [[one.key, one.first, one.second] for one in versus.found.shown],
    }


def _print(versus: Versus) -> None:
    from rich.console import Console

    from voicebench.report.console.comparison_table import comparison_sheet
    from voicebench.report.console.console import print_short

    console = Console()
    for letter, run in (("A", versus.first), ("B", versus.second)):
        print_short(console, f"{letter}: {run.path.name}", run)
        console.print()
    sheet = comparison_sheet(versus.compared, ("A", "B"), versus.found)
    print_sheet(console, sheet)
