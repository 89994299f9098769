"""``voicebench selftest``: the instrument's own error."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.options import Json, seconds
from voicebench.cli.output import print_json
from voicebench.errors import ExitCode

if TYPE_CHECKING:
    from voicebench.checks.selftest import InstrumentError


class StreamsOver(StrEnum):
    """The transport of the streams."""

    HTTP = "http"
    WEBSOCKET = "websocket"
    REALTIME = "realtime"


def selftest(
    turns: Annotated[int, typer.Option(min=1, max=1000, help="Number of scripted turns.")] = 20,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Skip the transports; takes less than a second.")
    ] = False,
    most: Annotated[
        str | None,
        typer.Option(
            "--max",
            metavar="TIME",
            help="Limit for every p95: the exit code is 3 if one is not under it. An idle machine "
            "keeps 2ms.",
        ),
    ] = None,
    streams: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=20_000,
            help="Measure the reader of `load` with so many streams of speech at once instead.",
        ),
    ] = None,
    length: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Length of the streams; 10s.")
    ] = None,
    over: Annotated[
        StreamsOver, typer.Option("--over", help="What the streams of --streams come over.")
    ] = StreamsOver.HTTP,
    as_json: Json = False,
) -> None:
    """Measure the instrument's own error with scripted delays.

    It is recorded time minus scripted time, in this process and over each transport. For a
    transport, another process serves the delays on loopback, and the usual clients measure it. Of
    calls, response and stop times are compared, less the delay of the scripted agent itself.

    Examples:

      voicebench selftest --turns 50

      voicebench selftest --max 2ms

      voicebench selftest --streams 1000

      voicebench selftest --streams 1000 --over websocket
    """
    limit_s = seconds(most, "--max")
    limit_ms = None if limit_s is None else 1000 * limit_s
    if streams is not None:
        _many_streams(streams, seconds(length, "--for"), limit_ms, over, as_json=as_json)
        return
    from voicebench.checks.selftest import measure_in_process

    errors = [measure_in_process(turns)]
    if not in_process:
        from voicebench.checks.call_transports import measure_calls
        from voicebench.checks.transports import measure_transports

        errors += measure_transports(turns, say=lambda line: typer.echo(line, err=True))
        errors += measure_calls(turns, say=lambda line: typer.echo(line, err=True))
    if as_json:
        print_json([_document(error, limit_ms) for error in errors])
    else:
        _print_table(errors, limit_ms)
    if limit_ms is not None and not all(error.keeps(limit_ms) for error in errors):
        raise typer.Exit(ExitCode.GATE_FAILED)


def _many_streams(
    streams: int,
    length_s: float | None,
    limit_ms: float | None,
    over: StreamsOver,
    *,
    as_json: bool,
) -> None:
    from voicebench.checks.many_streams import DEFAULT_SECONDS, described, measure_streams

    found = measure_streams(
        streams,
        length_s or DEFAULT_SECONDS,
        lambda line: typer.echo(line, err=True),
        over=over.value,
    )
    if as_json:
        print_json(found.as_dict())
    else:
        for name, words in described(found).items():
            typer.echo(f"{name:<25}{words}")
    if limit_ms is not None and found.p99_ms >= limit_ms:
        raise typer.Exit(ExitCode.GATE_FAILED)


def _document(error: InstrumentError, limit_ms: float | None) -> dict[str, object]:
    if limit_ms is None:
        return error.as_dict()
    return error.as_dict() | {"limit_ms": limit_ms, "kept": error.keeps(limit_ms)}


def _print_table(errors: Sequence[InstrumentError], limit_ms: float | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from voicebench import format as form
    from voicebench.report.console.style import Printable

    table = Table(
        title="recorded minus scripted, in ms",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in ("transport", "stamps", "p50", "p95", "max"):
        table.add_column(name, justify="left" if name == "transport" else "right", no_wrap=True)
    if limit_ms is not None:
        table.add_column(f"p95 < {form.limit(limit_ms, 'ms')}")
    for error in errors:
        table.add_row(
            error.transport,
            str(error.stamps),
            f"{error.p50_ms:.3f}",
            f"{error.p95_ms:.3f}" + ("" if error.has_p95 else "*"),
            f"{error.max_ms:.3f}",
            *([] if limit_ms is None else ["✓ kept" if error.keeps(limit_ms) else "✗ missed"]),
        )
    console = Console()
    console.print(Printable(table))
    if not all(error.has_p95 for error in errors):
        console.print("* the largest: too few stamps for a p95 (--turns 20 or more)")
    if limit_ms is not None:
        kept = sum(error.keeps(limit_ms) for error in errors)
        bound = form.limit(limit_ms, "ms")
        console.print(
            f"p95 under {bound}: kept by {kept} of {form.plural(len(errors), 'transport')}"
        )
