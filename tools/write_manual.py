"""Write the manual page of the command, made from its help: `python tools/write_manual.py FILE`.

The page is for `man`: roff with the macros of the package *man*.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

import voicebench
from voicebench.cli import app


def main(arguments: list[str]) -> int:
    """Write the page to the file that is named, else to standard output."""
    text = page()
    if arguments:
        Path(arguments[0]).write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


def page() -> str:
    """Return the manual page."""
    command: Any = typer.main.get_command(app)
    parts = [
        f'.TH VOICEBENCH 1 "" "voicebench {voicebench.__version__}" "User Commands"',
        ".SH NAME",
        "voicebench \\- measure how fast a voice assistant starts to speak",
        ".SH SYNOPSIS",
        ".B voicebench",
        "COMMAND [OPTIONS] [ARGUMENTS]",
        ".SH DESCRIPTION",
        _text(command.help or ""),
        ".SH COMMANDS",
        *_commands("voicebench", command),
    ]
    return "\n".join(parts) + "\n"


def _commands(path: str, group: Any) -> Iterator[str]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _commands(f"{path} {name}", command)
            continue
        yield f'.SS "{path} {name}"'
        yield _text(command.help or "")
        for parameter in command.params:
            yield from _parameter(parameter)


def _parameter(parameter: Any) -> Iterator[str]:
    said = getattr(parameter, "help", None) or ""
    if parameter.param_type_name == "argument":
        words = parameter.metavar or parameter.name.upper()
    else:
        words = ", ".join([*parameter.opts, *parameter.secondary_opts])
        if parameter.metavar:
            words += f" {parameter.metavar}"
    yield ".TP"
    yield f".B {_escaped(words)}"
    yield _text(said) or "\\&"


def _text(text: str) -> str:
    """Return paragraphs as roff; a line cannot begin with a control character."""
    paragraphs = inspect.cleandoc(text.replace("\b", "")).split("\n\n")
    return "\n.PP\n".join(_escaped(" ".join(one.split())) for one in paragraphs if one.strip())


def _escaped(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
