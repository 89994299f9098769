"""Output of a measuring command: tables or one document on stdout, advice on stderr, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.cli.output import print_json, write_text
from voicebench.errors import ExitCode

if TYPE_CHECKING:
    from voicebench.results.run import RecordedRun


def publish(run: RecordedRun, *, as_json: bool, csv_path: Path | None, quiet: bool) -> None:
    """Print results to stdout; advice goes to stderr."""
    from rich.console import Console

    from voicebench.report.console.console import print_advice, print_runs

    if as_json:
        print_json({**run.stored, **run.final.as_dict()})
    elif csv_path != Path("-"):
        print_runs(Console(), [run])
    if not quiet:
        print_advice(Console(stderr=True), run)


def write_csv(run: RecordedRun, path: Path | None) -> None:
    """Write ``runs.csv`` of the run to ``path``, if it is given."""
    if path is None:
        return
    from voicebench.results.reading import read_rows

    write_text(path, read_rows(run.path), force=True)


def exit_code(run: RecordedRun) -> ExitCode:
    """Return the exit code of the verdict. Raises `CannotMeasure` if no turn succeeded."""
    run.require_measured()
    return run.final.exit_code
