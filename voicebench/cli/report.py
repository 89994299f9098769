"""``voicebench report``: recorded results, read again and told in another form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.load_report import are_under_load, load_report, only_one
from voicebench.cli.options import Otlp, meant_results
from voicebench.cli.output import Force, Output, check_free, check_page, write_text, write_with
from voicebench.errors import UsageError

if TYPE_CHECKING:
    from voicebench.results.run import RecordedRun


class Format(StrEnum):
    """The forms of a report."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"
    HTML = "html"
    JUNIT = "junit"
    BADGE = "badge"
    GITHUB_BENCHMARK = "github-benchmark"
    BENCHER = "bencher"
    GITLAB = "gitlab"
    PROM = "prom"


Results = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULT…",
        help="Run folders, their bare names in results/, or 'latest'.",
        show_default=False,
        callback=meant_results,
    ),
]


def report(
    results: Results,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            help="Form of the report. Default: that of the output file's suffix, else a table.",
        ),
    ] = None,
    output: Output = None,
    force: Force = False,
    gates: Annotated[
        list[str] | None,
        typer.Option(
            "--gate",
            metavar="GATE",
            help="Judge by this gate instead of the run's own. Repeatable.",
        ),
    ] = None,
    long: Annotated[
        bool, typer.Option("--long", help="CSV: one row for each metric instead of each turn.")
    ] = False,
    fold: Annotated[
        bool, typer.Option("--fold", help="Markdown: fold everything except the verdicts.")
    ] = False,
    sort: Annotated[
        bool, typer.Option("--sorted", help="HTML: sort the waterfall by first audio.")
    ] = False,
    trend: Annotated[
        bool,
        typer.Option(
            "--history", help="HTML: add the trend of the runs of this name up to this one."
        ),
    ] = False,
    otlp: Otlp = None,
) -> None:
    """Show saved results as tables, as a page or as files for CI.

    Nothing is measured, and no result is changed. Several results are shown side by side (table,
    markdown, html) or one after the other (csv, json, junit, github-benchmark, bencher, gitlab,
    prom). A badge shows only one.

    Examples:

      voicebench report results/20260105T101500Z-default

      voicebench report latest -o report.html

      voicebench report results/*-ci -f html -o report.html

      voicebench report latest --otlp http://127.0.0.1:4318
    """
    if otlp is not None:
        _send(results, otlp, form, output)
        return
    check_free(output, force=force)
    form = form or form_of(output)
    if form is Format.HTML:
        check_page(output or Path("-"), force=force)
    if long and form is not Format.CSV:
        raise UsageError("--long is for --format csv", "give both")
    if trend and form is not Format.HTML:
        raise UsageError("--history is for --format html", "give both")
    if are_under_load(results):
        if sort:
            raise UsageError("--sorted is of single turns, not of levels", "leave it out")
        load_report(
            *(results, form.value, output),
            gates=gates,
            long=long,
            fold=fold,
            trend=trend,
            force=force,
        )
        return
    if form is Format.CSV:
        _csv(results, output, long=long, force=force)
        return
    from voicebench.results.run import read_run

    runs = [read_run(path, gates) for path in results]
    if form is Format.TABLE:
        _table(runs, output, force=force)
        return
    make = _makers(fold=fold, sort=sort, trend=trend)[form]
    write_text(output, make(runs), force=force)


def _send(results: Sequence[Path], url: str, form: Format | None, output: Path | None) -> None:
    """Send saved turns as traces. Raises `UsageError` beside another form of a report."""
    if form is not None or output is not None:
        raise UsageError("--otlp sends turns, and writes no report", "give two commands")
    if are_under_load(results):
        raise UsageError("--otlp is not for runs under load", "see --format prom")
    from voicebench.cli.options import effective_settings
    from voicebench.cli.otlp import send_traces
    from voicebench.format import plural
    from voicebench.results.run import read_run

    settings = effective_settings(None, None, {"otlp.url": url}).settings
    sent = send_traces([read_run(path) for path in results], settings, url)
    typer.echo(f"sent {plural(sent, 'turn')} to {settings.otlp.url}")


_SUFFIXES = {
    ".html": Format.HTML,
    ".htm": Format.HTML,
    ".md": Format.MARKDOWN,
    ".csv": Format.CSV,
    ".json": Format.JSON,
    ".xml": Format.JUNIT,
    ".svg": Format.BADGE,
    ".prom": Format.PROM,
}


def form_of(output: Path | None) -> Format:
    """Return the form that the suffix of the output file means; without one a table."""
    return Format.TABLE if output is None else _SUFFIXES.get(output.suffix.lower(), Format.TABLE)


def _csv(results: Sequence[Path], output: Path | None, *, long: bool, force: bool) -> None:
    from voicebench.results.reading import check_folder
    from voicebench.results.tables import write_long, write_turns

    folders = [check_folder(path) for path in results]
    write = write_long if long else write_turns
    write_with(output, lambda file: write(file, folders), force=force)


def _table(runs: Sequence[RecordedRun], output: Path | None, *, force: bool) -> None:
    from rich.console import Console

    from voicebench.report.console.console import print_advice, print_runs

    if output is None or output == Path("-"):
        print_runs(Console(), runs)
        if len(runs) == 1:
            print_advice(Console(stderr=True), runs[0])
        return
    write_with(output, lambda file: print_runs(Console(file=file, width=120), runs), force=force)


def _makers(
    *, fold: bool, sort: bool, trend: bool
) -> dict[Format, Callable[[Sequence[RecordedRun]], str]]:
    from voicebench.report.exchange import exchange
    from voicebench.report.exchange.badge import badge
    from voicebench.report.exchange.junit import junit_report
    from voicebench.report.exchange.markdown import markdown_report
    from voicebench.report.exchange.prometheus import prometheus_report
    from voicebench.report.html import html_report, trend_of

    figures = exchange.run_figures
    return {
        Format.MARKDOWN: lambda runs: markdown_report(runs, fold=fold),
        Format.JSON: exchange.json_report,
        Format.HTML: lambda runs: html_report(
            runs, sort=sort, sections=trend_of(runs) if trend else ()
        ),
        Format.JUNIT: junit_report,
        Format.BADGE: lambda runs: badge(only_one(runs)),
        Format.GITHUB_BENCHMARK: lambda runs: exchange.github_benchmark(figures(runs)),
        Format.BENCHER: lambda runs: exchange.bencher(figures(runs)),
        Format.GITLAB: lambda runs: exchange.gitlab_metrics(figures(runs)),
        Format.PROM: prometheus_report,
    }
