"""The difference of one figure between two runs, with its interval.

Overlapping intervals of two figures do not mean that there is no difference, so the difference has
an interval of its own. It is ``second - first``. If it is wholly on one side of 0, a difference is
*shown*.

**Means** by the bootstrap of `voicebench.figures.intervals`: of two independent samples with
Welch's standard error, or of the paired differences if turns are paired by their prompts. Pairing
removes the differences between the prompts.

**Percentiles and shares** from the two intervals, by the method of variance estimates recovery (Zou
and Donner 2008, Statistics in Medicine 27; for shares it is Newcombe's method 10 of 1998)::

    low = d - sqrt((b - low_b)² + (high_a - a)² - 2 r (b - low_b)(high_a - a))

The distance of each figure from its bound takes the place of a standard error. So uneven intervals
stay uneven, and an open end stays open. ``r`` is 0 for independent samples. For pairs it is the
correlation of "is under the percentile" on both sides (the asymptotic correlation of two sample
quantiles); it is taken as 0 if it is negative, or if fewer than five turns are beyond the
percentile.

**How many turns would show it** (`turns_to_show`) follows from the interval, whose reach shrinks
with the square root of the number of turns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from voicebench.figures.intervals import (
    BOOTSTRAP_UP_TO,
    LEVEL,
    Interval,
    bootstrapped_t,
    mean_interval,
)
from voicebench.figures.probabilities import student_quantile

Values = NDArray[np.float64]

SHOWN_IN = 0.9
"""`turns_to_show` returns how many turns show the change in this share of all pairs of runs."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``second - first`` of one figure. ``pairs`` is None if turns are not paired."""

    first: float
    second: float
    change: float
    interval: Interval | None
    pairs: int | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the interval excludes 0."""
        if self.interval is None:
            return False
        low, high = self.interval.low, self.interval.high
        return (low is not None and low > 0) or (high is not None and high < 0)


def mean_difference(first: Values, second: Values, level: float = LEVEL) -> Interval | None:
    """Return the interval of the difference of two independent means; None under two values."""
    if first.size < 2 or second.size < 2:
        return None
    change = float(second.mean() - first.mean())
    errors = [float(sample.var(ddof=1)) / sample.size for sample in (first, second)]
    if max(first.size, second.size) > BOOTSTRAP_UP_TO:
        critical = student_quantile((1 + level) / 2, _welch_freedom(errors, first, second))
    else:
        critical = bootstrapped_t([second, first], level)
    reach = critical * math.sqrt(sum(errors))
    return Interval(change - reach, change + reach, level)


def paired_mean_difference(first: Values, second: Values, level: float = LEVEL) -> Interval | None:
    """Return the interval of the mean of ``second - first``, pair by pair; None under two pairs."""
    return mean_interval((second - first).tolist(), level)


def recovered_difference(
    first: tuple[float, Interval],
    second: tuple[float, Interval],
    correlation: float = 0.0,
) -> Interval:
    """Return the interval of ``second - first`` from each side's figure and interval."""
    (was, around_was), (now, around_now) = first, second
    down = _distance(_gap(now, around_now.low), _gap(was, around_was.high), correlation)
    up = _distance(_gap(now, around_now.high), _gap(was, around_was.low), correlation)
    change = now - was
    return Interval(
        None if down is None else change - down,
        None if up is None else change + up,
        around_now.level,
    )


def quantile_correlation(
    first: Values, second: Values, first_quantile: float, second_quantile: float
) -> float:
    """Return the correlation of two paired sample quantiles; 0 if it is unknown."""
    under = first <= first_quantile
    also_under = second <= second_quantile
    n = under.size
    beyond = [min(int(side.sum()), n - int(side.sum())) for side in (under, also_under)]
    if min(beyond) < 5:
        return 0.0
    return max(float(np.corrcoef(under, also_under)[0, 1]), 0.0)


def turns_to_show(difference: Difference, turns: tuple[int, int]) -> int | None:
    """Return about how many turns each run needs to show a change as large as the observed one.

    ``turns`` are the numbers of turns of the two runs. The result is rounded up to two digits. None
    if nothing has changed, or the interval is open towards 0.
    """
    interval, change = difference.interval, difference.change
    if interval is None or not change or not min(turns):
        return None
    nearer = interval.low if change > 0 else interval.high
    if nearer is None:
        return None
    known = difference.pairs or 2 / (1 / turns[0] + 1 / turns[1])
    return turns_to_reach(known, abs(change - nearer), abs(change), interval.level)


def turns_to_reach(known: float, reach: float, distance: float, level: float) -> int:
    """Return how many turns shorten the reach of an interval of ``level`` to ``distance``.

    With ``known`` turns it reaches ``reach`` from the figure. With the returned number of turns it
    stays within ``distance`` (above 0) in `SHOWN_IN` of all runs. Rounded up to two digits.
    """
    normal = NormalDist()
    surplus = 1 + normal.inv_cdf(SHOWN_IN) / normal.inv_cdf((1 + level) / 2)
    needed = max(known * (reach * surplus / distance) ** 2, 1.0)
    step = int(10 ** max(math.floor(math.log10(needed)) - 1, 0))
    return math.ceil(needed / step) * step


def pair_up(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs of indices into ``first`` and ``second``: the same prompt's k-th time.

    Turns without a partner are left out.
    """
    waiting: dict[str, list[int]] = {}
    for index, prompt in enumerate(first):
        waiting.setdefault(prompt, []).append(index)
    queues = {prompt: iter(indices) for prompt, indices in waiting.items()}
    pairs = []
    for index, prompt in enumerate(second):
        partner = next(queues.get(prompt, iter(())), None)
        if partner is not None:
            pairs.append((partner, index))
    return pairs


def _gap(figure: float, bound: float | None) -> float | None:
    # The interpolated percentile of a few values may be slightly outside its interval.
    return None if bound is None else max(abs(figure - bound), 0.0)


def _distance(one: float | None, other: float | None, correlation: float) -> float | None:
    if one is None or other is None:
        return None
    return math.sqrt(max(one * one + other * other - 2 * correlation * one * other, 0.0))


def _welch_freedom(errors: list[float], first: Values, second: Values) -> float:
    below = sum(
        error * error / (sample.size - 1)
        for error, sample in zip(errors, (first, second), strict=True)
    )
    return sum(errors) ** 2 / below if below else float(first.size + second.size - 2)
