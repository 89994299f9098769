"""``voicebench doctor``: what this machine has, and what is missing."""

from __future__ import annotations

import json

import typer

from voicebench.cli.options import Json

EXIT_MISSING = 4
_MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "missing": "[red]missing[/]"}


def doctor(as_json: Json = False) -> None:
    """Look at Python, torch, devices, sound, models, clock and load; name what mends a lack.

    Example: voicebench doctor
    """
    from voicebench.doctor import examine

    findings = examine()
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        from rich import box
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("what", "state", "found", "what to do"):
            table.add_column(name, overflow="fold")
        for finding in findings:
            table.add_row(
                escape(finding.what),
                _MARKS[finding.state],
                escape(finding.detail),
                escape(finding.remedy),
            )
        Console().print(table)
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(EXIT_MISSING)
