"""Options that several commands share, and how they become settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicebench.cli.shown import keep_secret
from voicebench.errors import UsageError

if TYPE_CHECKING:
    from voicebench.settings import Effective

Config = Annotated[
    Path | None,
    typer.Argument(
        metavar="[CONFIG]",
        help="Settings file (TOML), or the name of one that comes with voicebench, such as ollama. "
        "Default: voicebench.toml in the folder or above it, if there is one.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set any setting, for example llm.max_tokens=40; `voicebench config` lists them.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="Computing device: auto, cpu, mps, cuda or cuda:N."),
]
Llm = Annotated[
    str | None,
    typer.Option(
        "--llm", metavar="MODEL", help="Language model: name, folder, .gguf file or hub id."
    ),
]
Voice = Annotated[
    str | None,
    typer.Option("--voice", help="Voice: name, Piper .onnx file, or VitsModel folder or hub id."),
]
Json = Annotated[bool, typer.Option("--json", help="Print only one JSON document to stdout.")]

Name = Annotated[str | None, typer.Option(help="Name of the run, part of its run folder's name.")]
Results = Annotated[
    str | None,
    typer.Option(metavar="FOLDER", help="Results folder, in which run folders are made."),
]
NoGate = Annotated[bool, typer.Option("--no-gate", help="Judge by no gate.")]
Junit = Annotated[
    Path | None,
    typer.Option("--junit", metavar="PATH", help="Write JUnit XML with a test case for each gate."),
]
ResultFile = Annotated[
    Path | None,
    typer.Option(
        "--result-file",
        metavar="PATH",
        help="Write the path of the run folder to this file, for scripts.",
    ),
]
Prom = Annotated[
    Path | None,
    typer.Option(
        "--prom", metavar="PATH", help="Write the run for Prometheus' textfile collector."
    ),
]
Otlp = Annotated[
    str | None,
    typer.Option(
        "--otlp",
        metavar="URL",
        help="Send each turn as a trace to an OpenTelemetry collector: http://HOST:4318.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no advice.")]

Against = Annotated[
    Path | None,
    typer.Option(
        "--against",
        metavar="CONFIG2",
        help="Measure another settings file alternately (A B B A) on the same prompts. The options "
        "apply to both.",
    ),
]
Decide = Annotated[
    bool | None,
    typer.Option("--decide/--no-decide", help="Judge gates by their confidence interval."),
]
UntilDecided = Annotated[
    bool | None,
    typer.Option("--until-decided", help="Take more turns until every gate is decided."),
]
MaxRuns = Annotated[int | None, typer.Option(help="Largest number of turns for --until-decided.")]
Baseline = Annotated[
    str | None,
    typer.Option(
        metavar="RESULT|latest|set|sprint:N",
        help="Earlier run that this one must not be slower than: its folder, or one of the words.",
    ),
]
MaxRegression = Annotated[
    str | None,
    typer.Option(
        metavar="CHANGE", help="How much worse a figure may be: '10%', or a number below 1."
    ),
]
AllowNoise = Annotated[
    bool | None,
    typer.Option("--allow-noise", help="Keep the verdict even if the machine was too noisy."),
]


def own_results() -> Path:
    """Return the results folder that the folder's own settings file names, else ``results``."""
    from voicebench.settings.named_configs import own_results as found

    return found()


ResultsFolder = Annotated[
    Path,
    typer.Option(
        "--results",
        metavar="FOLDER",
        help="Results folder, which has the run folders.",
        default_factory=own_results,
        show_default="run.results",
    ),
]


def meant_result(value: Path | None) -> Path | None:
    """Return the run folder that an argument names, if it is given; see `meant_results`."""
    found = meant_results(None if value is None else [value])
    return None if found is None else found[0]


def meant_results(value: list[Path] | None) -> list[Path] | None:
    """Return the run folders that an argument names by path, by bare name, or as ``latest``."""
    if value is None:
        return None
    from voicebench.results.reading import find_result

    return [find_result(path, own_results()) for path in value]


def chosen_gates(gates: Sequence[str] | None, *, no_gate: bool) -> list[str] | None:
    """Return the gates that ``--gate`` and ``--no-gate`` stand for; None leaves the settings'.

    Raises `UsageError` if both are given.
    """
    if gates and no_gate:
        raise UsageError("--gate and --no-gate exclude each other", "give one of them")
    if no_gate:
        return []
    return list(gates) if gates else None


def change(text: str | None, option: str) -> str | None:
    """Return the limit on a change that an option names, as '10%' or '0.1'. Raises `UsageError`."""
    if text is None:
        return None
    from voicebench.figures.figure import read_change

    read_change(text, f"{option} {text!r}")
    return text


def seconds(text: str | None, option: str) -> float | None:
    """Return the seconds that an option names, as '30s' or '500ms'. Raises `UsageError`."""
    if text is None:
        return None
    from voicebench.figures.figure import read_quantity

    return read_quantity(text.strip(), "s", option)


def effective_settings(
    config: Path | None,
    assignments: Sequence[str] | None,
    named: Mapping[str, object],
    *,
    key_env: str | None = None,
    calls: bool = False,
) -> Effective:
    """Return the settings: defaults, then ``config``, then ``--set``, then the named options.

    ``named`` maps a setting's key to its option's value; None means that it was not given.
    ``key_env`` is the variable with the key of the one server that the settings name; for ``calls``
    that is the agent's.
    """
    from voicebench.cli.server_options import key_settings
    from voicebench.settings import load_settings, parse_override, secrets_of
    from voicebench.settings.named_configs import find_config

    overrides = dict(parse_override(text) for text in assignments or [])
    overrides |= {key: value for key, value in named.items() if value is not None}
    file = find_config(config)
    effective = load_settings(file, overrides)
    if key_env is not None:
        overrides |= key_settings(key_env, effective.settings, overrides, calls=calls)
        effective = load_settings(file, overrides)
    keep_secret(secrets_of(effective.settings))
    return effective
