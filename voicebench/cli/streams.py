"""Standard output and error as a shell hands them over: closed, without a reader, full, or plain.

The exit code says what was found out, so nothing that happens to a stream may change it, but one:
what did not fit on a full disk is missing where somebody will look for it, and that is an error.

- A stream that is closed (``>&-``) writes nowhere. Its number is taken, so that no file of a run
  gets it by chance.
- A reader that has seen enough (``| head -1``), or a terminal that is gone, ends the output and
  nothing else.
- A character that the stream's encoding lacks is written in one that it has.
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
"""The error handler of an encoder that writes a plain character for one that it lacks."""

_NO_READER = (errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.ENXIO)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Write to the standard streams, while this lasts, in the way that the module describes.

    A stream that somebody has put in the place of Python's own is left alone.
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
    """An open file by its number. What nobody takes any more goes to the null device.

    ``name_when_full`` is how an error calls the stream, once, where a disk takes no more; None to
    pass over that too.
    """

    def __init__(self, number: int, name_when_full: str | None) -> None:
        super().__init__(number, "w", closefd=False)
        self._name_when_full = name_when_full

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what there is room for, and wait for room. Raises `UsageError` for a full disk."""
        try:
            while (written := super().write(data)) is None:  # somebody made it non-blocking
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
    """Return a stream of ours in the encoding of Python's; that one is None where it is closed."""
    raw = Descriptor(number, name_when_full)
    encoding = "utf-8" if stream is None else stream.encoding
    is_shown = raw.isatty() or name_when_full is None
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors=PLAIN, line_buffering=is_shown)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what stands for the characters that could not be encoded, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    from voicebench.report.console.style import spell

    lacking = error.object[error.start : error.end]
    # Half a surrogate pair is a byte of a file's name that is no UTF-8; no encoding has it.
    shown = "".join(
        f"\\u{ord(one):04x}" if "\ud800" <= one <= "\udfff" else spell(one, "ascii")
        for one in lacking
    )
    return shown, error.end
