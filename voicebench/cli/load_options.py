"""Options that ``load`` and ``capacity`` share, and what both print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.options import chosen_gates, effective_settings, seconds
from voicebench.cli.output import check_free, deliver, print_json
from voicebench.cli.server_options import server_settings
from voicebench.errors import CannotMeasure, ExitCode, ResultsError, UsageError

if TYPE_CHECKING:
    from voicebench.load.cost import LevelCost
    from voicebench.load.recorded.load_run import LoadRun
    from voicebench.load.running.level_run import LoadOutcome
    from voicebench.load.running.load_job import LoadJob
    from voicebench.settings import Effective

Target = Annotated[
    str | None,
    typer.Option(
        help="'cascade', 'voice' or 'realtime' as the settings have it, or a simulated target such "
        "as 'sim:slots=8,service=exp:200ms'."
    ),
]
Agent = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Speak to an agent: ws(s)://…, in the protocol of call.api. The callers have a voice.",
    ),
]
Script = Annotated[
    str | None,
    typer.Option(
        metavar="SCRIPT", help="Script of the spoken calls: a TOML file, 'english' or 'french'."
    ),
]
For = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", help="Longest measured window of a level: 90s, 10m."),
]
Ramp = Annotated[str | None, typer.Option(metavar="TIME", help="Time over which the callers join.")]
Seed = Annotated[int | None, typer.Option(help="Number that all draws come from.")]
Interrupt = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE MOMENT",
        help="Turns that the caller interrupts, and when after first audio: '20% exp:1.5s'.",
    ),
]
Faults = Annotated[
    str | None,
    typer.Option(
        metavar="SHARES",
        help="Turns that meet a fault of the network: 'reset=1%,slow=2%,stall=1%'.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Take the turns from all machines of a Ray cluster: auto, or HOST:6379.",
    ),
]
Soak = Annotated[
    bool,
    typer.Option("--soak", help="Fail if latency, memory or connections keep rising."),
]
Gates = Annotated[
    list[str] | None,
    typer.Option(
        "--gate",
        metavar="GATE",
        help="A limit such as 'first_audio_due.p95 < 300ms' or 'errors.rate <= 1%'. Repeatable.",
    ),
]
Quick = Annotated[
    bool,
    typer.Option("--quick", help="Ask for shares of 95 % at most: a fifth of the turns."),
]
Permitted = Annotated[
    list[str] | None,
    typer.Option(
        "--permitted",
        metavar="HOST",
        help="A host whose owner allows more than 10 callers. Repeatable.",
    ),
]
SameMachine = Annotated[
    bool,
    typer.Option(
        "--same-machine", help="Let engines in this process share the cores with the client."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan and what it costs, and hold no level.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")]


def load_settings_of(
    *,
    name: str | None,
    target: str | None,
    server: str | None,
    llm_url: str | None,
    tts_url: str | None,
    llm: str | None,
    voice: str | None,
    agent: str | None = None,
    script: str | None = None,
    results: str | None,
    longest: str | None,
    ramp: str | None,
    seed: int | None,
    interrupt: str | None = None,
    faults: str | None = None,
    ray: str | None = None,
    soak: bool = False,
    gates: Sequence[str] | None,
    no_gate: bool = False,
    quick: bool = False,
) -> dict[str, object]:
    """Return the settings that the shared options stand for. Raises `UsageError`."""
    from voicebench.settings import CALL_TARGET

    if agent is not None and (target is not None or server is not None):
        raise UsageError("--agent excludes --target and --server", "give one of them")
    return {
        "run.name": name,
        "run.target": target if agent is None else CALL_TARGET,
        "call.url": agent,
        "call.script": script,
        "run.results": results,
        "llm.model": llm,
        "tts.voice": voice,
        "load.for_s": _time(longest, "--for"),
        "load.ramp_s": _time(ramp, "--ramp"),
        "load.seed": seed,
        "load.interrupt": interrupt,
        "load.faults": faults,
        "load.ray": ray,
        "load.soak": soak or None,
        "load.quick": quick or None,
        "load.gates": chosen_gates(gates, no_gate=no_gate),
    } | server_settings(server, llm_url=llm_url, tts_url=tts_url, target=target)


@contextmanager
def load_files(junit: Path | None, result_file: Path | None) -> Iterator[None]:
    """Check the files that a command writes, and report what ends it to the CI service.

    Raises `UsageError` for files that cannot be written.
    """
    from voicebench.cli import ci

    with ci.failures_reported(junit):
        for option, path in (("--junit", junit), ("--result-file", result_file)):
            check_free(path, force=True, option=option)
        if junit is not None and result_file is not None and junit == result_file:
            raise UsageError(f"--junit and --result-file both name {junit}", "name two files")
        ci.forget(junit, result_file)
        yield


def _time(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    if text.strip().endswith("ms"):
        return seconds(text, option)
    from voicebench.load.rates import read_time

    return read_time(text, option)


def with_spoken_gates(
    config: Path | None,
    assignments: Sequence[str] | None,
    named: dict[str, object],
    *,
    key_env: str | None = None,
) -> Effective:
    """Return the settings; callers who speak have gates of their own unless others are given."""
    from voicebench.load.load_gate import LOAD_GATES, SPOKEN_GATES
    from voicebench.settings import CALL_TARGET

    def read(values: dict[str, object]) -> Effective:
        calls = values.get("run.target") == CALL_TARGET
        return effective_settings(config, assignments, values, key_env=key_env, calls=calls)

    effective = read(named)
    given = effective.settings
    if given.run.target == CALL_TARGET and given.load.gates == list(LOAD_GATES):
        return read(named | {"load.gates": list(SPOKEN_GATES)})
    return effective


def fetch_models_of(job: LoadJob, *, quiet: bool) -> None:
    """Fetch the models of engines in process. Raises `CannotMeasure` for a server that is down."""
    from rich.console import Console

    from voicebench.cli.models import fetch_voice_of_caller, fetch_with_progress
    from voicebench.load.running.refusals import is_spoken

    console = Console(stderr=True, quiet=quiet)
    if is_spoken(job.settings):
        fetch_voice_of_caller(job.settings, console)
        return
    fetch_with_progress(job.settings, console)


def publish_load(
    outcome: LoadOutcome,
    *,
    as_json: bool,
    quiet: bool,
    junit: Path | None,
    result_file: Path | None,
) -> ExitCode:
    """Print a run under load, read back from its folder, and write its files; return its exit code.

    Raises `CannotMeasure` if no turn was answered.
    """
    from voicebench.cli import ci
    from voicebench.load.recorded.load_run import read_load_run
    from voicebench.results.reading import object_in, texts_in

    try:
        run = read_load_run(outcome.path)
    except ResultsError as error:
        if outcome.word == "INTERRUPTED":
            raise KeyboardInterrupt from None  # before a turn had ended
        level = object_in(outcome.document, "level")
        why = "; ".join(texts_in(level, "reasons")) or error.message
        raise CannotMeasure(f"no turn has ended: {why}", f"see {outcome.path}") from None
    deliver(
        lambda: _print(run, as_json=as_json, quiet=quiet),
        lambda: ci.publish_load(run, junit),
        lambda: ci.write_folder(run.path, result_file),
    )
    if run.final.word == "NOTHING MEASURED":
        raise CannotMeasure("no turn was answered", f"the turns are in {outcome.path}")
    return run.final.exit_code


def _print(run: LoadRun, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json({**run.document(), "folder": str(run.path)})
        return
    from rich.console import Console

    from voicebench.report.console.load_console import print_load_runs

    print_load_runs(Console(), [run])
    if not quiet:
        typer.echo(f"run folder: {run.path}", err=True)


def cost_lines(cost: LevelCost) -> list[str]:
    """Return what a level costs, in sentences."""
    lines = [
        f"about {cost.turns_per_s:.3g} turns a second; the first {cost.first_s:.0f} s and more are "
        "dropped until the level is steady",
        f"measured for at most {cost.longest_s:.0f} s: {cost.blocks} blocks of "
        f"{cost.block_s:.0f} s, about {cost.turns:.0f} turns",
    ]
    lines += [
        f"{gate.gate.gate.text}: {100 * gate.gate.share:g} % of the turns; if none is bad, "
        f"{gate.fixed_n} turns show it, and {gate.turns} with a look after each block"
        for gate in cost.gates
    ]
    if cost.gates:
        lines.append(f"decided after {cost.seconds_to_decide / 60:.1f} minutes if no turn is bad")
    if cost.gates and not cost.can_decide:
        lines.append("too short to decide its gates, so without --dry-run it is refused")
    return lines
