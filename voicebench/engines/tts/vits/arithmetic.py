"""Interface between a voice and the code that computes its network (C or torch).

All arguments and results are numpy arrays in host memory, whatever the device. The speaker of a
voice is fixed when its arithmetic is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.engines.tts.vits.voice_shape import VitsShape


class Stream(Protocol):
    """One utterance, computed window by window: flow and decoder."""

    def size_for(self, frames: int) -> int:
        """Return how many frames the next window should have if ``frames`` are wanted."""
        ...

    def window(self, rows: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        """Return the samples (count,) that the frames ``rows`` (time, channels) add.

        ``last`` marks the last window of the utterance. Later calls do not overwrite the returned
        samples. Raises `EngineError` if memory does not suffice.
        """
        ...


class Arithmetic(Protocol):
    """A voice's network, ready to compute."""

    shape: VitsShape
    """The sizes of the network."""
    device: str
    """The device that computes, as torch names it: ``cpu``, ``cuda:0``."""
    kernels: str
    """The code that computes: ``torch`` or ``native``."""
    dtype: str
    """The number format of the decoder: ``float32``, ``bfloat16`` or ``float16``."""
    library_facts: dict[str, object]
    """What a description says of the C library; empty for torch."""

    @property
    def replayed(self) -> bool:
        """Whether windows in the middle of an utterance are recorded once and replayed."""
        ...

    def encode(
        self, symbols: NDArray[np.int64], drawn: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return mean and scale (n, channels) and log durations (n,) of ``symbols`` (n,).

        ``drawn`` is the noise (n, 2) of the durations. Raises `EngineError` if memory does not
        suffice.
        """
        ...

    def stream(self) -> Stream:
        """Begin an utterance."""
        ...
