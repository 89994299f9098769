"""Monotonic rational-quadratic splines, read backwards (Durkan et al. 2019, arXiv:1906.04032)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SMALLEST = 1e-3
"""Least width and height of a bin and least slope at a knot, as shares of the whole."""


def inverse_spline(
    values: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor, bound: float
) -> Tensor:
    """Return x with spline(x) = ``values``, for one spline a row.

    ``values`` (n,); ``widths`` and ``heights`` (n, bins) before their softmax; ``slopes``
    (n, bins − 1) at the inner knots before their softplus; the outermost slopes are 1. Outside
    [-bound, bound] the spline is the identity.
    """
    across, left = _knots(widths, bound)
    up, bottom = _knots(heights, bound)
    slope = functional.pad(SMALLEST + functional.softplus(slopes), (1, 1), value=1.0)

    inside = values.clamp(-bound, bound)
    index = (inside[:, None] >= bottom[:, 1:]).sum(dim=1, keepdim=True)

    def chosen(table: Tensor) -> Tensor:
        return table.gather(1, index)[:, 0]

    width, height = chosen(across), chosen(up)
    before, after = chosen(slope), slope.gather(1, index + 1)[:, 0]
    steepness = height / width
    rise = inside - chosen(bottom)
    bend = rise * (before + after - 2 * steepness)
    a = height * (steepness - before) + bend
    b = height * before - bend
    c = -steepness * rise
    share = 2 * c / (-b - torch.sqrt(b * b - 4 * a * c))
    return torch.where(values.abs() <= bound, share * width + chosen(left), values)


def _knots(shares: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Return the sizes (n, bins) of the bins and where each begins."""
    bins = shares.shape[1]
    shares = SMALLEST + (1 - SMALLEST * bins) * torch.softmax(shares, dim=1)
    ends = 2 * bound * shares.cumsum(dim=1) - bound
    begins = functional.pad(ends[:, :-1], (1, 0), value=-bound)
    ends = torch.cat([ends[:, :-1], torch.full_like(ends[:, -1:], bound)], dim=1)
    return ends - begins, begins
