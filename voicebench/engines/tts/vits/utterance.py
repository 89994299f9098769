"""A text on its way to sound: encoded once, and then spoken window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from voicebench.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.vits.arithmetic import Arithmetic

MOST_FRAMES = 1 << 18
"""An utterance of more frames (50 minutes) is a broken voice."""


class NoiseSource(Protocol):
    """Where the normal noise of an utterance comes from."""

    def for_durations(self, symbols: int) -> NDArray[np.float32]:
        """Return (symbols, 2)."""
        ...

    def for_frames(self, frames: int, channels: int) -> NDArray[np.float32]:
        """Return the next (frames, channels)."""
        ...


@dataclass(frozen=True, slots=True)
class Manner:
    """How to speak: the voice's speaker and how much noise and length to give."""

    noise_scale: float
    length_scale: float
    noise_w: float
    speaker: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """A text that was encoded: the prior of each symbol, and how many frames each symbol lasts."""

    mean: NDArray[np.float32]
    """(symbols, channels)"""
    scale: NDArray[np.float32]
    """(symbols, channels): the standard deviation, times the noise scale."""
    symbol_of_frame: NDArray[np.int64]
    """(frames,)"""
    ends: NDArray[np.int64]
    """(symbols,): the frame with which the next symbol begins."""

    @property
    def frames(self) -> int:
        """Return how many frames the utterance lasts."""
        return self.symbol_of_frame.size


def encode(
    arithmetic: Arithmetic, symbols: Sequence[int], manner: Manner, noise: NoiseSource
) -> Utterance:
    """Compute what is needed once for ``symbols``: text encoder, durations, prior.

    The speaker is the arithmetic's, whatever ``manner`` says. Raises `EngineError` where the
    durations are no usable numbers.
    """
    drawn = noise.for_durations(len(symbols)) * np.float32(manner.noise_w)
    mean, scale, log_durations = arithmetic.encode(np.array(symbols, np.int64), drawn)
    with np.errstate(over="ignore", invalid="ignore"):  # looked at below
        lengths = np.exp(log_durations) * np.float32(manner.length_scale)
    counts = np.ceil(lengths)
    total = float(counts.sum())
    if not 0 <= total <= MOST_FRAMES:
        raise EngineError(
            f"the voice gives {len(symbols)} symbols a length of {total:g} frames",
            "the voice's weights are damaged, or its length_scale is far off",
        )
    counts = counts.astype(np.int64)
    if total == 0:
        counts[0] = 1
    return Utterance(
        mean=mean,
        scale=scale * np.float32(manner.noise_scale),
        symbol_of_frame=np.repeat(np.arange(counts.size), counts),
        ends=counts.cumsum(),
    )


def windows(
    arithmetic: Arithmetic, utterance: Utterance, noise: NoiseSource, sizes: Iterator[int]
) -> Iterator[NDArray[np.float32]]:
    """Yield the utterance's samples (count,), window by window.

    ``sizes`` says how many samples the next window must have at least; the last window has what is
    left. A window is computed when it is asked for.
    """
    stream = arithmetic.stream()
    taken = given = 0
    while taken < utterance.frames:
        wanted = arithmetic.shape.frames_for(given + next(sizes))
        upto = min(max(wanted, taken + 1), utterance.frames)
        upto = min(taken + stream.size_for(upto - taken), utterance.frames)
        rows = frames(utterance, taken, upto, noise)
        samples = stream.window(rows, last=upto == utterance.frames)
        taken = upto
        given += samples.size
        if samples.size:
            yield samples


def frames(utterance: Utterance, start: int, stop: int, noise: NoiseSource) -> NDArray[np.float32]:
    """Return the utterance's frames (stop − start, channels), drawn from their prior."""
    symbol = utterance.symbol_of_frame[start:stop]
    rows = utterance.scale[symbol]
    rows *= noise.for_frames(stop - start, rows.shape[1])
    rows += utterance.mean[symbol]
    return rows
