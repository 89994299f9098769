"""``voicebench init``: write a settings file to start from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from voicebench.cli.output import Force, check_free, write_text
from voicebench.errors import UsageError


class Purpose(StrEnum):
    """The kinds of settings files."""

    LOCAL = "local"
    CI = "ci"
    SERVER = "server"
    CALL = "call"


_NEXT = {
    Purpose.LOCAL: "voicebench run",
    Purpose.CI: "voicebench run --junit voicebench.xml",
    Purpose.SERVER: "voicebench run",
    Purpose.CALL: "voicebench call english --agent URL",
}
_HEAD = {
    Purpose.LOCAL: "Every setting with its default. Take the # away from what you change.",
    Purpose.CALL: "Settings of `voicebench call`. Take the # away from what you change.",
}


def init(
    purpose: Annotated[
        Purpose, typer.Argument(help="What is measured: local, ci, server or call.")
    ] = Purpose.LOCAL,
    name: Annotated[
        str | None, typer.Argument(help="Kind of the server, such as ollama or vllm.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="File. Default: voicebench.toml."),
    ] = None,
    force: Force = False,
) -> None:
    """Write a commented settings file, which the commands find in the folder and above it.

    Examples:

      voicebench init

      voicebench init ci

      voicebench init server ollama
    """
    from voicebench.settings.named_configs import OWN_FILE, named_config, named_configs

    place = Path(OWN_FILE) if output is None else output
    if purpose is Purpose.SERVER and name is None:
        known = sorted(
            one for one, file in named_configs().items() if file.parent.name == "servers"
        )
        raise UsageError("init server needs the kind of the server", f"one of {', '.join(known)}")
    if purpose is not Purpose.SERVER and name is not None:
        raise UsageError(f"init {purpose} takes no name", f"leave {name!r} out")
    check_free(place, force=force)
    if purpose in _HEAD:
        text = _commented(purpose)
    else:
        text = named_config(name or purpose.value).read_text(encoding="utf-8")
    write_text(place, text, force=force)
    typer.echo(f"{place} is written; next: {_NEXT[purpose]}", err=True)


def _commented(purpose: Purpose) -> str:
    from voicebench.settings import load_settings
    from voicebench.settings.toml_text import toml_of

    sections = ("run", "call", "judge", "audible") if purpose is Purpose.CALL else None
    chosen = [
        setting
        for setting in load_settings()
        if sections is None or setting.key.partition(".")[0] in (*sections, "gates")
    ]
    return f"# {_HEAD[purpose]}\n\n{toml_of(chosen, commented=True)}"
