"""Confidence intervals: how far a figure could be off because of the limited number of turns.

**Percentiles** by order statistics, which assume nothing about the distribution. The ``r``-th
smallest of ``n`` values is above the true ``p``-quantile with the binomial probability that at most
``r - 1`` of ``n`` values are below it. Two neighbours rarely have the wanted level exactly, so the
bound is interpolated between them, following Hettmansperger and Sheather (1986) for the median and
Nyblom (1992, Statistics & Probability Letters 14) for any quantile. If no order statistic is high
enough, the bound is **open** (None): the largest of 20 values is above the true p95 in only 64 % of
the cases, so 20 turns bound a p95 from below but not from above (`values_to_bound`: 72 turns do).

**Means** by the symmetric studentized bootstrap (Hall 1988) of values smoothed with a normal kernel
at Silverman's bandwidth (Polansky and Schucany 1997). Simpler methods cover less: the BCa bootstrap
83 to 88 % with 8 turns and 90 % with 20 skewed values, Student's t 93 % with two modes.
``docs/explanation/statistics.md`` has the coverage of this one. It is seeded, so a result always
gives the same interval. Above `BOOTSTRAP_UP_TO` values it equals Student's t, which is used then.

**Shares** (of turns under a limit, of failed turns) by Wilson's score interval (1927), which stays
within 0 to 1 and is meaningful for 0 of 20.

**Standard deviations** have none: Bonett's interval (2006) covers only 86 to 89 % of strongly
skewed values, even with 100 turns.

All of them assume that turns are independent. `voicebench.judging.noise` tests for a drift over the
run, which would break this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from voicebench.figures.probabilities import (
    binomial_probabilities,
    normal_quantile,
    student_quantile,
)

LEVEL = 0.95
BOOTSTRAP_UP_TO = 300
RESAMPLES = 4000
SEED = 20_260_101
FEW_IF_SKEWED = 30
STRONG_SKEW = 1.0


@dataclass(frozen=True, slots=True)
class Interval:
    """The range that holds the true figure in ``level`` of all runs; None is an open end."""

    low: float | None
    high: float | None
    level: float = LEVEL

    @property
    def is_closed(self) -> bool:
        """Whether both ends are known."""
        return self.low is not None and self.high is not None

    def as_dict(self) -> dict[str, float | None]:
        """Return the entry of ``summary.json``."""
        return {"low": self.low, "high": self.high, "level": self.level}


def percentile_interval(values: Sequence[float], q: float, level: float = LEVEL) -> Interval | None:
    """Return the interval of the ``q``-th percentile (0 < q < 100); None without values.

    A value of infinity is known to be larger than could be observed; no bound is infinite.
    """
    if not len(values):
        return None
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    beta = (1 + level) / 2
    low = _upper_bound(-ordered[::-1], 1 - q / 100, beta)
    high = _upper_bound(ordered, q / 100, beta)
    return Interval(
        None if low is None or not math.isfinite(low) else -low,
        None if high is None or not math.isfinite(high) else high,
        level,
    )


def values_to_bound(q: float, level: float = LEVEL) -> int:
    """Return how many values bound the ``q``-th percentile on both sides: 72 for p95."""
    share = max(q / 100, 1 - q / 100)
    return math.ceil(math.log((1 - level) / 2) / math.log(share))


def mean_interval(values: Sequence[float], level: float = LEVEL) -> Interval | None:
    """Return the interval of the mean; None under two values."""
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2:
        return None
    mean, error = float(sample.mean()), _standard_error(sample)
    reach = error * _critical(sample, level)
    return Interval(mean - reach, mean + reach, level)


def at_least_zero(interval: Interval | None) -> Interval | None:
    """Return ``interval`` without its part below 0, for a quantity that cannot be negative."""
    if interval is None or interval.low is None or interval.low >= 0:
        return interval
    return replace(interval, low=0.0)


def is_doubtful_mean(values: Sequence[float]) -> bool:
    """Return whether the interval of this mean covers less than its level.

    With fewer than `FEW_IF_SKEWED` strongly skewed values it covers 92 % instead of 95 %
    (``docs/explanation/statistics.md``): the tail that moves the mean is hardly in the sample.
    """
    sample = np.asarray(values, dtype=np.float64)
    spread = float(sample.std()) if sample.size else 0.0
    if sample.size >= FEW_IF_SKEWED or not spread:
        return False
    return float(((sample - sample.mean()) ** 3).mean()) / spread**3 > STRONG_SKEW


def share_interval(hits: int, n: int, level: float = LEVEL) -> Interval | None:
    """Return the interval of a share of ``hits`` in ``n``; None for ``n`` of 0."""
    return wilson_interval(hits / n, n, level) if n else None


def wilson_interval(share: float, n: float, level: float = LEVEL) -> Interval:
    """Return Wilson's interval of a ``share`` of ``n`` turns, above 0; ``n`` need not be whole."""
    z = normal_quantile((1 + level) / 2)
    pull = z * z / n
    centre = (share + pull / 2) / (1 + pull)
    reach = z / (1 + pull) * math.sqrt(share * (1 - share) / n + pull / (4 * n))
    # At the ends the formula gives 0 and 1, except for rounding.
    low = 0.0 if share == 0 else centre - reach
    high = 1.0 if share == 1 else centre + reach
    return Interval(low, high, level)


