"""Inverse monotonic rational-quadratic splines (Durkan et al. 2019, arXiv:1906.04032)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SMALLEST = 1e-3
"""Smallest width and height of a bin, and smallest slope at a knot, as shares of the whole."""


def inverse_spline(
    values: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor, bound: float
) -> Tensor:
    """Return x with spline(x) = ``values``, for one spline a row.

    ``values`` (n,); ``widths`` and ``heights`` (n, bins) before their softmax; ``slopes``
    (n, bins − 1) at the inner knots before their softplus; the outermost slopes are 1. Outside
    [-bound, bound] the spline is the identity.
    """
    bins = widths.shape[1]
    shares = torch.softmax(torch.stack([widths, heights], dim=1), dim=2)
    ends = (SMALLEST + (1 - SMALLEST * bins) * shares).cumsum(dim=2).mul_(2 * bound).sub_(bound)
    ends[:, :, -1] = bound
    begins = functional.pad(ends[:, :, :-1], (1, 0), value=-bound)
    slope = functional.pad(SMALLEST + functional.softplus(slopes), (1, 1), value=1.0)

    inside = values.clamp(-bound, bound)
    index = (inside[:, None] >= begins[:, 1, 1:]).sum(dim=1)
    # The bin of the value, from each table: (n, 6).
    tables = torch.cat([ends - begins, begins, slope[:, None, :-1], slope[:, None, 1:]], dim=1)
    here = tables.gather(2, index[:, None, None].expand(-1, tables.shape[1], 1))[:, :, 0]
    width, height, left, bottom, before, after = here.unbind(dim=1)

    steepness = height / width
    rise = inside - bottom
    bend = rise * (before + after - 2 * steepness)
    a = height * (steepness - before) + bend
    b = height * before - bend
    c = -steepness * rise
    share = 2 * c / (-b - torch.sqrt(b * b - 4 * a * c))
    return torch.where(values.abs() <= bound, share * width + left, values)
