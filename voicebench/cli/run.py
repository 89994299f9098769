"""``voicebench run``: settings, target, turns, summary, verdicts, tables, exit code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli import ci
from voicebench.cli.against import run_against
from voicebench.cli.options import (
    Against,
    AllowNoise,
    Baseline,
    Config,
    Decide,
    Device,
    Json,
    Junit,
    Llm,
    MaxRegression,
    MaxRuns,
    Name,
    NoGate,
    Otlp,
    Prom,
    Quiet,
    ResultFile,
    Results,
    Set,
    UntilDecided,
    Voice,
    change,
    chosen_gates,
    effective_settings,
    seconds,
)
from voicebench.cli.otlp import check_otlp, publish_traces
from voicebench.cli.outcome import exit_code, publish, write_csv
from voicebench.cli.output import check_free, deliver, real_path
from voicebench.cli.server_options import KeyEnv, LlmUrl, Server, TtsUrl, server_settings
from voicebench.errors import UsageError

if TYPE_CHECKING:
    from voicebench.results.run import RecordedRun
    from voicebench.settings import Effective


def run(
    config: Config = None,
    name: Name = None,
    target: Annotated[
        str | None,
        typer.Option(help="'cascade', or a simulated target such as 'sim:ttft=120ms,ttfb=70ms'."),
    ] = None,
    runs: Annotated[int | None, typer.Option(help="Number of measured turns.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Number of warm-up turns.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Use this prompt in every turn.")] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|SET", help="Prompt set: a text or JSONL file, or a built-in set."
        ),
    ] = None,
    turns_per_conversation: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Group the turns into conversations, each turn with its history."
        ),
    ] = None,
    llm: Llm = None,
    voice: Voice = None,
    device: Device = None,
    sequential: Annotated[
        bool | None,
        typer.Option(
            "--sequential/--overlap",
            help="Start to speak after the whole reply, or while it is being written.",
        ),
    ] = None,
    first_words: Annotated[int | None, typer.Option(help="Words in the first text chunk.")] = None,
    later_words: Annotated[int | None, typer.Option(help="Words in later text chunks.")] = None,
    server: Server = None,
    llm_url: LlmUrl = None,
    tts_url: TtsUrl = None,
    key_env: KeyEnv = None,
    cold_connection: Annotated[
        bool | None,
        typer.Option("--cold-connection", help="Open a new connection inside every turn."),
    ] = None,
    idle_gap: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Also measure idle turns, each after a silence of this length: 30s, 500ms.",
        ),
    ] = None,
    pause: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Silence before each measured turn.")
    ] = None,
    gates: Annotated[
        list[str] | None,
        typer.Option(
            "--gate", metavar="GATE", help="A limit such as 'first_audio.p95 < 300ms'. Repeatable."
        ),
    ] = None,
    no_gate: NoGate = False,
    results: Results = None,
    save_audio: Annotated[
        bool | None, typer.Option("--save-audio", help="Save the audio of each turn as a WAV file.")
    ] = None,
    against: Against = None,
    decide: Decide = None,
    until_decided: UntilDecided = None,
    max_runs: MaxRuns = None,
    baseline: Baseline = None,
    max_regression: MaxRegression = None,
    allow_noise: AllowNoise = None,
    assignments: Set = None,
    as_json: Json = False,
    csv_path: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="PATH", help="Write a CSV with one row for each turn; '-' is stdout."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing CSV.")] = False,
    junit: Junit = None,
    result_file: ResultFile = None,
    prom: Prom = None,
    otlp: Otlp = None,
    quiet: Quiet = False,
) -> None:
    """Measure voice turns and judge them.

    Examples:

      voicebench run

      voicebench run configs/ci.toml --gate 'first_audio.p95 < 300ms'

      voicebench run --runs 40 --sequential --json > result.json

      voicebench run --baseline latest --max-regression 10%

      voicebench run --turns-per-conversation 10 --runs 100

      voicebench run --until-decided --max-runs 200

      voicebench run a.toml --against b.toml

      voicebench run --target 'sim:ttft=120ms,token=8ms,ttfb=70ms,speed=4x'
    """
    files = {
        "--csv": csv_path, "--junit": junit, "--result-file": result_file, "--prom": prom,
    }  # fmt: skip
    with ci.failures_reported(None):
        _check_apart(files, as_json=as_json)
    with ci.failures_reported(junit), ci.forgotten_on_failure(prom):
        for option, path in files.items():
            check_free(path, force=force or option != "--csv", option=option)
        ci.forget(junit, result_file)
        named = {
            "run.name": name,
            "run.target": target,
            "run.runs": runs,
            "run.warmup": warmup,
            "run.prompt": prompt,
            "run.prompts": prompts,
            "run.turns_per_conversation": turns_per_conversation,
            "run.device": device,
            "run.sequential": sequential,
            "run.pause_s": pause,
            "run.results": results,
            "run.save_audio": save_audio,
            "llm.model": llm,
            "tts.voice": voice,
            "chunker.first_words": first_words,
            "chunker.later_words": later_words,
            "judge.decide": decide,
            "judge.until_decided": until_decided,
            "judge.max_runs": max_runs,
            "judge.baseline": baseline,
            "judge.max_regression": change(max_regression, "--max-regression"),
            "judge.allow_noise": allow_noise,
            "gates": chosen_gates(gates, no_gate=no_gate),
            "run.idle_gap_s": seconds(idle_gap, "--idle-gap"),
            "wire.cold_connection": cold_connection,
            "otlp.url": otlp,
        } | server_settings(server, llm_url=llm_url, tts_url=tts_url, target=target)
        effective = effective_settings(config, assignments, named, key_env=key_env)
        check_otlp(effective.settings)
        if against is not None:
            if any(files.values()) or otlp is not None:
                raise UsageError(
                    "--csv, --junit, --result-file, --prom and --otlp are of one run",
                    "see the run folders of both",
                )
            other = effective_settings(against, assignments, named, key_env=key_env)
            raise typer.Exit(run_against(effective, other, as_json=as_json, quiet=quiet))
        recorded = _measure(effective, quiet=quiet)
    deliver(
        lambda: publish(recorded, as_json=as_json, csv_path=csv_path, quiet=quiet),
        lambda: write_csv(recorded, csv_path),
        lambda: ci.publish(recorded, junit),
        lambda: ci.write_folder(recorded.path, result_file),
        lambda: ci.write_prom(recorded, prom),
        lambda: publish_traces(recorded, effective.settings),
    )
    raise typer.Exit(exit_code(recorded))


def _check_apart(files: Mapping[str, Path | None], *, as_json: bool) -> None:
    """Raise `UsageError` if two outputs would go to one place."""
    taken = {Path("-"): "--json"} if as_json else {}
    for option, path in files.items():
        if path is None:
            continue
        place = path if path == Path("-") else real_path(path)
        other = taken.setdefault(place, option)
        if other == option:
            continue
        if path == Path("-"):
            first = other if other == "--json" else f"{other} -"
            raise UsageError(f"{first} and {option} - both want stdout", f"give {option} a file")
        raise UsageError(f"{other} and {option} both name {path}", "name two files")


def _measure(effective: Effective, *, quiet: bool) -> RecordedRun:
    from rich.console import Console

    from voicebench.cli.models import fetch_with_progress
    from voicebench.measuring.session import check_session, run_session
    from voicebench.report.console.progress import Progress

    console = Console(stderr=True, quiet=quiet)
    check_session(effective.settings)
    fetch_with_progress(effective.settings, console)
    with Progress(console, quiet=quiet) as progress:
        return run_session(effective, progress)
