"""``voicebench tune``: sweep settings, print the trade-off, write the best."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.options import Config, Json, Set, effective_settings
from voicebench.cli.output import Force, check_free, print_json, write_text
from voicebench.errors import CannotMeasure, ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebench.report.tuning_table import Row
    from voicebench.settings import Effective
    from voicebench.tuning import Candidate, Sweep, Tried


def tune(
    config: Config = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B,C",
            help="Repeatable: any setting. Default: chunker.first_words=1,2,3,4.",
        ),
    ] = None,
    runs: Annotated[int | None, typer.Option(help="Measured turns of each candidate.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Turns before measuring.")] = None,
    target: Annotated[
        str | None, typer.Option(help="'cascade', or a simulated target 'sim:…'.")
    ] = None,
    results: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where run folders are made.")
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULT", help="Try chunk policies on a recorded run, without any model."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the best as a settings file.")
    ] = None,
    force: Force = False,
    assignments: Set = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Try settings in turn: who speaks soonest without stuttering.

    Every combination of the varied settings answers each prompt, interleaved. The best is the
    earliest whose audio keeps up; of those as early as that, the one with the longest chunks.

    Examples:

      voicebench tune

      voicebench tune --vary chunker.first_words=2,3 --vary run.threads=1,2 -o best.toml

      voicebench tune --replay results/20260101T120000Z-default
    """
    from voicebench.tuning import USUAL, best_of, candidates, parse_variation

    check_free(output, force=force)
    named = {"run.runs": runs, "run.warmup": warmup, "run.target": target, "run.results": results}
    base = effective_settings(config, assignments, named)
    found = candidates(base, [parse_variation(text) for text in vary or USUAL])
    sweep = _replay(replay, found) if replay is not None else _measure(found, quiet=quiet)
    tried = sweep.tried
    best = None if sweep.interrupted else best_of(tried)
    if best is None and not sweep.interrupted:
        raise CannotMeasure("no candidate brought a turn with audio", "look at the run folders")
    rows = [_row(one, is_best=one is best) for one in tried]
    if as_json:
        document: dict[str, object] = {
            "schema": 1,
            "replayed": replay is not None,
            "interrupted": sweep.interrupted is not None,
            "best": best.candidate.varied if best else None,
        }
        print_json(document | {"candidates": [row.as_dict() for row in rows]})
    else:
        _print(rows, "What if, by replay" if replay is not None else "Measured in turn")
    if sweep.interrupted:
        print(
            f"interrupted after {sweep.interrupted}: the candidates answered different prompts, "
            "so none is chosen",
            file=sys.stderr,
        )
        raise typer.Exit(ExitCode.INTERRUPTED)
    if output is not None and best is not None:
        write_text(output, _as_toml(base, best.candidate), force=force)
        if not quiet:
            print(
                f"settings: {output}; measure them with: voicebench run {output}", file=sys.stderr
            )


def _measure(found: Sequence[Candidate], *, quiet: bool) -> Sweep:
    from rich.console import Console

    from voicebench.cli.models import progress_of_models
    from voicebench.report.progress import Progress
    from voicebench.targets.opening import fetch_models
    from voicebench.tuning import check_candidate
    from voicebench.tuning import tune as measure

    console = Console(stderr=True, quiet=quiet)
    for candidate in found:
        check_candidate(candidate.effective.settings)
        with progress_of_models(console) as report:
            fetch_models(candidate.effective.settings, report)
    with Progress(console, quiet=quiet) as progress:
        return measure(found, progress)


def _replay(result: Path, found: Sequence[Candidate]) -> Sweep:
    from voicebench.replay import fit_voice, replay_turn, replayable
    from voicebench.results.columns import stream_turns
    from voicebench.results.reading import read_run
    from voicebench.tuning import REPLAYED, Sweep, tried_of

    other = {key for candidate in found for key in candidate.varied} - set(REPLAYED)
    if other:
        raise UsageError(
            f"--replay cannot vary {min(other)!r}: only how the reply is cut is replayed",
            f"vary {' or '.join(REPLAYED)}, or measure without --replay",
        )
    read_run(result)
    turns = list(stream_turns(result))
    voice = fit_voice(turns)
    tried = []
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
        tried.append(tried_of(candidate, replayed))
    return Sweep(tuple(tried))


def _row(one: Tried, *, is_best: bool) -> Row:
    from voicebench.report.tuning_table import Row, chunk_words

    first, later = chunk_words(one.turns)
    return Row(
        label=one.candidate.label,
        turns=one.side.columns.turns,
        first_audio_ms=one.figure("first_audio.p50"),
        gapless_start_ms=one.figure("gapless_start.p50"),
        deficit_ms=one.figure("worst_deficit.p50"),
        first_chunk_words=first,
        later_chunk_words=later,
        is_best=is_best,
    )


def _print(rows: Sequence[Row], title: str) -> None:
    from rich.console import Console

    from voicebench.report.console import WIDEST
    from voicebench.report.style import Printable
    from voicebench.report.tuning_table import tuning_sheet

    console = Console()
    width = min(console.width, WIDEST)
    console.print(Printable(tuning_sheet(rows, title)), width=width, highlight=False)


def _as_toml(base: Effective, best: Candidate) -> str:
    """Return the settings that differ from the defaults, and the best candidate's."""
    from voicebench.settings import lookup

    chosen = {key: lookup(base.settings, key) for key in base.origins} | dict(best.varied)
    lines = [f"# Written by voicebench tune: {best.label}"]
    lines += [f"{key} = {_value(chosen[key])}" for key in chosen if "." not in key]
    for section in dict.fromkeys(key.partition(".")[0] for key in chosen if "." in key):
        lines += ["", f"[{section}]"]
        lines += [
            f"{key.partition('.')[2]} = {_value(value)}"
            for key, value in chosen.items()
            if key.startswith(f"{section}.") and value is not None
        ]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """Return a value as TOML; its strings, numbers, booleans and lists are JSON's."""
    return json.dumps(value, ensure_ascii=True)
