"""``voicebench selftest``: the instrument's own error."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from voicebench.cli.options import Json


def selftest(
    turns: Annotated[int, typer.Option(min=1, max=1000, help="Scripted turns to play.")] = 20,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Leave the transports out; takes no second.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Play scripted delays and print what was recorded minus what was scripted.

    In this process, and over each transport: a simulated target is served on loopback by a process
    of its own, and the clients that measure other servers take turns there.

    Example: voicebench selftest --turns 50
    """
    from voicebench.selftest import measure_in_process

    errors = [measure_in_process(turns)]
    if not in_process:
        from voicebench.transports import measure_transports

        errors += measure_transports(turns, say=lambda line: typer.echo(line, err=True))
    if as_json:
        typer.echo(json.dumps([error.as_dict() for error in errors], indent=2))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title="recorded minus scripted", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for name in ("transport", "stamps", "p50", "p95", "max"):
        table.add_column(name, justify="left" if name == "transport" else "right")
    for error in errors:
        table.add_row(
            error.transport,
            str(error.stamps),
            f"{error.p50_ms:.3f} ms",
            f"{error.p95_ms:.3f} ms",
            f"{error.max_ms:.3f} ms",
        )
    Console().print(table)
