"""Options that several commands share, and how they become settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voicebench.settings import Effective

Config = Annotated[
    Path | None,
    typer.Argument(
        metavar="[CONFIG]", help="Settings file (TOML). Default: the built-in settings."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any setting, for example --set llm.max_tokens=40; `voicebench config` lists them.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="Computing device: auto, cpu, mps, cuda or cuda:N."),
]
Llm = Annotated[
    str | None,
    typer.Option("--llm", metavar="MODEL", help="Language model: name, folder, .gguf or hub id."),
]
Voice = Annotated[
    str | None,
    typer.Option("--voice", help="Voice: name, Piper .onnx file, or VitsModel folder or hub id."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document to stdout, and nothing else.")
]

Decide = Annotated[
    bool | None,
    typer.Option("--decide/--no-decide", help="Judge gates by their confidence interval."),
]
UntilDecided = Annotated[
    bool | None,
    typer.Option("--until-decided", help="Take more turns until every gate is decided."),
]
MaxRuns = Annotated[int | None, typer.Option(help="Measured turns at which --until-decided stops.")]
Baseline = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|latest|set|sprint:N", help="The run that this one may not be slower than."
    ),
]
MaxRegression = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="How much slower a figure may be, for example '10%'."),
]
AllowNoise = Annotated[
    bool | None,
    typer.Option("--allow-noise", help="Let the verdict stand on a machine too noisy for it."),
]


def share(text: str | None, option: str) -> float | None:
    """Return the share that an option names, as '10%' or '0.1'. Raises `UsageError`."""
    if text is None:
        return None
    from voicebench.figures import read_quantity

    return read_quantity(text.strip(), "share", option)


def effective_settings(
    config: Path | None, assignments: Sequence[str] | None, named: Mapping[str, object]
) -> Effective:
    """Return the settings: defaults, then ``config``, then ``--set``, then the named options.

    ``named`` maps a setting's key to its option's value; None means that it was not given.
    """
    from voicebench.settings import load_settings, parse_override

    overrides = dict(parse_override(text) for text in assignments or [])
    overrides |= {key: value for key, value in named.items() if value is not None}
    return load_settings(config, overrides)
