"""``voicebench report`` for runs under load: the same forms, of levels instead of turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from voicebench.cli.output import write_text, write_with
from voicebench.errors import UsageError

if TYPE_CHECKING:
    from voicebench.load.recorded.load_run import LoadRun

AnyRun = TypeVar("AnyRun")


def are_under_load(results: Sequence[Path]) -> bool:
    """Return whether all of ``results`` are runs under load.

    Raises `UsageError` if some are and some are not: their reports have nothing in common.
    """
    from voicebench.results.reading import is_load_folder

    found = [is_load_folder(path) for path in results]
    if any(found) and not all(found):
        one, other = results[found.index(True)], results[found.index(False)]
        raise UsageError(
            f"{one} is a run under load and {other} is not", "give them in two commands"
        )
    return bool(found) and all(found)


def load_report(
    results: Sequence[Path],
    form: str,
    output: Path | None,
    *,
    gates: Sequence[str] | None,
    long: bool,
    fold: bool,
    trend: bool,
    force: bool,
) -> None:
    """Write the report of runs under load in the form with this name."""
    from voicebench.load.recorded.level_tables import write_level_figures, write_levels
    from voicebench.load.recorded.load_run import read_load_run

    runs = [read_load_run(path, gates) for path in results]
    if form == "csv":
        write = write_level_figures if long else write_levels
        write_with(output, lambda file: write(file, runs), force=force)
    elif form == "table":
        _table(runs, output, force=force)
    else:
        write_text(output, load_forms(fold=fold, trend=trend)[form](runs), force=force)


def load_forms(
    *, fold: bool = False, trend: bool = False
) -> dict[str, Callable[[Sequence[LoadRun]], str]]:
    """Return what makes each form of a report that is one text."""
    from voicebench.report.exchange import exchange
    from voicebench.report.exchange.load_exchange import load_badge, load_figures
    from voicebench.report.exchange.load_reports import load_junit, load_markdown
    from voicebench.report.exchange.prometheus import load_prometheus
    from voicebench.report.html.load_page import load_html, load_trend_of

    return {
        "markdown": lambda runs: load_markdown(runs, fold=fold),
        "json": exchange.json_report,
        "html": lambda runs: load_html(runs, more=load_trend_of(runs) if trend else ()),
        "junit": load_junit,
        "badge": lambda runs: load_badge(only_one(runs)),
        "github-benchmark": lambda runs: exchange.github_benchmark(load_figures(runs)),
        "bencher": lambda runs: exchange.bencher(load_figures(runs)),
        "gitlab": lambda runs: exchange.gitlab_metrics(load_figures(runs)),
        "prom": load_prometheus,
    }


def only_one(runs: Sequence[AnyRun]) -> AnyRun:
    """Return the run of a badge. Raises `UsageError` for several runs."""
    if len(runs) != 1:
        raise UsageError(f"a badge shows one result, and {len(runs)} were named", "name one")
    return runs[0]


def _table(runs: Sequence[LoadRun], output: Path | None, *, force: bool) -> None:
    from rich.console import Console

    from voicebench.report.console.load_console import print_load_runs

    if output is None or output == Path("-"):
        print_load_runs(Console(), runs)
        return
    write_with(
        output, lambda file: print_load_runs(Console(file=file, width=120), runs), force=force
    )