def bootstrapped_t(samples: Sequence[NDArray[np.float64]], level: float = LEVEL) -> float:
    """Return how many standard errors a mean, or a difference of two, may be off.

    ``samples`` are one or two samples, each ``(values,)``; the standard error of two is Welch's,
    ``sqrt(s1**2 / n1 + s2**2 / n2)``.
    """
    off = np.zeros(RESAMPLES)
    squared_error = np.zeros(RESAMPLES)
    for stream, sample in enumerate(samples):
        means, variances = _resample(sample, stream)
        off += -means if stream else means
        squared_error += variances / sample.size
    known = squared_error > 0
    if not known.any():
        return 0.0
    return float(np.quantile(np.abs(off[known]) / np.sqrt(squared_error[known]), level))


def _upper_bound(ordered: NDArray[np.float64], share: float, beta: float) -> float | None:
    """Return a bound that is above the ``share``-quantile with probability ``beta``; None if open.

    ``ordered`` are the values in rising order.
    """
    n = ordered.size
    # reached[r - 1]: the probability that the r-th smallest value is above the quantile.
    reached = binomial_probabilities(n, share)[:-1]
    rank = int(np.searchsorted(reached, beta)) + 1
    if rank > n:
        return None
    if rank == 1:
        return float(ordered[0])
    below, above = reached[rank - 2], reached[rank - 1]
    missing, given = float(above - beta), float(beta - below)
    if given <= 0:
        return float(ordered[rank - 2])
    odds = (rank - 1) * (1 - share) * missing / ((n - rank + 1) * share * given)
    step = 1 / (1 + odds)
    return float((1 - step) * ordered[rank - 2] + step * ordered[rank - 1])


def _critical(sample: NDArray[np.float64], level: float) -> float:
    if sample.size > BOOTSTRAP_UP_TO:
        return student_quantile((1 + level) / 2, sample.size - 1)
    return bootstrapped_t([sample], level)


def _resample(
    sample: NDArray[np.float64], stream: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean (about the sample's) and the variance of each smoothed resample."""
    n = sample.size
    drawn = _draws(n, stream)
    centred = sample - sample.mean()
    bandwidth = 1.06 * float(sample.std(ddof=1)) * n**-0.2
    total = drawn.counts @ centred + bandwidth * drawn.noise
    squares = drawn.counts @ centred**2
    squares += 2 * bandwidth * (drawn.pulls @ centred) + bandwidth**2 * drawn.noise_squared
    variance: NDArray[np.float64] = np.maximum(squares - total**2 / n, 0.0) / (n - 1)
    return total / n, variance


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """The resamples of ``n`` values, the same for every sample of that size.

    ``counts[b, i]`` is how often resample ``b`` drew value ``i``, and ``pulls[b, i]`` the sum of
    the kernel's noise on it. ``noise`` and ``noise_squared`` are the sums of all noise and of its
    squares. So sums over a resample are matrix products.
    """

    counts: NDArray[np.float64]
    pulls: NDArray[np.float64]
    noise: NDArray[np.float64]
    noise_squared: NDArray[np.float64]


@lru_cache(maxsize=4)
def _draws(n: int, stream: int) -> _Draws:
    """Draw the resamples of ``n`` values; each ``stream`` is independent of the others."""
    generator = np.random.default_rng([SEED, stream])
    place = generator.integers(0, n, (RESAMPLES, n))
    noise = generator.standard_normal((RESAMPLES, n))
    cells = (place + np.arange(RESAMPLES)[:, np.newaxis] * n).ravel()
    size = RESAMPLES * n
    pulls = np.bincount(cells, weights=noise.ravel(), minlength=size).astype(np.float64)
    return _Draws(
        counts=np.bincount(cells, minlength=size).reshape(RESAMPLES, n).astype(np.float64),
        pulls=np.asarray(pulls.reshape(RESAMPLES, n), dtype=np.float64),
        noise=noise.sum(axis=1),
        noise_squared=(noise**2).sum(axis=1),
    )


def _standard_error(sample: NDArray[np.float64]) -> float:
    return float(sample.std(ddof=1)) / math.sqrt(sample.size)
