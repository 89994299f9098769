"""Where a command's product goes: to stdout, or to a file that was not there before."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, TextIO

import typer

from voicebench.errors import UsageError, VoicebenchError

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="PATH", help="Write to this file instead of stdout."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]


def print_json(document: object, *, indent: int | None = 2) -> None:
    """Print one JSON document to stdout, in UTF-8 whatever the terminal's encoding is."""
    from voicebench.quoting import as_json

    write_text(None, as_json(document, indent=indent) + "\n", force=False)


def print_path(path: Path) -> None:
    """Print a path as it is called, byte for byte, so that a shell can go on with it."""
    with _stdout_in_utf8() as file:
        file.flush()
        file.buffer.write(os.fsencode(path) + b"\n")


def write_text(path: Path | None, text: str, *, force: bool) -> None:
    """Write ``text`` to ``path``, or to stdout where there is none; no terminal obeys any of it."""
    from voicebench.quoting import neutral

    write_with(path, lambda file: _write(file, neutral(text)), force=force)


def write_with(path: Path | None, write: Callable[[TextIO], None], *, force: bool) -> None:
    """Let ``write`` fill ``path``, or stdout where there is none; all of it or nothing.

    A document is UTF-8 wherever it goes: it says so itself, or a program expects it. Raises
    `UsageError` for a file that is there already unless ``force``, or that cannot be written.
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
    """Raise `UsageError` where ``path`` could not be written, before any work is done.

    ``option`` is how it was named, where a command writes more than one file.
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
    """Give a file that takes the place of ``path`` once it is whole; a pipe is written to at once.

    Raises `UsageError` as `check_free` does, and where the disk takes no more.
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
    """Make every delivery, whatever becomes of the others; then raise the first one's error."""
    errors = []
    for one in deliveries:
        try:
            one()
        except VoicebenchError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def real_path(path: Path) -> Path:
    """Return the file that ``path`` means; of a link that leads in a circle, the link itself."""
    return Path(os.path.realpath(path))


def _is_stream(path: Path) -> bool:
    """Tell whether ``path`` is a pipe or a device, of which nothing can take the place."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _write(file: TextIO, text: str) -> None:
    file.write(text)
