"""Samples: their level, the first audible one, and their 16-bit form.

Everywhere in voicebench *pcm* is float32 mono, shape ``(samples,)``, full scale ±1. This module is
pure numpy and knows no clock, file or device.

**Audible.** Voices begin with tens of milliseconds of near silence. A signal is audible if the RMS
over 10 ms frames, taken every 1 ms, the mean removed, stays above 0.01 of full scale for at least
20 ms. Computed exactly so:

- Frame ``k`` is the ``frame_ms`` of samples from ``floor(k * hop_ms * rate / 1000)`` on. Only
  frames that lie wholly inside the signal count.
- The mean is removed **per frame**, not over the whole signal. So a constant offset counts as
  silence, even if it begins with the speech, and later samples cannot change whether this moment is
  silent. Rumble far below a voice (under about 30 Hz) weighs little.
- "At least 20 ms" are 20 consecutive frames above the threshold. Each frame counts for its hop, not
  its width: otherwise a 5 ms click, which is in 14 frames, would last 23 ms. The shortest audible
  signal has 29 ms.
- The first frame of such a run has sound *somewhere*: a sharp onset is in its last hop. The first
  audible sample is the **first sample of the first hop inside that frame in which any sample is
  further than the threshold from the level of the silence before**. That level is the median of the
  hop before the frame (at the beginning of the signal: of the first hop). So the result is on the
  1 ms grid, less than one hop before the first loud sample, and not up to 10 ms earlier. A tone
  from the first sample on gives 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATES = range(4000, 192_001)
"""Allowed sample rates in Hz."""

INT16_STEPS = 32768
"""Steps of a 16-bit sample per full scale: int16 −32768 is −1.0, +32767 is just under +1.0."""

BLOCK_FRAMES = 2048
"""Frames per block, two seconds of sound at 1 ms hops; no effect on the result."""


@dataclass(frozen=True, slots=True)
class AudibleRule:
    """The constants of "audible", all positive. They are stored with every result."""

    threshold: float = 0.01
    """RMS that sound exceeds, as a share of full scale (0.01 = −40 dBFS)."""
    frame_ms: float = 10.0
    """Width of the frame whose RMS is taken."""
    hop_ms: float = 1.0
    """Distance from one frame to the next: the resolution of the result."""
    min_ms: float = 20.0
    """How long the RMS has to stay above the threshold."""


def first_audible_sample(
    pcm: NDArray[np.float32], sample_rate: int, rule: AudibleRule | None = None
) -> int | None:
    """Return the index of the first audible sample of ``pcm``, or None if nothing is audible.

    ``pcm`` is float32 mono, ``(samples,)``, at ``sample_rate`` Hz. The module's docstring defines
    "audible". A sample that is not a number or infinite counts as 0.
    """
    rule = rule or AudibleRule()
    width = max(1, round(sample_rate * rule.frame_ms / 1000))
    hop = sample_rate * rule.hop_ms / 1000
    starts = _frame_starts(pcm.size, width, hop)
    first = _first_audible_frame(pcm, starts, width, rule)
    if first is None:
        return None
    start = int(starts[first])
    quiet_from = int(starts[first - 1]) if first else 0
    quiet_to = start if first else _hop_start(1, hop)
    level = _median(_numbers(pcm[quiet_from : max(quiet_to, quiet_from + 1)]))
    # The frame's RMS about its own mean is above the threshold, so it is about any level: at least
    # one sample is further away than the threshold, and argmax finds the first.
    away = np.abs(_numbers(pcm[start : start + width]) - level) > rule.threshold
    return _hop_holding(start + int(np.argmax(away)), hop)


def audible_runs(
    pcm: NDArray[np.float32], sample_rate: int, rule: AudibleRule | None = None
) -> list[tuple[int, int]]:
    """Return where ``pcm`` is audible: first sample and the sample after the last, in order.

    ``pcm`` is float32 mono, ``(samples,)``. A run of loud frames is audible if it lasts long
    enough. Its begin is that of `first_audible_sample`, and its end is the same in reverse.
    """
    rule = rule or AudibleRule()
    width = max(1, round(sample_rate * rule.frame_ms / 1000))
    starts = _frame_starts(pcm.size, width, sample_rate * rule.hop_ms / 1000)
    needed = ceil(rule.min_ms / rule.hop_ms)
    loud = np.zeros(starts.size, dtype=np.bool_)
    for begin in range(0, starts.size, BLOCK_FRAMES):
        block = starts[begin : begin + BLOCK_FRAMES]
        signal = _numbers(pcm[block[0] : block[-1] + width])
        variance = _frame_variance(signal, block - block[0], width)
        loud[begin : begin + block.size] = variance > rule.threshold**2
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    runs: list[tuple[int, int]] = []
    for first, after in zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True):
        if after - first < needed:
            continue
        # With one frame of silence on either side, as far as there is one.
        start = int(starts[max(first - 1, 0)])
        stop = min(pcm.size, int(starts[min(after, starts.size - 1)]) + width)
        piece = pcm[start:stop]
        head = first_audible_sample(piece, sample_rate, rule)
        tail = first_audible_sample(piece[::-1], sample_rate, rule)
        if head is not None and tail is not None:
            runs.append((start + head, stop - tail))
    return runs


def peak(pcm: NDArray[np.float32]) -> float:
    """Return the largest magnitude in ``pcm`` as a share of full scale; 0.0 for no samples."""
    return float(np.max(np.abs(pcm))) if pcm.size else 0.0


def rms(pcm: NDArray[np.float32]) -> float:
    """Return the root mean square of ``pcm`` as a share of full scale; 0.0 for no samples."""
    return float(np.sqrt(np.mean(np.square(pcm, dtype=np.float64)))) if pcm.size else 0.0


def clipped_samples(pcm: NDArray[np.float32]) -> int:
    """Return how many samples are at or beyond the largest int16 value, 32767/32768."""
    return int(np.count_nonzero(np.abs(pcm) >= (INT16_STEPS - 1) / INT16_STEPS))


def to_int16(pcm: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return ``pcm`` as 16-bit samples: times 32768, rounded to nearest, clipped to what fits.

    The exact inverse of `from_int16`. +1.0 becomes 32767. A sample that is not a number becomes 0.
    """
    # Clipped before it is scaled, so that a large sample cannot overflow float32.
    bounded = np.clip(np.nan_to_num(pcm, nan=0.0), -1.0, 1.0)
    steps = np.rint(bounded * np.float32(INT16_STEPS))
    samples: NDArray[np.int16] = np.minimum(steps, INT16_STEPS - 1).astype(np.int16)
    return samples


