"""What a measuring command leaves: tables or one document on stdout, advice on stderr, a code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from voicebench.errors import CannotMeasure, UsageError

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

    if csv_path is not None:
        _write_csv(outcome, csv_path)
    if as_json:
        typer.echo(json.dumps(outcome.document, indent=2, ensure_ascii=False))
    elif csv_path != Path("-"):
        console = Console()
        print_run(console, outcome)
        print_judgement(console, outcome.judgement, min(console.width, WIDEST))
    if not quiet:
        print_advice(Console(stderr=True), outcome)


def exit_code(outcome: Outcome) -> int:
    """Return the exit code of METRICS: interrupted, could not measure, invalid, gate failed, …"""
    from voicebench.gates import Verdict

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


def _write_csv(outcome: Outcome, path: Path) -> None:
    content = (outcome.folder / "runs.csv").read_text(encoding="utf-8")
    if path == Path("-"):
        sys.stdout.write(content)
        return
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--csv {path} cannot be written ({error.strerror})",
            f"the rows are also in {outcome.folder / 'runs.csv'}",
        ) from None
