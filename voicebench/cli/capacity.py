"""``voicebench capacity``: the highest number of callers at which every gate holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.load_options import (
    Agent,
    DryRun,
    For,
    Gates,
    Interrupt,
    Permitted,
    Quick,
    Quiet,
    Ramp,
    SameMachine,
    Script,
    Seed,
    Target,
    cost_lines,
    fetch_models_of,
    load_files,
    load_settings_of,
    publish_load,
    with_spoken_gates,
)
from voicebench.cli.options import (
    Baseline,
    Config,
    Json,
    Junit,
    Llm,
    MaxRegression,
    Name,
    ResultFile,
    Results,
    Set,
    Voice,
    change,
)
from voicebench.cli.output import print_json
from voicebench.cli.server_options import KeyEnv, LlmUrl, Server, TtsUrl
from voicebench.errors import UsageError

if TYPE_CHECKING:
    from voicebench.load.capacity_baseline import BaselineCapacity
    from voicebench.load.running.load_job import LoadJob


def capacity(
    config: Config = None,
    most: Annotated[
        int | None, typer.Option("--max", min=1, max=1_000_000, help="Largest level, in callers.")
    ] = None,
    first: Annotated[
        int | None,
        typer.Option("--from", min=1, max=1_000_000, help="First level, in callers.  [1]"),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="CHANGE", help="How far neighbouring levels differ: '10%'."),
    ] = None,
    at_least: Annotated[
        int | None,
        typer.Option(
            min=1, help="Callers that must be carried: exit code 3 if they are shown not to be."
        ),
    ] = None,
    longest: For = None,
    ramp: Ramp = None,
    seed: Seed = None,
    interrupt: Interrupt = None,
    name: Name = None,
    target: Target = None,
    server: Server = None,
    agent: Agent = None,
    script: Script = None,
    llm_url: LlmUrl = None,
    tts_url: TtsUrl = None,
    key_env: KeyEnv = None,
    llm: Llm = None,
    voice: Voice = None,
    gates: Gates = None,
    quick: Quick = False,
    results: Results = None,
    permitted: Permitted = None,
    same_machine: SameMachine = False,
    dry_run: DryRun = False,
    baseline: Baseline = None,
    max_regression: MaxRegression = None,
    assignments: Set = None,
    as_json: Json = False,
    junit: Junit = None,
    result_file: ResultFile = None,
    quiet: Quiet = False,
) -> None:
    """Find the highest number of callers at which every gate holds.

    It holds 1 caller (--from), then twice as many until a level fails, then levels between. The
    answer is confirmed on fresh callers, and only that is published.

    Examples:

      voicebench capacity --max 400 --target 'sim:slots=8,service=exp:200ms'

      voicebench capacity S.toml --max 400 --precision 10% --at-least 40

      voicebench capacity S.toml --max 400 --dry-run
    """
    from rich.console import Console

    from voicebench.load.call_plan import Population
    from voicebench.load.running.capacity_session import run_capacity
    from voicebench.load.running.load_job import check_load, load_job
    from voicebench.load.search import ERROR
    from voicebench.report.console.load_progress import LoadProgress

    with load_files(junit, result_file):
        named = load_settings_of(
            name=name,
            target=target,
            server=server,
            agent=agent,
            script=script,
            llm_url=llm_url,
            tts_url=tts_url,
            llm=llm,
            voice=voice,
            results=results,
            longest=longest,
            ramp=ramp,
            seed=seed,
            interrupt=interrupt,
            gates=gates,
            quick=quick,
        )
        named |= {
            "load.max_callers": most,
            "load.first_callers": first,
            "load.precision": _share(precision),
            "load.at_least": at_least,
            "judge.baseline": baseline,
            "judge.max_regression": change(max_regression, "--max-regression"),
        }
        effective = with_spoken_gates(config, assignments, named, key_env=key_env)
        load = effective.settings.load
        if load.trace is not None:
            raise UsageError("load.trace is of one level, not of a search", "use `voicebench load`")
        if not load.gates:
            raise UsageError("capacity needs a gate", "give --gate 'first_audio_due.p95 < 300ms'")
        wanted = load.at_least
        if wanted is not None and wanted > load.max_callers:
            raise UsageError(
                f"--at-least {wanted} is above --max {load.max_callers}", f"give --max {wanted}"
            )
        if load.first_callers > load.max_callers:
            raise UsageError(
                f"--from {load.first_callers} is above --max {load.max_callers}",
                f"give --max {load.first_callers} or more",
            )
        job = load_job(
            effective,
            Population(load.max_callers),
            permitted=permitted,
            same_machine=same_machine,
        )
        if dry_run:
            _print_cost(job, as_json=as_json)
            return
        check_load(job, Population(wanted or load.max_callers), ERROR / 4)
        before = _baseline(job)
        fetch_models_of(job, quiet=quiet)
        with LoadProgress(Console(stderr=True, quiet=quiet)) as progress:
            outcome = run_capacity(job, progress, before)
        raise typer.Exit(
            publish_load(
                outcome, as_json=as_json, quiet=quiet, junit=junit, result_file=result_file
            )
        )


def _baseline(job: LoadJob) -> BaselineCapacity | None:
    """Return the baseline that the settings name. Raises `ResultsError` if it cannot be one."""
    settings = job.settings
    wanted = settings.judge.baseline
    if wanted is None:
        return None
    from pathlib import Path

    from voicebench.load.recorded.load_baseline import Wanted, read_load_baseline
    from voicebench.settings import shown_settings

    like = Wanted("capacity", settings.run.name, shown_settings(settings))
    return read_load_baseline(
        wanted, Path(settings.run.results), like, settings.judge.max_regression
    )


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    from voicebench.figures.figure import read_change

    return read_change(text, f"--precision {text!r}")


def _print_cost(job: LoadJob, *, as_json: bool) -> None:
    from voicebench.load.running.load_job import capacity_cost
    from voicebench.load.search import ERROR

    cost, search = job.cost(job.arrivals, ERROR / 4), capacity_cost(job)
    if as_json:
        print_json({"schema": 1, "search": search, "largest_level": cost.as_dict()})
        return
    most = job.settings.load.max_callers
    typer.echo(
        f"about {search['levels']} levels up to {most} callers; the shortest level takes "
        f"{search['seconds_of_a_short_level']:.0f} s, the longest "
        f"{search['seconds_of_a_long_level']:.0f} s"
    )
    typer.echo(f"expected time: about {search['seconds_expected'] / 60:.0f} minutes")
    typer.echo(f"\nthe largest level, {most} callers:")
    for line in cost_lines(cost):
        typer.echo(line)
