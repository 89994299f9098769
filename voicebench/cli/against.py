"""``voicebench run CONFIG --against CONFIG2``: two set-ups measured in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebench.cli.outcome import exit_code
from voicebench.cli.output import print_json
from voicebench.errors import ExitCode

if TYPE_CHECKING:
    from voicebench.settings import Effective
    from voicebench.versus import Versus

_BY_WEIGHT = (
    ExitCode.INTERRUPTED,
    ExitCode.UNDECIDED,
    ExitCode.GATE_FAILED,
    ExitCode.PASSED,
)
"""Which of two exit codes says more."""


def run_against(first: Effective, second: Effective, *, as_json: bool, quiet: bool) -> int:
    """Measure both, print what their differences show, and return the exit code."""
    from rich.console import Console

    from voicebench.cli.models import progress_of_models
    from voicebench.report.progress import Progress
    from voicebench.targets.opening import fetch_models
    from voicebench.versus import check_both, run_versus

    console = Console(stderr=True, quiet=quiet)
    check_both(first, second)
    for side in (first, second):
        with progress_of_models(console) as report:
            fetch_models(side.settings, report)
    with Progress(console, quiet=quiet) as progress:
        versus = run_versus(first, second, progress)
    if as_json:
        print_json(document(versus))
    else:
        _print(versus)
    codes = {exit_code(outcome) for outcome in (versus.first, versus.second)}
    return next(code for code in _BY_WEIGHT if code in codes)


def document(versus: Versus) -> dict[str, object]:
    """Return what ``--json`` prints: both runs' documents and the comparison."""
    return {
        "schema": 1,
        "first": versus.first.document,
        "second": versus.second.document,
        "figures": [one.as_dict() for one in versus.compared],
        "differs": [[one.key, one.first, one.second] for one in versus.found.shown],
    }


def _print(versus: Versus) -> None:
    from rich.console import Console
    from rich.text import Text

    from voicebench import format as form
    from voicebench.report.comparison_table import comparison_sheet
    from voicebench.report.console import WIDEST
    from voicebench.report.judgement import judgement_lines
    from voicebench.report.style import Printable
    from voicebench.report.verdicts import verdict_sheet, verdict_text

    console = Console()
    width = min(console.width, WIDEST)
    for letter, outcome in (("A", versus.first), ("B", versus.second)):
        summary = outcome.summary
        line = Text(f"{letter}: {outcome.folder.name}  ")
        line.append_text(verdict_text(outcome.final.word)).append(f"  {outcome.final.why()}")
        line.append(f"\n{form.plural(summary.turns, 'measured turn')}, {summary.failed} failed")
        console.print(Printable(line), width=width, highlight=False)
        if outcome.gate_results:
            sheet = verdict_sheet(outcome.gate_results, summary)
            console.print(Printable(sheet), width=width, highlight=False)
        for found in judgement_lines(outcome.judgement):
            console.print(Printable(found), width=width, highlight=False)
        console.print()
    sheet = comparison_sheet(versus.compared, ("A", "B"), versus.found)
    console.print(Printable(sheet), width=width, highlight=False)
