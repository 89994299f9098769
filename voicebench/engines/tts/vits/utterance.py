"""From symbols to samples: an utterance is encoded once, then computed window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebench.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.speech_noise import Noise
    from voicebench.engines.tts.vits.arithmetic import Arithmetic

MOST_FRAMES = 1 << 18
"""A voice whose utterance has more frames (50 minutes) is damaged."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a voice speaks: the scales of its noise and of its durations, and its speaker."""

    noise_scale: float
    length_scale: float
    noise_w: float
    speaker: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """An encoded text: the prior of each symbol, and how many frames each symbol lasts."""

    mean: NDArray[np.float32]
    """(symbols, channels)"""
    scale: NDArray[np.float32]
    """(symbols, channels): the standard deviation times the noise scale."""
    symbol_of_frame: NDArray[np.int64]
    """(frames,)"""
    ends: NDArray[np.int64]
    """(symbols,): the frame at which the next symbol begins."""

    @property
    def frames(self) -> int:
        """Return how many frames the utterance lasts."""
        return self.symbol_of_frame.size


def encode(
    arithmetic: Arithmetic, symbols: Sequence[int], manner: Manner, noise: Noise
) -> Utterance:
    """Compute text encoder, durations and prior of ``symbols``.

    The speaker is that of ``arithmetic``; ``manner.speaker`` is not used. Raises `EngineError` if
    the durations are not usable numbers.
    """
    drawn = noise((len(symbols), 2)) * np.float32(manner.noise_w)
    mean, scale, log_durations = arithmetic.encode(np.array(symbols, np.int64), drawn)
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        lengths = np.exp(log_durations) * np.float32(manner.length_scale)
    counts = np.ceil(lengths)
    total = float(counts.sum())
    if not 0 <= total <= MOST_FRAMES:
        raise EngineError(
            f"the voice gives {len(symbols)} symbols a length of {total:g} frames",
            "set another length_scale, or fetch the voice again: its weights may be damaged",
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
    arithmetic: Arithmetic, utterance: Utterance, noise: Noise, sizes: Iterator[int]
) -> Iterator[NDArray[np.float32]]:
    """Yield the utterance's samples (count,), window by window, each computed when it is needed.

    ``sizes`` yields how many samples each window must have at least. The last window has the rest.
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


def frames(utterance: Utterance, start: int, stop: int, noise: Noise) -> NDArray[np.float32]:
    """Return the frames ``start`` to ``stop`` (stop − start, channels), drawn from their prior."""
    symbol = utterance.symbol_of_frame[start:stop]
    rows = utterance.scale[symbol]
    rows *= noise((stop - start, rows.shape[1]))
    rows += utterance.mean[symbol]
    return rows
