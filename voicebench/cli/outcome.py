"""What a measuring command leaves: tables or one document on stdout, advice on stderr, a code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.cli.output import print_json, write_text
from voicebench.errors import CannotMeasure, ExitCode

if TYPE_CHECKING:
    from voicebench.session import Outcome


def publish(outcome: Outcome, *, as_json: bool, csv_path: Path | None, quiet: bool) -> None:
    """Print results to stdout; advice goes to stderr."""
    from rich.console import Console

    from voicebench.report.console import print_advice, print_run

    if as_json:
        print_json(outcome.document)
    elif csv_path != Path("-"):
        print_run(Console(), outcome)
    if not quiet:
        print_advice(Console(stderr=True), outcome)


def write_csv(outcome: Outcome, path: Path | None) -> None:
    """Write one row a turn where it is asked for: what ``runs.csv`` holds."""
    if path is None:
        return
    from voicebench.results.reading import read_rows

    write_text(path, read_rows(outcome.folder), force=True)


def exit_code(outcome: Outcome) -> ExitCode:
    """Return the exit code of the final verdict. Raises `CannotMeasure` where no turn succeeded."""
    from voicebench.final import Word

    if outcome.not_kept is not None:
        raise outcome.not_kept
    if outcome.final.word is Word.NOTHING_MEASURED:
        reasons = {turn.failure.reason for turn in outcome.turns if turn.failure}
        raise CannotMeasure(
            f"every one of the {outcome.summary.turns} measured turns failed: {min(reasons)}",
            f"the turns are in {outcome.folder}",
        )
    return outcome.final.exit_code
