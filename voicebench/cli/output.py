"""Where a command's product goes: to stdout, or to a file that was not there before."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from voicebench.errors import UsageError

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="PATH", help="Write to this file instead of stdout."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")]


def write_text(path: Path | None, text: str, *, force: bool) -> None:
    """Write ``text`` to ``path``, or to stdout where there is none."""
    write_with(path, lambda file: _write(file, text), force=force)


def write_with(path: Path | None, write: Callable[[TextIO], None], *, force: bool) -> None:
    """Let ``write`` fill ``path``, or stdout where there is none; all of it or nothing.

    Raises `UsageError` for a file that is there already unless ``force``, or that cannot be
    written.
    """
    if path is None or path == Path("-"):
        write(sys.stdout)
        return
    with whole_file(path, force=force) as file:
        write(file)


def check_free(path: Path | None, *, force: bool) -> None:
    """Raise `UsageError` where ``path`` could not be written, before any work is done."""
    if path is None or path == Path("-"):
        return
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file", "name a file in it")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", "give --force to replace it")
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}", "make it")


@contextmanager
def whole_file(path: Path, *, force: bool) -> Iterator[TextIO]:
    """Give a file that takes the place of ``path`` once it is whole."""
    check_free(path, force=force)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("x", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror})", "name another with -o"
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _write(file: TextIO, text: str) -> None:
    file.write(text)
