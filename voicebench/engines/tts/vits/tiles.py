"""Convolutions with fewer multiplications: several output rows at once (Winograd 1980; Toom, Cook).

A kernel of 5 taps needs 5 matrix products for each output row. Three neighbouring rows need 7
products instead of 15: rows and kernel are the coefficients of two polynomials, which are evaluated
at 7 points and multiplied there. The coefficients of the product follow from these values. The
transposed scheme is a convolution (Lavin and Gray 2015, arXiv:1509.09308). With small points the
rounding errors stay around 1e-5 of the outputs.

It is faster if there are many channels, no dilation, and enough rows. With few rows, reading the
weights takes the time, and the prepared weights are larger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_POINTS = 7
"""With 8 points (four rows a tile) the larger weights cost what fewer products save."""

LEAST_TAPS = 5
LEAST_CHANNELS = 128
LEAST_ROWS = 32

_FINITE_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5)


class Tiles:
    """A convolution's weight (taps, inputs, outputs), prepared for tiles of several rows."""

    def __init__(self, weight: Tensor) -> None:
        taps, inputs, outputs = weight.shape
        self.rows = MOST_POINTS - taps + 1
        """How many output rows a tile has."""
        of_kernel, of_input, of_output = (
            torch.from_numpy(matrix) for matrix in transforms(self.rows, taps)
        )
        flat = weight.double().reshape(taps, inputs * outputs)
        self._weight = (of_kernel @ flat).float().view(MOST_POINTS, inputs, outputs)
        self._of_input = of_input.float()
        self._of_output = of_output.float()
        self._taps = taps

    @staticmethod
    def suit(weight: Tensor, dilation: int) -> bool:
        """Return whether tiles make a convolution with ``weight`` faster."""
        taps, inputs, outputs = weight.shape
        wide = min(inputs, outputs) >= LEAST_CHANNELS
        return wide and dilation == 1 and LEAST_TAPS <= taps < MOST_POINTS

    def convolve(self, rows: Tensor, bias: Tensor | None) -> Tensor:
        """Return (time − taps + 1, outputs) for ``rows`` (time, inputs)."""
        count, inputs = rows.shape[0] - self._taps + 1, rows.shape[1]
        tiles = -(-count // self.rows)
        missing = tiles * self.rows + self._taps - 1 - rows.shape[0]
        rows = torch.cat([rows, rows.new_zeros(missing, inputs)]) if missing else rows.contiguous()
        shape, strides = (MOST_POINTS, tiles, inputs), (inputs, self.rows * inputs, 1)
        points = torch.mm(self._of_input, rows.as_strided(shape, strides).reshape(MOST_POINTS, -1))
        products = torch.bmm(points.view(shape), self._weight)
        outputs = products.shape[2]
        tiled = torch.mm(self._of_output, products.view(MOST_POINTS, -1))
        out = tiled.view(self.rows, tiles, outputs).transpose(0, 1).reshape(-1, outputs)[:count]
        return out if bias is None else out.add_(bias)


def transforms(
    rows: int, taps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the matrices that take kernel and input to the points, and the products to the rows.

    Their shapes are (points, taps), (points, points) and (rows, points), with
    points = rows + taps − 1.
    """
    points = rows + taps - 1
    to_input = np.linalg.inv(_powers(points, points)).T.astype(np.float64)
    return _powers(points, taps), to_input, _powers(points, rows).T


def _powers(points: int, count: int) -> NDArray[np.float64]:
    """Return the powers 0 … count − 1 of each point (points, count); the last is infinity."""
    finite = np.vander(_FINITE_POINTS[: points - 1], count, increasing=True)
    return np.vstack([finite, np.eye(count)[-1]])
