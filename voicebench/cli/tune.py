"""``voicebench tune``: sweep settings, print the trade-off, write the best."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.options import (
    Config,
    Json,
    Llm,
    Results,
    Set,
    Voice,
    effective_settings,
    meant_result,
)
from voicebench.cli.output import (
    Force,
    Page,
    check_free,
    check_page,
    print_json,
    print_sheet,
    write_text,
)
from voicebench.cli.server_options import KeyEnv, LlmUrl, Server, TtsUrl, server_settings
from voicebench.cli.shown import to_stderr
from voicebench.errors import CannotMeasure, ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebench.measuring.sweep import Candidate, CandidateResult, Sweep
    from voicebench.report.console.style import Sheet
    from voicebench.report.console.tuning_table import TradeOffRow
    from voicebench.settings import Effective


OF_THE_SWEEP = ("run.runs", "run.warmup", "run.results")
"""Settings of the sweep itself, not of a candidate."""


def tune(
    config: Config = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B,C",
            help="A setting and its values. Repeatable. Default: chunker.first_words=1,2,3,4.",
        ),
    ] = None,
    runs: Annotated[
        int | None, typer.Option(help="Number of measured turns of each candidate.")
    ] = None,
    warmup: Annotated[
        int | None, typer.Option(help="Number of warm-up turns of each candidate.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="'cascade', or a simulated target 'sim:…'.")
    ] = None,
    server: Server = None,
    llm_url: LlmUrl = None,
    tts_url: TtsUrl = None,
    key_env: KeyEnv = None,
    llm: Llm = None,
    voice: Voice = None,
    results: Results = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULT",
            help="Compute chunk sizes from a recorded run, without any model.",
            callback=meant_result,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the best values as a settings file."),
    ] = None,
    force: Force = False,
    assignments: Set = None,
    as_json: Json = False,
    page: Page = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")] = False,
) -> None:
    """Find the settings with the earliest first audio.

    Every combination of the varied settings is a candidate. All candidates answer each prompt,
    alternately. Of those whose audio keeps up and that are shown to be as early as the others,
    the one with the longest chunks is the best. If the turns are too few to decide, none is
    chosen (exit code 5).

    Examples:

      voicebench tune

      voicebench tune --vary chunker.first_words=2,3 --vary run.threads=1,2 -o best.toml

      voicebench tune --replay results/20260101T120000Z-default

      voicebench tune --runs 30 --html tuned.html
    """
    from rich.console import Console

    from voicebench.judging.best_setting import CandidateStanding
    from voicebench.measuring.sweep import USUAL, best_of, candidates, parse_variation
    from voicebench.report.console.tuning_table import choice_line, tuning_sheet

    check_free(output, force=force)
    check_page(page, force=force, option="--html")
    if as_json and page == Path("-"):
        raise UsageError("--json and --html both want stdout", "name a file: --html page.html")
    named = {
        "run.runs": runs,
        "run.warmup": warmup,
        "run.target": target,
        "run.results": results,
        "llm.model": llm,
        "tts.voice": voice,
    } | server_settings(server, llm_url=llm_url, tts_url=tts_url, target=target)
    base = effective_settings(config, assignments, named, key_env=key_env)
    found = candidates(base, [parse_variation(text) for text in vary or USUAL])
    sweep = _replay(replay, found) if replay is not None else _measure(found, quiet=quiet)
    choice = best_of(sweep.results)
    if not sweep.interrupted and set(choice.standings) <= {CandidateStanding.NOT_MEASURED}:
        raise CannotMeasure("no setting produced audio", "look at the run folders")
    invalid = any(result.invalid for result in sweep.results)
    stands = not (sweep.interrupted or invalid)
    best = sweep.results[choice.best].candidate if stands and choice.best is not None else None
    standings = [str(standing) if stands else "" for standing in choice.standings]
    rows = [
        _row(result, standing) for result, standing in zip(sweep.results, standings, strict=True)
    ]
    line = choice_line(choice, rows, invalid=invalid, interrupted=sweep.interrupted)
    if as_json:
        document: dict[str, object] = {
            "schema": 1,
            "replayed": replay is not None,
            "interrupted": sweep.interrupted is not None,
            "best": None if best is None else best.varied,
            "why": line,
            "turns_needed": choice.turns_needed if stands else None,
            "compared": choice.figure.name,
        }
        print_json(document | {"candidates": [row.as_dict() for row in rows]})
    title = "What if, by replay" if replay is not None else "Measured in turn"
    sheet = tuning_sheet(rows, title, line)
    command = ""
    if best is not None and output is not None:
        command = _command(base, config, output, best)
    if page is not None:
        _write_page(sweep, rows, sheet, (base.settings.run.name, line, command), page, force=force)
    if not as_json and page != Path("-"):
        print_sheet(Console(), sheet)
    if best is None:
        to_stderr(line)
        raise typer.Exit(ExitCode.INTERRUPTED if sweep.interrupted else ExitCode.UNDECIDED)
    if output is not None:
        write_text(output, _as_toml(best), force=force)
        if not quiet:
            to_stderr(f"settings: {output}; measure with: {command}")


def _measure(found: Sequence[Candidate], *, quiet: bool) -> Sweep:
    from rich.console import Console

    from voicebench.cli.models import fetch_with_progress
    from voicebench.measuring.sweep import check_candidate
    from voicebench.measuring.sweep import tune as measure
    from voicebench.report.console.progress import Progress

    console = Console(stderr=True, quiet=quiet)
    for candidate in found:
        check_candidate(candidate.effective.settings)
        fetch_with_progress(candidate.effective.settings, console)
    with Progress(console, quiet=quiet) as progress:
        return measure(found, progress)


def _replay(result: Path, found: Sequence[Candidate]) -> Sweep:
    from voicebench.judging.digest import digest_of
    from voicebench.measuring.sweep import REPLAYED, Sweep, result_of
    from voicebench.measuring.what_if import fit_voice, replay_turn, replayable
    from voicebench.results.batches import stream_turns
    from voicebench.results.run import read_run

    other = {key for candidate in found for key in candidate.varied} - set(REPLAYED)
    if other:
        raise UsageError(
            f"--replay cannot vary {min(other)!r}: only how the reply is cut is replayed",
            f"vary {' or '.join(REPLAYED)}, or measure without --replay",
        )
    run = read_run(result)
    if not run.complete or run.cut_line:
        to_stderr(f"{result} is incomplete: its run was interrupted")
    turns = list(stream_turns(run.path))
    voice = fit_voice(turns)
    results = []
    for candidate in found:
        chunker = candidate.effective.settings.chunker
        replayed = [
            replay_turn(
                turn,
                voice,
                first_words=chunker.first_words,
                later_words=chunker.later_words,
            )
            for turn in replayable(turns)
        ]
        results.append(result_of(candidate, digest_of(replayed)))
    return Sweep(tuple(results))


def _write_page(
    sweep: Sweep,
    rows: Sequence[TradeOffRow],
    sheet: Sheet,
    words: tuple[str, str, str],
    path: Path,
    *,
    force: bool,
) -> None:
    """Write the page; ``words`` are the run's name, the choice and the command to measure it."""
    from voicebench.figures.metrics import FIRST_AUDIO
    from voicebench.report.html.tuning_page import SweepPage, tuning_html

    name, line, command = words
    values = [result.side.columns.usable(FIRST_AUDIO) for result in sweep.results]
    content = SweepPage(f"Sweep: {name}", rows, values, sheet, line, command)
    write_text(path, tuning_html(content), force=force)


