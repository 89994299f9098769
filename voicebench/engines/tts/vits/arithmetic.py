"""What computes a voice: one kind of arithmetic behind another, alike to whoever speaks.

What goes in and what comes out is numpy, on the host. Where it is computed between the two, and in
which numbers, is the arithmetic's own affair. A voice's speaker is fixed when its arithmetic is
made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.engines.tts.vits.voice_shape import VitsShape


class Stream(Protocol):
    """An utterance on its way through flow and decoder."""

    def size_for(self, frames: int) -> int:
        """Return how many frames the next window should have, where ``frames`` are wanted."""
        ...

    def window(self, rows: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        """Return the samples (count,) that the frames ``rows`` (time, channels) add.

        With ``last`` the utterance ends with them. Nothing that is computed later writes into the
        samples. Raises `EngineError` where memory does not suffice.
        """
        ...


class Arithmetic(Protocol):
    """What computes a voice's network."""

    @property
    def shape(self) -> VitsShape:
        """The sizes of the network."""
        ...

    @property
    def device(self) -> str:
        """Where it is computed, as torch names devices: ``cpu``, ``cuda:0``."""
        ...

    @property
    def kernels(self) -> str:
        """What computes: ``torch`` or ``native``."""
        ...

    @property
    def dtype(self) -> str:
        """The number format of the decoder: ``float32``, ``bfloat16`` or ``float16``."""
        ...

    @property
    def replayed(self) -> bool:
        """Whether windows in the middle of an utterance are recorded once, and replayed."""
        ...

    def encode(
        self, symbols: NDArray[np.int64], drawn: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return mean and scale (n, channels) and log durations (n,) of ``symbols`` (n,).

        ``drawn`` is the noise (n, 2) of the durations. Raises `EngineError` where memory does not
        suffice.
        """
        ...

    def stream(self) -> Stream:
        """Begin an utterance."""
        ...
