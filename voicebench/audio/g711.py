"""G.711: the two codings of telephone speech, 8 bits a sample at 8 kHz.

Both are tables: 256 codes stand for 256 levels (ITU-T G.711, 11/1988). A sample is coded as the
nearest level; of two equally near ones, the one closer to 0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Law = Literal["mulaw", "alaw"]

SAMPLE_RATE = 8000
_MULAW_BIAS = 33


def encode(samples: NDArray[np.int16], law: Law) -> NDArray[np.uint8]:
    """Return the codes of 16-bit ``samples``, in the same shape."""
    codes: NDArray[np.uint8] = _codes(law)[samples.view(np.uint16)]
    return codes


def decode(codes: NDArray[np.uint8], law: Law) -> NDArray[np.int16]:
    """Return the 16-bit samples of ``codes``, in the same shape."""
    samples: NDArray[np.int16] = levels(law)[codes]
    return samples


def prepare(law: Law) -> None:
    """Compute the tables now: that takes milliseconds, for which no frame of a call may wait."""
    _codes(law)


@lru_cache(maxsize=2)
def levels(law: Law) -> NDArray[np.int16]:
    """Return the 16-bit level of each of the 256 codes."""
    codes = np.arange(256)
    if law == "mulaw":
        inverted = 255 - codes
        exponent, mantissa = (inverted >> 4) & 7, inverted & 15
        # 14 bits in the standard, here shifted to 16.
        size = ((2 * mantissa + _MULAW_BIAS) << exponent) - _MULAW_BIAS
        return np.where(inverted & 128, -4 * size, 4 * size).astype(np.int16)
    toggled = codes ^ 0x55
    exponent, mantissa = (toggled >> 4) & 7, toggled & 15
    steps = np.where(exponent == 0, 2 * mantissa + 1, (2 * mantissa + 33) << (exponent - 1).clip(0))
    # 13 bits in the standard, here shifted to 16.
    return np.where(toggled & 128, 8 * steps, -8 * steps).astype(np.int16)


@lru_cache(maxsize=2)
def _codes(law: Law) -> NDArray[np.uint8]:
    """Return the code of each 16-bit sample, by its bits as an unsigned number."""
    known = levels(law).astype(np.int64)
    # Of two codes for one level (the two zeros of µ-law) the positive one is sent.
    order = np.lexsort((-np.arange(256) if law == "mulaw" else np.arange(256), known))
    ordered = known[order]
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int64)
    above = np.searchsorted(ordered, samples).clip(1, 255)
    low, high = ordered[above - 1], ordered[above]
    to_low, to_high = samples - low, high - samples
    is_low = (to_low < to_high) | ((to_low == to_high) & (np.abs(low) < np.abs(high)))
    return order[np.where(is_low, above - 1, above)].astype(np.uint8)