def _row(result: CandidateResult, standing: str) -> TradeOffRow:
    from voicebench.judging.best_setting import DEFICIT, FIRST_AUDIO, GAPLESS
    from voicebench.report.console.tuning_table import TradeOffRow, chunk_words

    first, later = chunk_words(result.chunks)
    summary = result.side.summary
    return TradeOffRow(
        label=result.candidate.label,
        turns=summary.turns,
        failed=summary.failed,
        first_audio_ms=FIRST_AUDIO.observe(summary)[0],
        first_audio_around=FIRST_AUDIO.interval(summary),
        gapless_start_ms=GAPLESS.observe(summary)[0],
        deficit_ms=DEFICIT.observe(summary)[0],
        first_chunk_words=first,
        later_chunk_words=later,
        standing=standing,
        noise=result.noise,
    )


def _command(base: Effective, config: Path | None, output: Path, best: Candidate) -> str:
    """Return the command that measures the best candidate as the sweep did."""
    chosen = {
        key: value
        for key, value in base.given.items()
        if base.origins[key] != str(config) and key not in (*OF_THE_SWEEP, *best.varied)
    }
    if config is not None:
        chosen |= best.varied
    sets = [
        f"{key}={value if isinstance(value, str) else _value(value)}"
        for key, value in chosen.items()
    ]
    options = [part for text in sets for part in ("--set", text)]
    return shlex.join(["voicebench", "run", str(config or output), *options])


def _as_toml(best: Candidate) -> str:
    """Return only the varied settings, with the best candidate's values."""
    varied = best.varied
    lines = [f"# What voicebench tune varied, at its best: {best.label}"]
    lines += [f"{key} = {_value(value)}" for key, value in varied.items() if "." not in key]
    for section in dict.fromkeys(key.partition(".")[0] for key in varied if "." in key):
        lines += ["", f"[{section}]"]
        lines += [
            f"{key.partition('.')[2]} = {_value(value)}"
            for key, value in varied.items()
            if key.startswith(f"{section}.")
        ]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """Return a value as TOML; its strings, numbers, booleans and lists are JSON's."""
    return json.dumps(value, ensure_ascii=True)
