"""The reversed spline undoes the spline, and leaves alone what lies outside its bounds."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from voicebench.engines.tts.vits.splines import SMALLEST, inverse_spline

BOUND = 5.0


def spline(x: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor) -> Tensor:
    """Evaluate the spline forwards, knot by knot (Durkan et al. 2019, equations 4 and 5)."""
    bins = widths.shape[1]
    out = x.clone()
    for row in range(x.shape[0]):
        sizes = [
            SMALLEST + (1 - SMALLEST * bins) * torch.softmax(s[row], 0) for s in (widths, heights)
        ]
        xs, ys = ([-BOUND, *(2 * BOUND * s.cumsum(0) - BOUND).tolist()] for s in sizes)
        inner = (SMALLEST + functional.softplus(slopes[row])).tolist()
        ds = [1.0, *inner, 1.0]
        value = float(x[row])
        if not xs[0] <= value < xs[-1]:
            continue
        k = max(i for i in range(bins) if xs[i] <= value)
        s = (ys[k + 1] - ys[k]) / (xs[k + 1] - xs[k])
        t = (value - xs[k]) / (xs[k + 1] - xs[k])
        rise = (ys[k + 1] - ys[k]) * (s * t * t + ds[k] * t * (1 - t))
        out[row] = ys[k] + rise / (s + (ds[k + 1] + ds[k] - 2 * s) * t * (1 - t))
    return out


def drawn_knots(count: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(11)
    widths, heights, slopes = (
        torch.randn(count, bins, generator=generator, dtype=torch.float64) for bins in (10, 10, 9)
    )
    return 2 * widths, 2 * heights, slopes


def test_the_reversed_spline_undoes_the_spline() -> None:
    knots = drawn_knots(200)
    x = torch.linspace(-4.99, 4.99, 200, dtype=torch.float64)
    back = inverse_spline(spline(x, *knots), *knots, BOUND)
    torch.testing.assert_close(back, x, atol=1e-6, rtol=0)


def test_outside_its_bounds_the_spline_is_the_identity() -> None:
    values = torch.tensor([-7.0, -5.001, 5.001, 120.0], dtype=torch.float64)
    assert torch.equal(inverse_spline(values, *drawn_knots(4), BOUND), values)


def test_the_bounds_themselves_are_kept() -> None:
    values = torch.tensor([-BOUND, BOUND], dtype=torch.float64)
    torch.testing.assert_close(inverse_spline(values, *drawn_knots(2), BOUND), values)
