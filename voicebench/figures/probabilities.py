"""Distributions that the intervals and tests need: normal, binomial and Student's.

They are here so that measuring does not need scipy, which is larger than everything else that it
needs. ``tests/figures/test_probabilities.py`` compares them with scipy.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_STEPS = 20_000
_LEAST = 1e-300


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile at ``probability``, above 0 and below 1."""
    return NormalDist().inv_cdf(probability)


def binomial_probabilities(n: int, share: float) -> NDArray[np.float64]:
    """Return the probabilities ``(n + 1,)`` of at most 0, 1, … ``n`` hits in ``n`` trials.

    ``share`` is the probability of a hit, above 0 and below 1. The terms are computed from the
    likeliest number outwards, by the ratio of neighbours, and scaled to the sum 1, so no factorial
    of a large number loses digits.
    """
    hits = np.arange(n, dtype=np.float64)
    ratios = np.log(n - hits) - np.log(hits + 1) + math.log(share) - math.log1p(-share)
    likeliest = min(n, math.floor((n + 1) * share))
    logarithms = np.zeros(n + 1)
    logarithms[likeliest + 1 :] = np.cumsum(ratios[likeliest:])
    logarithms[:likeliest] = -np.cumsum(ratios[:likeliest][::-1])[::-1]
    terms = np.exp(logarithms)
    sums: NDArray[np.float64] = np.cumsum(terms / terms.sum())
    return np.minimum(sums, 1.0)


def student_probability(freedom: float, score: float) -> float:
    """Return the probability that Student's t with ``freedom`` degrees is at most ``score``."""
    tail = _tail(freedom, abs(score))
    return tail if score < 0 else 1 - tail


@lru_cache(maxsize=256)
def student_quantile(probability: float, freedom: float) -> float:
    """Return Student's t at ``probability`` (above 0 and below 1) with ``freedom`` degrees."""
    if probability == 0.5:
        return 0.0
    if probability < 0.5:
        return -student_quantile(1 - probability, freedom)
    wanted = 1 - probability
    low, high = 0.0, 1.0
    while _tail(freedom, high) > wanted:
        low, high = high, 2 * high
    while low < (middle := low + (high - low) / 2) < high:
        if _tail(freedom, middle) > wanted:
            low = middle
        else:
            high = middle
    return high


def _tail(freedom: float, score: float) -> float:
    """Return the probability of a t above ``score``, which is at least 0."""
    squared = score * score
    whole = freedom + squared
    return 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom / whole, squared / whole)


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """Return the regularised incomplete beta function of ``x``, by its continued fraction.

    ``rest`` is ``1 - x``, which would lose digits here. The fraction is DLMF 8.17.22, evaluated by
    the modified method of Lentz. It converges fast for ``x`` below ``(a + 1) / (a + b + 2)``;
    above, the symmetric function is used.
    """
    if not x:
        return 0.0
    if not rest:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, rest, x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    )
    numerator, denominator = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = denominator
    for step in range(1, _STEPS):
        for factor in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            denominator = 1 / _not_zero(1 + factor * denominator)
            numerator = _not_zero(1 + factor / numerator)
            change = numerator * denominator
            value *= change
        if abs(change - 1) < 1e-16:
            break
    return front * value / a


def _not_zero(value: float) -> float:
    return value if abs(value) > _LEAST else _LEAST
