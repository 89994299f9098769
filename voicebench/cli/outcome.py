"""What a measuring command leaves: tables or one document on stdout, advice on stderr, a code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.cli.output import print_json, write_text
from voicebench.errors import CannotMeasure

if TYPE_CHECKING:
    from voicebench.session import Outcome

EXIT_GATE_FAILED = 3
EXIT_UNDECIDED = 5
EXIT_INTERRUPTED = 130


def publish(outcome: Outcome, *, as_json: bool, csv_path: Path | None, quiet: bool) -> None:
    """Print results to stdout; advice goes to stderr."""
    from rich.console import Console

    from voicebench.report.console import WIDEST, print_advice, print_run
    from voicebench.report.judgement import print_judgement

    if as_json:
        print_json(outcome.document)
    elif csv_path != Path("-"):
        console = Console()
        print_run(console, outcome)
        print_judgement(console, outcome.judgement, min(console.width, WIDEST))
    if not quiet:
        print_advice(Console(stderr=True), outcome)


def write_csv(outcome: Outcome, path: Path | None) -> None:
    """Write one row a turn where it is asked for: what ``runs.csv`` holds."""
    if path is None:
        return
    from voicebench.results.reading import read_rows

    write_text(path, read_rows(outcome.folder), force=True)


def exit_code(outcome: Outcome) -> int:
    """Return the exit code of METRICS: interrupted, could not measure, invalid, gate failed, …"""
    from voicebench.gates import Verdict

    if outcome.not_kept is not None:
        raise outcome.not_kept
    if outcome.interrupted:
        return EXIT_INTERRUPTED
    if outcome.summary.failed == outcome.summary.turns:
        reasons = {turn.failure.reason for turn in outcome.turns if turn.failure}
        raise CannotMeasure(
            f"every one of the {outcome.summary.turns} measured turns failed: {min(reasons)}",
            f"the turns are in {outcome.folder}",
        )
    judgement = outcome.judgement
    if judgement.is_invalid or judgement.is_incomparable:
        return EXIT_UNDECIDED
    match judgement.verdict:
        case Verdict.PASS:
            return 0
        case Verdict.UNDECIDED:
            return EXIT_UNDECIDED
        case _:
            return EXIT_GATE_FAILED
