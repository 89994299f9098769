"""Read many turns in batches, on all cores.

Reading a turn's line and computing its metrics takes some 200 µs. The lines of a large file go in
batches to one process per core, and the results come back in order. Only a few batches are in work
at a time, so the memory does not grow with the file. Small files are read in this process, which is
faster.
"""

from __future__ import annotations

import errno
import gc
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

from voicebench.errors import ResultsError
from voicebench.machine.environment import core_count
from voicebench.results.codec import decode_line
from voicebench.results.folder import TURNS
from voicebench.turn.timeline import Timeline

BATCH = 500
SHARED_FROM_BYTES = 16_000_000
"""From this size on it pays to start more processes, which takes half a second each."""
MOST_PROCESSES = 8
HEAD_BYTES = 64
"""The number of a turn is within this many bytes of the beginning of its line."""
MAX_LINE_BYTES = 16_000_000
"""A longer line is not a turn. Reading stops there, so that a foreign file fills no memory."""

Made = TypeVar("Made")
Work = Callable[[Sequence[Timeline]], Made]
Line = tuple[int, bytes]
Decode = Callable[[bytes, str], Timeline]
"""Read a line; the text names the file and the line. Raises `ResultsError`."""


class _Batch(NamedTuple):
    """Lines of one file, and the number of the first."""

    path: Path
    first: int
    lines: Sequence[bytes]


class _Answer(NamedTuple):
    """The result of a batch, and the numbers of its first and last turn."""

    made: object
    first_turn: int
    last_turn: int


def regular(path: Path) -> Path:
    """Return ``path``. Raises `OSError` if it is not a file: reading a pipe would wait for ever.

    If it does not exist, opening it raises the error.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return path


def is_cut(turns: Path) -> bool:
    """Return whether the last line of the file was cut off while it was being written."""
    with turns.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1))
        return size > 0 and file.read(1) != b"\n"


def map_turns(
    folder: Path,
    work: Work[Made],
    *,
    finished_only: bool = False,
    decode: Decode = decode_line,
) -> Iterator[Made]:
    """Yield the result of ``work`` for each batch of turns in ``folder``, in order.

    ``work`` must be a function of a module (or a `functools.partial` of one), so that other
    processes can call it. A last line that was cut off is skipped. With ``finished_only`` so is a
    last turn that the user interrupted. ``decode`` reads a line, and is a function of a module too.
    Raises `ResultsError` for a line that is not a turn, and for a file with turns of several runs.
    """
    path = folder / TURNS
    lines = whole_lines(path)
    last = 0
    lines = _finished(path, lines) if finished_only else lines
    for number, answer in _answers(path, lines, work, decode):
        if answer.first_turn <= last:
            raise _mixed(path, number, answer.first_turn, last)
        last = answer.last_turn
        yield answer.made  # type: ignore[misc]


def stream_turns(folder: Path) -> Iterator[Timeline]:
    """Yield the turns of the run folder, one at a time, in order.

    Skips and raises as `map_turns` does.
    """
    yield from turns_of(folder / TURNS, whole_lines(folder / TURNS))


def turn_numbered(folder: Path, turn: int) -> Timeline:
    """Return one turn of the run folder by its number. Raises `ResultsError`."""
    path = folder / TURNS
    mark = b'"turn":%d,' % turn
    for number, line in whole_lines(path):
        if mark in line[:HEAD_BYTES]:
            found = decode_line(line, f"{path}, line {number}")
            if found.turn == turn:
                return found
    raise ResultsError(f"{path} no longer has turn {turn}", "read it when nothing writes to it")


def whole_lines(path: Path) -> Iterator[Line]:
    """Yield each line of ``path`` with its number, except a last one that was cut off.

    Raises `ResultsError` if the file cannot be read or a line is too long for a turn.
    """
    try:
        with regular(path).open("rb") as file:
            lines = iter(partial(file.readline, MAX_LINE_BYTES + 1), b"")
            for number, line in enumerate(lines, start=1):
                if len(line) > MAX_LINE_BYTES:
                    raise ResultsError(
                        f"{path}, line {number} is too long for a turn",
                        "name a folder that `voicebench run` made",
                    )
                if line.endswith(b"\n"):
                    yield number, line
    except OSError as error:
        raise ResultsError(f"{path} cannot be read ({error.strerror})") from None


def turns_of(path: Path, lines: Iterable[Line], decode: Decode = decode_line) -> Iterator[Timeline]:
    """Yield the turns of ``lines``. Raises `ResultsError` unless their numbers rise."""
    last = 0
    for number, line in lines:
        turn = decode(line, f"{path}, line {number}")
        if turn.turn <= last:
            raise _mixed(path, number, turn.turn, last)
        last = turn.turn
        yield turn


def _mixed(path: Path, line: int, turn: int, last: int) -> ResultsError:
    return ResultsError(
        f"{path}, line {line}: turn {turn} comes after turn {last}",
        "the file has the turns of several runs; compare their own folders",
    )


def _finished(path: Path, lines: Iterable[Line]) -> Iterator[Line]:
    """Yield ``lines`` without a last one of a turn that the user interrupted."""
    held: Line | None = None
    for line in lines:
        if held is not None:
            yield held
        held = line
    if held is not None and not _is_interrupted(path, held):
        yield held


def _is_interrupted(path: Path, line: Line) -> bool:
    number, content = line
    if b'"fault":"interrupted"' not in content:
        return False
    failure = decode_line(content, f"{path}, line {number}").failure
    return failure is not None and failure.fault == "interrupted"


def _answers(
    path: Path, lines: Iterable[Line], work: Work[Made], decode: Decode
) -> Iterator[tuple[int, _Answer]]:
    """Yield the answer to each batch with the number of its first line."""
    processes = min(core_count() or 1, MOST_PROCESSES)
    batches = _batches(path, lines)
    if processes == 1 or not path.is_file() or path.stat().st_size < SHARED_FROM_BYTES:
        yield from ((batch.first, _answer(work, decode, batch)) for batch in batches)
        return
    waiting: deque[tuple[int, Future[_Answer]]] = deque()
    # Not forked, because a forked copy of a process with threads may wait for a lock for ever.
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_prepare
    ) as pool:
        try:
            for batch in batches:
                waiting.append((batch.first, pool.submit(_answer, work, decode, batch)))
                if len(waiting) > 2 * processes:
                    number, future = waiting.popleft()
                    yield number, future.result()
            while waiting:
                number, future = waiting.popleft()
                yield number, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _batches(path: Path, lines: Iterable[Line]) -> Iterator[_Batch]:
    rest = iter(lines)
    while found := list(islice(rest, BATCH)):
        yield _Batch(path, found[0][0], [line for _, line in found])


def _answer(work: Work[Made], decode: Decode, batch: _Batch) -> _Answer:
    turns = list(turns_of(batch.path, enumerate(batch.lines, start=batch.first), decode))
    return _Answer(work(turns), turns[0].turn, turns[-1].turn)


def _prepare() -> None:
    """Leave Ctrl-C to the main process, and collect no garbage: turns have no cycles."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
