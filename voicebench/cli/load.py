"""``voicebench load``: one level of callers, calls or turns, held for a while and judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.load_options import (
    Agent,
    DryRun,
    Faults,
    For,
    Gates,
    Interrupt,
    Permitted,
    Quick,
    Quiet,
    Ramp,
    Ray,
    SameMachine,
    Script,
    Seed,
    Soak,
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
    NoGate,
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
    from voicebench.load.call_plan import Arrivals
    from voicebench.load.recorded.level_baseline import BaselineLevel
    from voicebench.load.running.load_job import LoadJob

PLANNED_TURNS_SHOWN = 20


def load(
    config: Config = None,
    callers: Annotated[
        int | None,
        typer.Option(
            min=1, max=1_000_000, help="Callers at once. Who hangs up is replaced by a new call."
        ),
    ] = None,
    calls: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Calls that arrive at random: 30/min, 2/s."),
    ] = None,
    turns: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Single turns that arrive at random: 4/s."),
    ] = None,
    trace: Annotated[
        str | None, typer.Option(metavar="FILE", help="Repeat the calls of a file.")
    ] = None,
    longest: For = None,
    ramp: Ramp = None,
    seed: Seed = None,
    interrupt: Interrupt = None,
    faults: Faults = None,
    ray: Ray = None,
    soak: Soak = False,
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
    no_gate: NoGate = False,
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
    """Hold a number of callers, or a rate of calls or turns, and judge the turns.

    The next turn of a caller is due when the reply was heard out, the caller has thought and has
    spoken. Latency counts from the due moment.

    Examples:

      voicebench load --callers 40 --for 10m --target 'sim:slots=8,service=exp:200ms'

      voicebench load S.toml --calls 30/min --for 10m

      voicebench load S.toml --turns 4/s --dry-run
    """
    from rich.console import Console

    from voicebench.load.running.load_job import check_load, load_job
    from voicebench.load.running.load_session import run_load
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
            faults=faults,
            ray=ray,
            soak=soak,
            gates=gates,
            no_gate=no_gate,
            quick=quick,
        )
        named |= {
            "load.trace": trace,
            "judge.baseline": baseline,
            "judge.max_regression": change(max_regression, "--max-regression"),
        }
        effective = with_spoken_gates(config, assignments, named, key_env=key_env)
        given = _arrivals(callers, calls, turns, effective.settings.load.trace)
        job = load_job(effective, given, permitted=permitted, same_machine=same_machine)
        if dry_run:
            _print_plan(job, as_json=as_json)
            return
        check_load(job, job.arrivals, ERROR)
        before = _baseline(job)
        fetch_models_of(job, quiet=quiet)
        with LoadProgress(Console(stderr=True, quiet=quiet)) as progress:
            outcome = run_load(job, progress, before)
        raise typer.Exit(
            publish_load(
                outcome, as_json=as_json, quiet=quiet, junit=junit, result_file=result_file
            )
        )


def _baseline(job: LoadJob) -> BaselineLevel | None:
    """Return the baseline that the settings name. Raises `ResultsError` if it cannot be one."""
    settings = job.settings
    wanted = settings.judge.baseline
    if wanted is None:
        return None
    from pathlib import Path

    from voicebench.load.level_document import offered_load
    from voicebench.load.recorded.load_baseline import Wanted, read_level_baseline
    from voicebench.settings import shown_settings

    offers = offered_load(job.arrivals)
    like = Wanted("load", settings.run.name, shown_settings(settings), offers)
    judge = settings.judge
    return read_level_baseline(
        wanted, Path(settings.run.results), like, judge.max_regression, decide=judge.decide
    )


def _arrivals(
    callers: int | None, calls: str | None, turns: str | None, trace: str | None
) -> Arrivals | None:
    """Return what the options name; None for the trace of the settings."""
    from voicebench.load.call_plan import CallRate, Population, TurnRate
    from voicebench.load.rates import read_rate

    given = {"--callers": callers, "--calls": calls, "--turns": turns, "--trace": trace}
    named = [option for option, value in given.items() if value is not None]
    if len(named) != 1:
        said = " and ".join(named) if named else "no load"
        raise UsageError(
            f"{said} given", f"give one of {', '.join(given)}, for example --callers 40"
        )
    if callers is not None:
        return Population(callers)
    if calls is not None:
        return CallRate(read_rate(calls, "--calls"))
    return TurnRate(read_rate(turns, "--turns")) if turns is not None else None


def _print_plan(job: LoadJob, *, as_json: bool) -> None:
    from voicebench.load.opening import first_turns
    from voicebench.load.search import ERROR

    cost = job.cost(job.arrivals, ERROR)
    plan = job.plan(job.arrivals, 1)
    shown = first_turns(plan, job.settings.load.reply_s, PLANNED_TURNS_SHOWN)
    if as_json:
        print_json(
            {
                "schema": 1,
                "cost": cost.as_dict(),
                "can_decide": cost.can_decide,
                "turns": [
                    {
                        "due_s": turn.due_s,
                        "caller": turn.call.caller,
                        "call": turn.call.call,
                        "turn": turn.number,
                        "turns_of_call": turn.call.turns,
                        "speech_s": turn.speech_s,
                        "cut_after_s": turn.cut_after_s,
                    }
                    for turn in shown
                ],
            }
        )
        return
    for line in cost_lines(cost):
        typer.echo(line)
    if not cost.can_decide:
        typer.echo("the longest level cannot decide every gate: it would be refused")
    typer.echo(
        f"\nthe first turns, if every reply is heard out {job.settings.load.reply_s:g} s after its "
        "due moment:"
    )
    typer.echo(f"{'due, s':>8}  {'caller':>6}  {'call':>4}  {'turn':>8}  {'speech, s':>9}")
    for turn in shown:
        place = f"{turn.number + 1} of {turn.call.turns}"
        typer.echo(
            f"{turn.due_s:8.2f}  {turn.call.caller + 1:6}  {turn.call.call + 1:4}  {place:>8}"
            f"  {turn.speech_s:9.2f}"
        )
