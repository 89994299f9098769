"""Limits of a system and a shell: the width of a line, memory, names, disks, open files."""

from __future__ import annotations

import errno
import os
import re

from voicebench.errors import CannotMeasure, UsageError, VoicebenchError

LEAST_COLUMNS = 10
MOST_COLUMNS = 10_000

LEAST_MEMORY_BYTES = 400_000_000
"""Address space that every command needs, mostly for numpy."""

_MEMORY_MESSAGES = re.compile(
    r"failed to map segment|cannot allocate memory|can't allocate memory|out of memory|"
    r"can't start new thread|not enough memory|std::bad_alloc",
    re.IGNORECASE,
)
"""Messages of the system's loader, torch and threads when memory runs out."""


def forget_impossible_width() -> None:
    """Remove ``COLUMNS`` if its width is unusable, so that the terminal's own width counts."""
    try:
        fits = LEAST_COLUMNS <= int(os.environ.get("COLUMNS", LEAST_COLUMNS)) <= MOST_COLUMNS
    except ValueError:
        fits = False
    if not fits:
        del os.environ["COLUMNS"]


def check_memory_limit() -> None:
    """Raise `CannotMeasure` if memory is limited to less than every command needs.

    With any limit, OpenBLAS gets one thread: it takes 30 MB for each core, and with too little
    memory it ends the process or hangs.
    """
    from voicebench.machine.environment import address_space_limit

    limit = address_space_limit()
    if limit is None:
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if limit < LEAST_MEMORY_BYTES:
        raise CannotMeasure(
            f"memory is limited to {limit // 10**6} MB, and voicebench needs "
            f"{LEAST_MEMORY_BYTES // 10**6} MB for any command",
            "raise the limit (ulimit -v)",
        )


def refusal(error: BaseException) -> VoicebenchError | None:
    """Return the error for a limit of the system; None for any other error.

    Most code that opens a file raises its own error. This covers the rest: names that are too long,
    a full disk, too many open files.
    """
    if not isinstance(error, OSError) or error.errno not in _REFUSED:
        return None
    named = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    kind, remedy = _REFUSED[error.errno]
    return kind(f"{named}{error.strerror}", remedy)


_REFUSED: dict[int, tuple[type[VoicebenchError], str]] = {
    errno.ENAMETOOLONG: (UsageError, "give a shorter name"),
    errno.ELOOP: (UsageError, "a link leads in a circle: name a file"),
    errno.ENOSPC: (CannotMeasure, "free space there"),
    errno.EDQUOT: (CannotMeasure, "free space there"),
    errno.EROFS: (CannotMeasure, "choose a place that can be written"),
    errno.EIO: (CannotMeasure, "look after the disk"),
    errno.EMFILE: (CannotMeasure, "let more files be open at a time: ulimit -n 1024"),
    errno.ENFILE: (CannotMeasure, "close other programs"),
}


def is_about_memory(error: BaseException | None) -> bool:
    """Return whether an error, or an error that caused it, says that memory ran out."""
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, MemoryError):
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        if isinstance(error, ImportError | OSError | RuntimeError) and _MEMORY_MESSAGES.search(
            str(error)
        ):
            return True
        error = error.__cause__ or error.__context__
        seen += 1
    return False
