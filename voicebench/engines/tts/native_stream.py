"""C code that both kinds of voices share: utterances window by window, and tiles of bfloat16."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NativeStream:
    """An utterance in C, which keeps what the next window needs: no row is computed twice."""

    def __init__(
        self,
        owner: object,
        library: ctypes.CDLL,
        compute: Callable[..., int],
        voice: int,
        *,
        per_row: int,
        width: int,
    ) -> None:
        """Begin an utterance of ``voice``, whose memory ``owner`` frees.

        ``compute`` turns each row into ``per_row`` results of ``width`` numbers. Raises
        `MemoryError`.
        """
        self._owner = owner  # its memory must outlive the stream
        self._library = library
        self._compute = compute
        self._voice = voice
        self._per_row = per_row
        self._width = width
        self._due = 0  # results of the rows so far that are not given yet
        self._stream = library.voicebench_voice_begin()
        if not self._stream:
            raise MemoryError("no memory for an utterance")

    def __del__(self) -> None:
        """Free what C holds."""
        if getattr(self, "_stream", None):
            self._library.voicebench_voice_end(self._stream)
            self._stream = None

    def results(self, rows: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        """Return the results (count, width) that the next ``rows`` (time, channels) complete."""
        rows = np.ascontiguousarray(rows, np.float32)
        self._due += rows.shape[0] * self._per_row
        found = np.empty((self._due, self._width), np.float32)
        given = self._compute(
            self._voice,
            self._stream,
            rows.ctypes.data,
            rows.shape[0],
            int(last),
            found.ctypes.data,
        )
        self._due -= given
        return found[:given]


def multiplies_bfloats(library: ctypes.CDLL) -> bool:
    """Return whether the processor multiplies tiles of bfloat16."""
    return bool(library.voicebench_voice_multiplies_bfloats())
