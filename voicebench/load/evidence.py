"""Evidence: what a number of good turns proves about the share of good turns.

A turn is good or not. The claim of a gate, such as ``first_audio_due.p95 < 300ms``, is that the
share of good turns is at least 95 %.

**Fixed n.** With none bad, ``share ** n <= error`` needs 59 turns for 95 %, 299 for 99 %, at 5 %
error (`turns_needed`, the exact binomial bound of Clopper and Pearson 1934).

**Any n.** A level is looked at after every block and may end at any of them, so its bounds must
hold at all looks together. `share_bounds` is a beta-binomial confidence sequence: the likelihood of
the turns under a beta prior, over their likelihood under a share ``p``, is a martingale under
``p``. By Ville's inequality it ever exceeds 1 / error with a probability of at most ``error``
(Robbins 1970, Annals of Mathematical Statistics 41; Howard, Ramdas, McAuliffe and Sekhon 2021,
Annals of Statistics 49, section 3). All shares whose ratio stays below are in the interval.

**Correlated turns.** Near capacity a queue makes good and bad turns come in runs, and n turns prove
less than n independent ones. The count of bad turns is compared between blocks of time. Its
variance over the binomial variance is the **inflation**; n over the inflation is the **effective
n**. The variance is itself estimated, from few blocks, so it is multiplied by the squared ratio of
Student's t to the normal quantile.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from voicebench.figures.probabilities import student_quantile

PRIOR_WEIGHT = 0.5
"""Bad turns that the prior is worth. Smaller values need fewer turns where none is bad."""


@dataclass(frozen=True, slots=True)
class ShareBounds:
    """The interval of a share, and how it was found."""

    good: int
    n: int
    effective_n: float
    inflation: float
    low: float
    high: float

    @property
    def observed(self) -> float | None:
        """The observed share; None without turns."""
        return self.good / self.n if self.n else None


def turns_needed(share: float, error: float = 0.05, bad: int = 0) -> int:
    """Return how many turns show a share of at least ``share`` if ``bad`` of them are bad.

    59 for 95 %, 299 for 99 %, 473 for 99 % with one bad turn. ``share`` is above 0 and below 1.
    """
    return _least(bad + 1, lambda n: _at_most(bad, n, 1 - share) <= error)


def _at_most(bad: int, n: int, rate: float) -> float:
    """Return the binomial probability of at most ``bad`` bad turns among ``n``."""
    if n <= bad:
        return 1.0
    logs = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + k * math.log(rate) + (n - k) * math.log1p(-rate)
        for k in range(bad + 1)
    ]  # fmt: skip
    return math.fsum(map(math.exp, logs))


def turns_of_a_sequence(share: float, error: float) -> int:
    """Return how many turns, all good, show ``share`` by a sequence that may end at any turn."""
    return _least(1, lambda n: _log_ratio(n, 0.0, share, share) >= -math.log(error))


def _least(low: int, is_enough: Callable[[int], bool]) -> int:
    """Return the smallest number from ``low`` that is enough; all larger ones are enough too."""
    high = max(low, 2)
    while not is_enough(high):
        high *= 2
    return low + bisect_left(range(low, high), True, key=is_enough)


def share_bounds(
    good: int, n: int, error: float, *, target: float, inflation: float = 1.0
) -> ShareBounds:
    """Return bounds that hold at every n together, with a probability of error of ``error``.

    ``target`` is the share in question, where the bounds are made narrow; ``inflation`` divides n.
    """
    if n == 0:
        return ShareBounds(0, 0, 0.0, inflation, 0.0, 1.0)
    effective = n / inflation
    hits = effective * good / n
    misses = effective - hits
    most = -math.log(error)
    best = min(max(hits / effective, 1e-12), 1 - 1e-12)
    if _log_ratio(hits, misses, best, target) >= most:  # the prior is far from the turns
        return ShareBounds(good, n, effective, inflation, 0.0, 1.0)

    def crossing(outside: float) -> float:
        """Return the share between ``best`` and ``outside`` at which the ratio reaches ``most``."""
        if _log_ratio(hits, misses, outside, target) < most:
            return round(outside)
        inside = best
        for _ in range(60):
            middle = (inside + outside) / 2
            if _log_ratio(hits, misses, middle, target) < most:
                inside = middle
            else:
                outside = middle
        return outside

    low = 0.0 if good == 0 else crossing(1e-12)
    high = 1.0 if good == n else crossing(1 - 1e-12)
    return ShareBounds(good, n, effective, inflation, low, high)


def _log_ratio(hits: float, misses: float, p: float, target: float) -> float:
    """Return the log of the mixture's likelihood over the likelihood under the share ``p``."""
    b = PRIOR_WEIGHT
    a = b * target / (1 - target)
    mixture = _log_beta(a + hits, b + misses) - _log_beta(a, b)
    return mixture - hits * math.log(p) - misses * math.log1p(-p)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def block_inflation(
    bad: NDArray[np.int64], turns: NDArray[np.int64], *, error: float = 0.05
) -> float:
    """Return the variance of the share of bad turns between blocks over the binomial one.

    ``bad`` and ``turns`` are the counts of each block, shape ``(blocks,)``. At least 1, multiplied
    by the squared ratio of Student's t to the normal quantile, two-sided at ``error``. 1 if there
    is nothing to compare: fewer than two blocks, or no bad turn.
    """
    n, blocks = int(turns.sum()), int((turns > 0).sum())
    share = float(bad.sum()) / n if n else 0.0
    if blocks < 2 or share in (0.0, 1.0):
        return 1.0
    apart = bad - share * turns
    variance = float((apart**2).sum()) * blocks / (blocks - 1) / n**2
    # Few blocks may agree by chance, so the variance between them counts at least as the binomial.
    ratio = max(variance / (share * (1 - share) / n), 1.0)
    return ratio * caution(blocks, error)


def caution(blocks: int, error: float) -> float:
    """Return the squared ratio of Student's t to the normal quantile, two-sided at ``error``."""
    normal = NormalDist().inv_cdf(1 - error / 2)
    return (student_quantile(1 - error / 2, blocks - 1) / normal) ** 2
