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
