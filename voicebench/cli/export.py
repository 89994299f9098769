"""``voicebench export``: results as CSV for spreadsheets and pandas."""

from __future__ import annotations

from typing import Annotated

import typer

from voicebench.cli.load_report import are_under_load
from voicebench.cli.output import Force, Output, check_free, write_with
from voicebench.cli.report import Results
from voicebench.errors import UsageError


def export(
    results: Results,
    long: Annotated[
        bool, typer.Option("--long", help="One row for each metric of a turn.")
    ] = False,
    events: Annotated[
        bool, typer.Option("--events", help="One row for each event of a turn.")
    ] = False,
    output: Output = None,
    force: Force = False,
) -> None:
    """Write results as CSV, one row for each turn. Turns under load have their level too.

    docs/reference/csv.md explains every column.

    Example: voicebench export results/20260105T101500Z-default --events -o events.csv
    """
    if long and events:
        raise UsageError("--long and --events exclude each other", "give one of them")
    check_free(output, force=force)
    from voicebench.results.reading import check_folder, check_load_folder
    from voicebench.results.tables import write_events, write_long, write_turns

    if are_under_load(results):
        from voicebench.load.recorded.turn_tables import write_loaded_long, write_loaded_turns

        folders = [check_load_folder(path) for path in results]
        write = write_events if events else write_loaded_long if long else write_loaded_turns
    else:
        folders = [check_folder(path) for path in results]
        write = write_events if events else write_long if long else write_turns
    write_with(output, lambda file: write(file, folders), force=force)
