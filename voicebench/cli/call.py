"""``voicebench call``: call an agent, speak to it by a script, interrupt it, and judge it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli import ci
from voicebench.cli.options import (
    AllowNoise,
    Baseline,
    Decide,
    Json,
    Junit,
    Llm,
    MaxRegression,
    Name,
    NoGate,
    Otlp,
    Prom,
    Quiet,
    Results,
    Set,
    UntilDecided,
    change,
    chosen_gates,
    effective_settings,
)
from voicebench.cli.otlp import check_otlp, publish_traces
from voicebench.cli.outcome import exit_code, publish
from voicebench.cli.output import check_free, deliver, print_json
from voicebench.cli.server_options import KeyEnv, LlmUrl, TtsUrl, server_settings
from voicebench.errors import UsageError

if TYPE_CHECKING:
    from voicebench.calls.call_script import CallScript
    from voicebench.measuring.call_session import CallJob
    from voicebench.results.run import RecordedRun


def call(
    script: Annotated[
        str | None,
        typer.Argument(
            metavar="[SCRIPT]", help="Script of the call: a TOML file, 'english' or 'french'."
        ),
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The agent: 'local', a simulated one such as 'sim:wait=500ms,stop=250ms', or the "
            "URL of a server.",
        ),
    ] = None,
    key_env: KeyEnv = None,
    llm: Llm = None,
    llm_url: LlmUrl = None,
    tts_url: TtsUrl = None,
    calls: Annotated[int | None, typer.Option(min=1, help="Number of measured calls.")] = None,
    warmup: Annotated[int | None, typer.Option(min=0, help="Calls before measuring.")] = None,
    voice: Annotated[
        str | None, typer.Option(help="Voice of the caller; 'synthetic' says no words.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read the script, print its steps, and call nobody.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Settings file (TOML), or the name of one; see run."
        ),
    ] = None,
    name: Name = None,
    gates: Annotated[
        list[str] | None,
        typer.Option(
            "--gate",
            metavar="GATE",
            help="A limit such as 'response.p95 < 800ms' or 'cut_in.rate <= 5%'. Repeatable.",
        ),
    ] = None,
    no_gate: NoGate = False,
    results: Results = None,
    save_audio: Annotated[
        bool | None,
        typer.Option(
            "--save-audio", help="Keep each call as a WAV file: the caller left, the agent right."
        ),
    ] = None,
    decide: Decide = None,
    until_decided: UntilDecided = None,
    max_calls: Annotated[
        int | None, typer.Option(min=1, help="Largest number of calls for --until-decided.")
    ] = None,
    baseline: Baseline = None,
    max_regression: MaxRegression = None,
    allow_noise: AllowNoise = None,
    assignments: Set = None,
    as_json: Json = False,
    junit: Junit = None,
    prom: Prom = None,
    otlp: Otlp = None,
    quiet: Quiet = False,
) -> None:
    """Call an agent and speak to it; measure when it answers and whether it stops.

    The caller speaks the lines of a script, pauses, interrupts and coughs. Latency counts from his
    last audible sample to the agent's first.

    Examples:

      voicebench call --agent 'sim:wait=500ms,reply=100ms,voice=100ms' --voice synthetic

      voicebench call my-script.toml --check

      voicebench call --agent ws://127.0.0.1:8765/call --calls 20 --save-audio
    """
    with ci.failures_reported(junit), ci.forgotten_on_failure(prom):
        check_free(junit, force=True, option="--junit")
        check_free(prom, force=True, option="--prom")
        ci.forget(junit)
        named = {
            "call.script": script,
            "call.url": agent,
            "llm.model": llm,
            "call.calls": calls,
            "call.warmup": warmup,
            "call.voice": voice,
            "call.gates": chosen_gates(gates, no_gate=no_gate),
            "run.name": name,
            "run.results": results,
            "run.save_audio": save_audio,
            "judge.decide": decide,
            "judge.until_decided": until_decided,
            "judge.baseline": baseline,
            "judge.max_regression": change(max_regression, "--max-regression"),
            "judge.allow_noise": allow_noise,
            "otlp.url": otlp,
        } | server_settings(None, llm_url=llm_url, tts_url=tts_url)
        effective = effective_settings(config, assignments, named, key_env=key_env, calls=True)
        check_otlp(effective.settings)
        _check_of_local_agent(
            effective.settings.call.url,
            {"--llm": llm, "--llm-url": llm_url, "--tts-url": tts_url},
        )
        if check:
            from voicebench.calls.running.line_rendering import read_playable_script

            _print_script(read_playable_script(effective.settings.call.script), as_json=as_json)
            return
        if max_calls is not None:
            from voicebench.calls.running.script_files import read_script

            steps = read_script(effective.settings.call.script).steps
            named["judge.max_runs"] = max_calls * len(steps)
            effective = effective_settings(config, assignments, named, key_env=key_env, calls=True)
        from voicebench.measuring.call_session import check_call

        recorded = _measure(check_call(effective), quiet=quiet)
    deliver(
        lambda: publish(recorded, as_json=as_json, csv_path=None, quiet=quiet),
        lambda: ci.publish(recorded, junit),
        lambda: ci.write_prom(recorded, prom),
        lambda: publish_traces(recorded, effective.settings),
    )
    raise typer.Exit(exit_code(recorded))


def _check_of_local_agent(agent: str | None, options: Mapping[str, str | None]) -> None:
    """Raise `UsageError` for an option of the agent in this process if another one is called."""
    if agent in (None, "local"):
        return
    for option, value in options.items():
        if value is not None:
            raise UsageError(
                f"{option} has no effect on another agent than 'local'", "leave it out"
            )


def _measure(job: CallJob, *, quiet: bool) -> RecordedRun:
    from rich.console import Console

    from voicebench.cli.models import fetch_voice_of_caller
    from voicebench.measuring.call_session import run_calls
    from voicebench.report.console.call_progress import call_line

    console = Console(stderr=True, quiet=quiet)
    fetch_voice_of_caller(job.settings, console)
    total = job.settings.call.calls
    return run_calls(
        job,
        lambda line: console.print(line, style="dim", highlight=False, markup=False),
        lambda _call, turns: console.print(call_line(turns, total), highlight=False, markup=False),
    )


def _print_script(script: CallScript, *, as_json: bool) -> None:
    steps = [
        {
            "step": number,
            "kind": step.kind,
            "says": step.said or step.wav,
            "at_ms": step.at_ms,
            "expect": step.expect,
            "limit_ms": step.limit_ms,
        }
        for number, step in enumerate(script.steps, start=1)
    ]
    if as_json:
        packets = {"loss": script.packets.loss, "jitter_ms": script.packets.jitter_ms}
        head = {"schema": 1, "name": script.name, "line": script.line, "packets": packets}
        print_json(head | {"steps": steps})
        return
    typer.echo(f"{script.name}: {len(steps)} steps, language {script.language}, {script.line}")
    if not script.packets.is_clean:
        lost, late = 100 * script.packets.loss, script.packets.jitter_ms
        typer.echo(f"{lost:g} % of the caller's packets are lost, others up to {late:g} ms late")
    for step in steps:
        at = "" if step["at_ms"] is None else f" {step['at_ms']:g} ms into the answer"
        typer.echo(
            f"{step['step']:>4}  {step['kind']:<12}  expect {step['expect']} within "
            f"{step['limit_ms']:g} ms{at}: {step['says']}"
        )
