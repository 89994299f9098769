"""Standard output and error in every state that a shell may give them.

The exit code is the result of the command, so a broken stream must not change it. Only a full disk
is an error, because output that somebody will look for is missing.

- Output to a closed stream (``>&-``) is dropped. Its number is taken, so that no file of a run gets
  it.
- If the reader ends (``| head -1``) or the terminal is gone, the rest of the output is dropped.
- A character that the stream's encoding lacks is replaced by a similar one.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from voicebench.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PLAIN = "voicebench.plain"
"""Name of the error handler that replaces characters which an encoding lacks."""

_NO_READER = (errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.ENXIO)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Replace the standard streams during the block.

    A stream that is no longer Python's own, such as one of a test, stays.
    """
    _take_closed_numbers()
    codecs.register_error(PLAIN, _plain)
    before = sys.stdout, sys.stderr
    if sys.stdout is sys.__stdout__:
        sys.stdout = _opened(sys.stdout, 1, "stdout")
    if sys.stderr is sys.__stderr__:
        sys.stderr = _opened(sys.stderr, 2, None)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


class Descriptor(io.FileIO):
    """An open file by its number. After an error, output goes to the null device.

    ``name_when_full`` names the stream in the error for a full disk, which is raised once. With
    None, a full disk is no error.
    """

    def __init__(self, number: int, name_when_full: str | None) -> None:
        super().__init__(number, "w", closefd=False)
        self._name_when_full = name_when_full

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what fits now; wait if nothing fits. Raises `UsageError` for a full disk."""
        try:
            while (written := super().write(data)) is None:  # another program made it non-blocking
                select.select([], [self], [])
        except OSError as error:
            self._write_nowhere()
            if error.errno not in _NO_READER and self._name_when_full is not None:
                raise UsageError(
                    f"{self._name_when_full} cannot be written ({error.strerror})",
                    "free space there, or write to another place",
                ) from None
            return memoryview(data).nbytes
        return written

    def _write_nowhere(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def _take_closed_numbers() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one


def _opened(stream: TextIO | None, number: int, name_when_full: str | None) -> TextIO:
    """Return a stream in the encoding of Python's ``stream``, which is None if it is closed."""
    raw = Descriptor(number, name_when_full)
    encoding = "utf-8" if stream is None else stream.encoding
    is_shown = raw.isatty() or name_when_full is None
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors=PLAIN, line_buffering=is_shown)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return the replacement for characters that cannot be encoded, and where to continue."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    from voicebench.report.console.style import spell

    lacking = error.object[error.start : error.end]
    # Half a surrogate pair is a byte of a file's name that is not UTF-8; no encoding has it.
    shown = "".join(
        f"\\u{ord(one):04x}" if "\ud800" <= one <= "\udfff" else spell(one, "ascii")
        for one in lacking
    )
    return shown, error.end
