"""Interface between a hibari voice and the code that computes its network (torch or C)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.engines.tts.speech_noise import Noise


class FrameStream(Protocol):
    """The decoder's way through one utterance."""

    def window(self, rows: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        """Take the next frames ``rows`` (frames, 130); return the parts (count, 5 * 601).

        A frame's parts come as soon as the 27 frames behind it are known. With ``last`` the
        utterance ends with these frames, and the parts of all are returned.
        """
        ...


class FrameWaveform(Protocol):
    """An utterance's samples, made of its frames' parts in order, in windows of any size."""

    def add(self, parts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the samples (count,) that the next frames' parts (frames, 5 * 601) complete."""
        ...


class FrameNetwork(Protocol):
    """The network of a hibari voice.

    With ``hurried`` a step uses all the threads that it can: a listener waits for it, and nothing
    else computes. Elsewhere one thread costs less processor time.
    """

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
        """The number format of the decoder: ``float32`` or ``bfloat16``."""
        ...

    @property
    def replayed(self) -> bool:
        """Whether recorded windows are replayed, on a GPU."""
        ...

    @property
    def library_facts(self) -> dict[str, object]:
        """What a description says of the C library; empty for torch."""
        ...

    def read(
        self, symbols: NDArray[np.int64], *, hurried: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Encode the phonemes ``symbols`` (n,).

        Return the features for the decoder (n, 128), those for the prosody (n, 192), and log
        durations (n,). Raises `EngineError` if the text is too long.
        """
        ...

    def prosody(self, rows: NDArray[np.float32], *, hurried: bool = False) -> NDArray[np.float32]:
        """Return pitch and energy of the frames ``rows`` (frames of 25 ms, 192).

        The result (frames, 4) has the pitch of both halves of a frame, then their energy.
        """
        ...

    def stream(self, *, hurried: bool = False) -> FrameStream:
        """Begin an utterance; its first window is ``hurried``."""
        ...

    def waveform(self, pitch: NDArray[np.float32], noise: Noise, first: int = 0) -> FrameWaveform:
        """Begin the samples of an utterance with the pitch in Hz (frames,) of all frames.

        ``noise`` (frames, 1202) is drawn for each frame. The first ``first`` frames (0, or 2 or
        more) are left out.
        """
        ...
