"""Write the document of a command to stdout, or to a new file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from voicebench.errors import UsageError, VoicebenchError

if TYPE_CHECKING:
    from rich.console import Console

    from voicebench.report.console.style import Sheet

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="PATH", help="Write to this file instead of stdout."),
]
Page = Annotated[
    Path | None,
    typer.Option("--html", metavar="PATH", help="Write a page that opens offline."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]


def print_json(document: object, *, indent: int | None = 2) -> None:
    """Print one JSON document to stdout, always in UTF-8."""
    from voicebench.quoting import as_json

    write_text(None, as_json(document, indent=indent) + "\n", force=False)


def print_sheet(console: Console, sheet: Sheet) -> None:
    """Print a table on ``console``, not wider than people read well."""
    from voicebench.report.console.console import WIDEST
    from voicebench.report.console.style import Printable

    console.print(Printable(sheet), width=min(console.width, WIDEST), highlight=False)


def print_path(path: Path) -> None:
    """Print the exact bytes of a path, so that a shell can use it."""
    with _stdout_in_utf8() as file:
        file.flush()
        file.buffer.write(os.fsencode(path) + b"\n")


def write_text(path: Path | None, text: str, *, force: bool) -> None:
    """Write ``text`` to ``path``, else to stdout, without control characters."""
    from voicebench.quoting import neutral

    write_with(path, lambda file: file.write(neutral(text)), force=force)


def write_with(path: Path | None, write: Callable[[TextIO], object], *, force: bool) -> None:
    """Let ``write`` fill ``path``, else stdout, in UTF-8. A file appears whole or not at all.

    Raises `UsageError` for a file that exists, unless ``force``, or that cannot be written.
    """
    if path is None or path == Path("-"):
        with _stdout_in_utf8() as file:
            write(file)
        return
    with whole_file(path, force=force) as file:
        write(file)


@contextmanager
def _stdout_in_utf8() -> Iterator[TextIOWrapper]:
    from voicebench.format import HALF_PAIRS

    sys.stdout.flush()
    file = TextIOWrapper(sys.stdout.buffer, "utf-8", errors=HALF_PAIRS, newline="")
    try:
        yield file
        file.flush()
    finally:
        file.detach()


def check_free(path: Path | None, *, force: bool, option: str = "") -> None:
    """Raise `UsageError` if ``path`` cannot be written, before any work is done.

    ``option`` names the path in the message, for a command that writes several files.
    """
    if path is None or path == Path("-"):
        return
    named = f"{option} {path}".strip()
    try:
        _check_place(path, named, force=force)
    except OSError as error:  # a name that is too long for the system
        raise UsageError(
            f"{named} cannot be written ({error.strerror})", "name another file"
        ) from None


def check_page(path: Path | None, *, force: bool, option: str = "-o") -> None:
    """Raise `UsageError` if a page cannot be drawn, or not be written to ``path``.

    A terminal is no place for it. None means no page; ``option`` is the one that names the file.
    """
    if path is None:
        return
    from voicebench.machine.extras import require

    require("html", "take another format")
    if path == Path("-") and sys.stdout.isatty():
        raise UsageError("a page is not for a terminal", f"name a file: {option} report.html")
    check_free(path, force=force)


def _check_place(path: Path, named: str, *, force: bool) -> None:
    if path.is_dir():
        raise UsageError(f"{named} is a folder, not a file", "name a file in it")
    if _is_stream(path):
        return
    if path.exists() and not force:
        raise UsageError(f"{named} is there already", "give --force to replace it")
    folder = real_path(path).parent
    if not folder.is_dir():
        raise UsageError(f"{named} cannot be written: there is no folder {folder}", "make it")
    if not os.access(folder, os.W_OK):
        raise UsageError(
            f"{named} cannot be written: nothing can be written in {folder}",
            "name a file in another folder",
        )


@contextmanager
def whole_file(path: Path, *, force: bool) -> Iterator[TextIO]:
    """Yield a file that replaces ``path`` once it is whole; a pipe is written to directly.

    Raises `UsageError` as `check_free` does, and for a full disk.
    """
    from voicebench.format import HALF_PAIRS

    check_free(path, force=force)
    place = real_path(path)  # a link goes on pointing to the file
    is_stream = _is_stream(path)
    unfinished = path if is_stream else place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with unfinished.open(
            "w" if is_stream else "x", encoding="utf-8", errors=HALF_PAIRS, newline=""
        ) as file:
            yield file
        if not is_stream:
            unfinished.replace(place)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror})",
            "free space there, or name a file in another place",
        ) from None
    finally:
        if not is_stream:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)


def deliver(*deliveries: Callable[[], None]) -> None:
    """Make every delivery, even if one fails; then raise the first error."""
    errors = []
    for delivery in deliveries:
        try:
            delivery()
        except VoicebenchError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def real_path(path: Path) -> Path:
    """Return the file that ``path`` links to; a circular link is returned itself."""
    return Path(os.path.realpath(path))


def _is_stream(path: Path) -> bool:
    """Return whether ``path`` is a pipe or a device, which no file may replace."""
    return path.exists() and not path.is_file() and not path.is_dir()
