"""Clicks at the seams between two pieces of audio.

Speech that comes in pieces has to fit together to the sample; where it does not, a listener hears a
click, and a synthesizer that cuts corners there is fast for the wrong reason. A seam *clicks* where
the step across it is larger than `LEAST_JUMP` of full scale and larger than `STEEPNESS` times the
steepest step in the `AROUND_MS` on either side. A steep consonant is steep on both sides of the
seam, and does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_JUMP = 0.05
STEEPNESS = 3.0
AROUND_MS = 5.0


def count_clicks(pcm: NDArray[np.float32], sizes: Sequence[int], sample_rate: int) -> int:
    """Return at how many seams of ``pcm`` ``(samples,)`` the signal jumps.

    ``sizes`` are the samples of each piece, in order; together they are ``pcm``.
    """
    around = max(2, round(sample_rate * AROUND_MS / 1000))
    seams = np.cumsum(np.asarray(sizes[:-1], dtype=np.int64))
    return sum(_clicks_at(pcm, int(seam), around) for seam in seams)


def _clicks_at(pcm: NDArray[np.float32], seam: int, around: int) -> bool:
    jump = abs(float(pcm[seam]) - float(pcm[seam - 1]))
    if not jump > LEAST_JUMP:
        return False
    before = np.abs(np.diff(pcm[max(0, seam - around) : seam]))
    after = np.abs(np.diff(pcm[seam : seam + around]))
    steepest = max(float(side.max()) if side.size else 0.0 for side in (before, after))
    return jump > STEEPNESS * steepest
