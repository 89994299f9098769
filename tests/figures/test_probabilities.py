"""The distributions give what scipy gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from voicebench.figures.probabilities import (
    binomial_probabilities,
    normal_quantile,
    student_probability,
    student_quantile,
)

PROBABILITIES = [1e-6, 0.005, 0.025, 0.05, 0.2, 0.5, 0.8, 0.95, 0.975, 0.995, 1 - 1e-6]
FREEDOMS = [1, 1.7, 2, 3, 7, 19, 30.5, 99, 299, 4999, 100_000]


@pytest.mark.parametrize("probability", PROBABILITIES)
def test_normal_quantile(probability: float) -> None:
    assert normal_quantile(probability) == pytest.approx(special.ndtri(probability), rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 8, 20, 72, 300, 5000, 100_000])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 0.9, 0.95, 0.99, 0.999])
def test_binomial_probabilities(n: int, share: float) -> None:
    expected = special.bdtr(np.arange(n + 1, dtype=np.float64), n, share)
    got = binomial_probabilities(n, share)
    assert got.shape == (n + 1,)
    np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-11)
    assert np.all(np.diff(got) >= 0)
    assert got[-1] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("freedom", FREEDOMS)
@pytest.mark.parametrize("score", [-60, -8.5, -2, -0.3, -1e-9, 0, 1e-4, 0.7, 1.96, 3, 40])
def test_student_probability(freedom: float, score: float) -> None:
    expected = special.stdtr(freedom, score)
    assert student_probability(freedom, score) == pytest.approx(expected, rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("freedom", FREEDOMS)
@pytest.mark.parametrize("probability", PROBABILITIES)
def test_student_quantile(freedom: float, probability: float) -> None:
    expected = special.stdtrit(freedom, probability)
    assert student_quantile(probability, freedom) == pytest.approx(expected, rel=1e-8, abs=1e-9)
