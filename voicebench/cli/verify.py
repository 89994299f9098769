"""``voicebench verify``: check that a result is still what was measured."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.options import Json, meant_result
from voicebench.cli.output import print_json
from voicebench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from voicebench.results.verify import Verification

SHOWN = 20


def verify(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="A run folder.", callback=meant_result)
    ],
    reports: Annotated[
        list[Path] | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Also check this report of it: .md, .html, .csv, .json, .xml (JUnit) or .svg.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a result: compute every figure again from its turns.

    Exit codes: 0 everything agrees, 5 something differs, 2 there is no result to read.

    Example: voicebench verify results/20260105T101500Z-default --report report.html
    """
    from voicebench.load.recorded.load_verify import verify_load
    from voicebench.results.reading import is_load_folder
    from voicebench.results.verify import verify as compute_anew

    checked = (verify_load if is_load_folder(result) else compute_anew)(result)
    for path in reports or []:
        _check_report(checked, path)
    if as_json:
        print_json(checked.as_dict())
    else:
        _print(checked)
    if not checked.holds:
        raise typer.Exit(ExitCode.UNDECIDED)


def _print(checked: Verification) -> None:
    from voicebench.format import one_line, plural

    for finding in checked.findings[:SHOWN]:
        typer.echo(one_line(str(finding)))
    if checked.differences > SHOWN:
        typer.echo(f"and {plural(checked.differences - SHOWN, 'other difference')}")
    for note in checked.notes:
        typer.echo(one_line(f"note: {note}"))
    counts = f"{plural(checked.turns, 'turn')}, {plural(checked.figures, 'figure')}"
    if checked.holds:
        typer.echo(one_line(f"{checked.folder} holds: {counts} computed anew, none differs"))
    else:
        found = plural(checked.differences, "difference")
        typer.echo(one_line(f"{checked.folder} does not hold: {found} in {counts}"))


def _check_report(checked: Verification, path: Path) -> None:
    """Make the report again and compare it line by line."""
    from voicebench.results.reading import is_load_folder

    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"report {path} cannot be read ({error})") from None
    made_again = _load_made_again if is_load_folder(checked.folder) else _made_again
    candidates = made_again(checked.folder, path)
    if content in candidates:
        checked.figures += 1
        return
    nearest = max(candidates, key=lambda made: _common_lines(made, content))
    changes = [
        line
        for line in difflib.unified_diff(
            nearest.splitlines(), content.splitlines(), lineterm="", n=0
        )
        if line[:1] in "+-" and not line.startswith(("+++", "---"))
    ]
    checked.differs(str(path), f"{len(changes)} lines differ from what the turns give")
    for line in changes[:SHOWN]:
        said = "it says" if line.startswith("+") else "the turns give"
        checked.differs(str(path), f"{said}: {line[1:].strip()[:200]}")


def _made_again(folder: Path, path: Path) -> list[str]:
    """Return all forms of the report, made from the turns."""
    import io

    from voicebench.report.exchange.badge import badge
    from voicebench.report.exchange.exchange import (
        bencher,
        github_benchmark,
        json_report,
        run_figures,
    )
    from voicebench.report.exchange.junit import junit_report
    from voicebench.report.exchange.markdown import markdown_report
    from voicebench.report.html import html_report, trend_of
    from voicebench.results.run import read_run
    from voicebench.results.tables import write_events, write_long, write_turns

    kind = path.suffix.lower()
    if kind == ".csv":
        made = []
        for write in (write_turns, write_long, write_events):
            file = io.StringIO(newline="")
            write(file, [folder])
            made.append(file.getvalue())
        return made
    runs = [read_run(folder)]
    match kind:
        case ".md":
            return [markdown_report(runs), markdown_report(runs, fold=True)]
        case ".html":
            trend = trend_of(runs)
            return [
                html_report(runs, sort=sort, sections=sections)
                for sort in (False, True)
                for sections in ((), trend)
            ]
        case ".json":
            return [
                json_report(runs),
                github_benchmark(run_figures(runs)),
                bencher(run_figures(runs)),
            ]
        case ".xml":
            return [junit_report(runs)]
        case ".svg":
            return [badge(runs[0])]
    raise UsageError(f"report {path} is of an unknown kind", KINDS)


def _load_made_again(folder: Path, path: Path) -> list[str]:
    """Return all forms of the report of a run under load."""
    import io

    from voicebench.cli.load_report import load_forms
    from voicebench.load.recorded.level_tables import write_level_figures, write_levels
    from voicebench.load.recorded.load_run import read_load_run

    forms = {
        ".md": ("markdown",),
        ".html": ("html",),
        ".json": ("json", "github-benchmark", "bencher"),
        ".xml": ("junit",),
        ".svg": ("badge",),
    }
    kind = path.suffix.lower()
    runs = [read_load_run(folder)]
    made = [
        load_forms(fold=fold)[form](runs) for form in forms.get(kind, ()) for fold in (False, True)
    ]
    for write in (write_levels, write_level_figures) if kind == ".csv" else ():
        file = io.StringIO(newline="")
        write(file, runs)
        made.append(file.getvalue())
    if not made:
        raise UsageError(f"report {path} is of an unknown kind", KINDS)
    return made


KINDS = "give a .md, .html, .csv, .json, .xml or .svg"


def _common_lines(made: str, content: str) -> int:
    return len(set(made.splitlines()) & set(content.splitlines()))
