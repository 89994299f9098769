"""``voicebench baseline``: keep the run that later runs may not be slower than."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voicebench.cli.options import ResultsFolder, meant_result
from voicebench.cli.output import print_path
from voicebench.cli.shown import shown

app = typer.Typer(help="Keep the run that later runs are compared with.", no_args_is_help=True)


@app.command("set")
def set_baseline(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="A run folder.", callback=meant_result)
    ],
    results: ResultsFolder,
    allow_noise: Annotated[
        bool,
        typer.Option("--allow-noise", help="Keep it even if the machine was too noisy."),
    ] = False,
) -> None:
    """Keep a copy of a run as the baseline for `run --baseline set`.

    There is one baseline for each name, another for its searches for capacity, and another for its
    levels. A run is refused if it was interrupted, has failed or flagged turns, or comes from a
    machine that was too noisy. In the last case --allow-noise keeps it, here or when it is
    measured. A search is refused if it is invalid or confirmed no level, a level if it is invalid
    or was never steady.

    Example: voicebench baseline set results/20260101T120000Z-default
    """
    from voicebench.results.baseline import set_baseline as keep
    from voicebench.results.reading import is_load_folder

    if is_load_folder(result):
        from voicebench.load.recorded.load_baseline import set_load_baseline

        kept = set_load_baseline(result, results)
    else:
        kept = keep(result, results, allow_noise=allow_noise)
    typer.echo(shown(f"baseline: {kept}"))


@app.command("show")
def show(
    results: ResultsFolder,
    name: Annotated[str, typer.Argument(help="Name of the runs.")] = "default",
) -> None:
    """Print the folders of the baselines of a name, one a line.

    First that of `run`; then those of its searches for capacity (`NAME.capacity`) and of its levels
    (`NAME.load`), where they are set.

    Example: voicebench baseline show
    """
    from voicebench.load.recorded.load_baseline import kept_load_baselines
    from voicebench.results.baseline import find_baseline, is_baseline_set

    of_load = kept_load_baselines(results, name)
    if is_baseline_set(results, name) or not of_load:
        print_path(find_baseline("set", results, name))
    for folder in of_load:
        print_path(folder)
