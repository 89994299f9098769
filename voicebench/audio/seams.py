"""Clicks at the seams between two pieces of audio.

Speech that is synthesized in pieces has to fit together to the sample. Otherwise a listener hears a
click, and the synthesizer gains speed at the cost of quality. A seam *clicks* if the step across it
is larger than `LEAST_JUMP` of full scale, and larger than `STEEPNESS` times the steepest step
within `AROUND_MS` on either side. A steep consonant is steep on both sides, and does not count.
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
    """Return how many seams of ``pcm`` ``(samples,)`` click.

    ``sizes`` are the numbers of samples of its pieces, in order.
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