def from_int16(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return 16-bit samples as float32 in [-1, 1): divided by 32768, exact."""
    return samples.astype(np.float32) / np.float32(INT16_STEPS)


def mix_down(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean over the channels of ``frames`` ``(samples, channels)`` as mono.

    The mean, not the sum: two equal channels stay as loud as each, and nothing clips.
    """
    if frames.shape[1] == 1:
        return np.ascontiguousarray(frames[:, 0])
    mono: NDArray[np.float32] = frames.mean(axis=1, dtype=np.float32)
    return mono


def _hop_start(index: int, hop: float) -> int:
    """Return the first sample of hop ``index``; 1e-6 corrects binary fractions of 22.05."""
    return floor(index * hop + 1e-6)


def _hop_holding(sample: int, hop: float) -> int:
    """Return the first sample of the hop that holds ``sample``."""
    index = int(sample / hop) + 1
    while _hop_start(index, hop) > sample:
        index -= 1
    return _hop_start(index, hop)


def _frame_starts(samples: int, width: int, hop: float) -> NDArray[np.int64]:
    """Return where the frames begin that lie wholly inside a signal; ``hop`` is in samples."""
    if samples < width:
        return np.zeros(0, dtype=np.int64)
    # One more than can fit; the same rounding as everywhere drops those beyond the end.
    count = int((samples - width) / hop) + 2
    starts = np.floor(np.arange(count) * hop + 1e-6).astype(np.int64)
    inside: NDArray[np.int64] = starts[starts + width <= samples]
    return inside


def _first_audible_frame(
    pcm: NDArray[np.float32], starts: NDArray[np.int64], width: int, rule: AudibleRule
) -> int | None:
    """Return the number of the first frame of the first long enough run of loud frames.

    Block by block: most speech starts in the first, and a block fits into the processor's cache.
    """
    needed = ceil(rule.min_ms / rule.hop_ms)
    loud = np.zeros(starts.size, dtype=np.bool_)
    for begin in range(0, starts.size, BLOCK_FRAMES):
        block = starts[begin : begin + BLOCK_FRAMES]
        origin = block[0]
        signal = _numbers(pcm[origin : block[-1] + width])
        variance = _frame_variance(signal, block - origin, width)
        loud[begin : begin + block.size] = variance > rule.threshold**2
        # From the start each time, because a run may have begun in the block before.
        first = _first_run(loud[: begin + block.size], needed)
        if first is not None:
            return first
    return None


def _median(signal: NDArray[np.float64]) -> float:
    # numpy's own imports numpy.ma when it is first called: 15 ms of a first turn.
    ordered = np.sort(signal)
    return float(ordered[(ordered.size - 1) // 2] + ordered[ordered.size // 2]) / 2


def _numbers(pcm: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the samples in double precision; those that are not finite become 0."""
    signal = pcm.astype(np.float64)
    if not np.isfinite(signal).all():
        signal[~np.isfinite(signal)] = 0.0
    return signal


def _frame_variance(
    signal: NDArray[np.float64], starts: NDArray[np.int64], width: int
) -> NDArray[np.float64]:
    """Return the squared RMS of each frame about its own mean, from running sums."""
    sums = np.concatenate(([0.0], np.cumsum(signal)))
    squares = np.concatenate(([0.0], np.cumsum(np.square(signal))))
    mean = (sums[starts + width] - sums[starts]) / width
    variance: NDArray[np.float64] = (squares[starts + width] - squares[starts]) / width - mean**2
    return variance


def _first_run(loud: NDArray[np.bool_], length: int) -> int | None:
    """Return the begin of the first run of at least ``length`` true values, or None."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    begins, ends = edges[0::2], edges[1::2]
    long_enough = np.flatnonzero(ends - begins >= length)
    return int(begins[long_enough[0]]) if long_enough.size else None
