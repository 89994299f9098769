"""``voicebench config``: the effective settings, and where each came from."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from voicebench.cli.options import Config, Json, Set, effective_settings
from voicebench.cli.output import print_json, write_text
from voicebench.errors import UsageError


def config(
    config: Config = None,
    assignments: Set = None,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="List the metrics for gates instead.")
    ] = False,
    as_toml: Annotated[
        bool, typer.Option("--toml", help="Print a settings file that gives the same settings.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show every setting, its value and where the value came from.

    Examples:

      voicebench config configs/ci.toml --set run.runs=40

      voicebench config --toml > voicebench.toml
    """
    if as_toml and (as_json or metrics):
        raise UsageError("--toml is a form of the settings", "leave --json and --metrics out")
    if metrics:
        _print_metrics(as_json)
        return
    effective = effective_settings(config, assignments, {})
    if as_toml:
        from voicebench.settings.toml_text import toml_of

        write_text(None, toml_of(effective), force=False)
        return
    if as_json:
        rows = {
            setting.key: {"value": setting.value, "from": setting.origin} for setting in effective
        }
        print_json(rows)
        return
    _print_table(
        ("setting", "value", "from", "meaning"),
        [
            (setting.key, _show(setting.value), setting.origin, setting.description)
            for setting in effective
        ],
    )


def _print_metrics(as_json: bool) -> None:
    from voicebench.figures.metrics import METRICS

    if as_json:
        rows = [
            {"name": metric.name, "unit": metric.unit, "better": metric.better, "doc": metric.doc}
            for metric in METRICS
        ]
        print_json(rows)
        return
    _print_table(
        ("metric", "unit", "better", "meaning"),
        [(metric.name, metric.unit, metric.better, metric.doc) for metric in METRICS],
    )


def _print_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from voicebench.report.console.style import Printable

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(Printable(table))


def _show(value: object) -> str:
    if value is None:
        return "–"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | bool) else str(value)
