"""``voicebench sprint``: write a sprint report as Markdown and JSON."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.options import meant_results, own_results
from voicebench.cli.output import Force, check_free, write_text
from voicebench.cli.shown import shown, to_stderr
from voicebench.errors import UsageError

if TYPE_CHECKING:
    from voicebench.sprints.sprint import Sprint


class Language(StrEnum):
    """The languages of the report."""

    ENGLISH = "en"
    FRENCH = "fr"


def sprint(
    number: Annotated[
        int, typer.Argument(metavar="N", min=1, max=9999, help="Number of the sprint.")
    ],
    folder: Annotated[
        Path,
        typer.Option(
            "--sprints",
            metavar="FOLDER",
            help="Folder of the sprint reports.",
            default_factory=lambda: own_results() / "sprints",
            show_default="run.results/sprints",
        ),
    ],
    results: Annotated[
        list[Path] | None,
        typer.Option(
            "--result",
            metavar="RESULT",
            help="Run folder of a run: a path, its bare name, or latest. Repeatable. Default: the "
            "latest.",
            callback=meant_results,
        ),
    ] = None,
    imported: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="Take the figures from this TOML file."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JUnit XML of the sprint's tests.")
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            "--score", metavar="ASPECT=POINTS", help="Points entered by hand: humanity=6."
        ),
    ] = None,
    lang: Annotated[Language, typer.Option(help="Language of the report.")] = Language.ENGLISH,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="COMMIT", help="Show the commits after this one. Default: the last sprint's."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Write a sprint report: figures, changes, score card, analysis.

    The files are sprint-NNN.md and sprint-NNN.json.

    Examples:

      voicebench sprint 46 --result results/20260105T101500Z-default --junit tests.xml

      voicebench sprint 46 --import docs/sprints/sprint-046.toml --lang fr
    """
    from voicebench.sprints.first_lines import advice_lines, conclusion_lines
    from voicebench.sprints.sprint_page import sprint_page
    from voicebench.sprints.stored import previous_sprint, to_json

    if imported is not None and (results or junit):
        raise UsageError("--import has its own figures", "leave --result and --junit out")
    page, data = (folder / f"sprint-{number:03d}{suffix}" for suffix in (".md", ".json"))
    _make(folder)
    for path in (page, data):
        check_free(path, force=force)
    before = previous_sprint(folder, number)
    if imported is not None:
        made = _from_file(number, imported, scores or [])
    else:
        made = _from_runs(number, results or [_latest()], junit, scores or [], since, before)
        if not results:
            _name_runs_under_load(before)
    write_text(page, sprint_page(made, before, lang.value), force=force)
    write_text(data, to_json(made, before), force=force)
    for line in conclusion_lines(made, before, lang.value):
        typer.echo(shown(line))
    for line in advice_lines(made, lang.value):
        to_stderr(line)
    typer.echo(shown(f"{page}\n{data}"))


def _from_file(number: int, path: Path, scores: list[str]) -> Sprint:
    from voicebench.sprints.imported import read_import
    from voicebench.sprints.score import parse_scores
    from voicebench.sprints.sprint import ASPECTS, Score

    found = read_import(path, number)
    card = {score.aspect: score for score in found.scores}
    for aspect, points in parse_scores(scores).items():
        card[aspect] = Score(aspect, points, by_hand=True)
    return replace(found, scores=tuple(card[aspect] for aspect in ASPECTS if aspect in card))


def _from_runs(
    number: int,
    results: list[Path],
    junit: Path | None,
    scores: list[str],
    since: str | None,
    before: Sprint | None,
) -> Sprint:
    from voicebench.results.run import read_run
    from voicebench.sprints import measured
    from voicebench.sprints.commits import work_since
    from voicebench.sprints.score import parse_scores, score_card
    from voicebench.sprints.sprint import Sprint, Suite
    from voicebench.sprints.test_report import read_junit

    by_hand = parse_scores(scores)
    tests, suite = read_junit(junit) if junit else (None, Suite())
    runs = [read_run(path) for path in results]
    readings = [*measured.readings_of(runs), *([tests] if tests else [])]
    # The commit of an imported sprint may be of another repository.
    last = before.commit if before and not before.imported else None
    work = work_since(Path.cwd(), since or last)
    days = [commit.day for commit in work.commits]
    return Sprint(
        number=number,
        started_at=min(days, default=None) or runs[0].started_at,
        commit=work.head,
        commits=work.commits,
        files=work.files,
        readings=tuple(readings),
        tables=tuple(measured.run_tables(runs)),
        lengths=tuple(measured.text_lengths(runs)),
        scores=score_card(runs, readings, by_hand),
        setup=measured.setup_of(runs[0]),
        results=tuple(run.path.name for run in runs),
        suite=suite,
    )


def _latest() -> Path:
    from voicebench.results.reading import run_folders

    results = own_results()
    found = run_folders(results)
    if not found:
        raise UsageError(f"there is no result in {results}/", "name one with --result, or --import")
    return found[-1]


def _name_runs_under_load(before: Sprint | None) -> None:
    """Say which runs under load since the last sprint are left out of this one."""
    from voicebench.format import plural
    from voicebench.results.reading import load_folders

    since = max(before.results, default="") if before is not None else ""
    results = own_results()
    found = [folder for folder in load_folders(results) if folder.name > since]
    if found:
        to_stderr(
            f"left out: {plural(len(found), 'run')} under load in {results}/, the latest "
            f"{found[-1].name}: a sprint has figures of single turns; see `voicebench history`"
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made ({error.strerror})", "name another with --sprints"
        ) from None
