"""Fewer multiplications for a convolution: several outputs at once (Winograd 1980; Toom, Cook).

A kernel of 5 taps needs 5 matrix products for each output row. Three rows that follow one another
can be had from 7 products in place of 15: rows and kernel are read as the coefficients of
polynomials, which are evaluated at 7 points, multiplied there, and the product's coefficients are
found again. Read backwards (transposed), that scheme filters (Lavin and Gray 2015,
arXiv:1509.09308). With small points the rounding errors stay some 1e-5 of the outputs.

It pays where the products dwarf the sums around them (many channels, no dilation) and where there
are rows enough: the prepared weights are larger, and few rows wait for them, not for the products.
"""

from __future__ import annotations

import functools
from fractions import Fraction

import torch
from torch import Tensor

MOST_POINTS = 7
"""With 8, four rows a tile, the larger weights take back what fewer products save."""

LEAST_TAPS = 5
LEAST_CHANNELS = 128
LEAST_ROWS = 32

_FINITE_POINTS = tuple(Fraction(p) for p in ("0", "1", "-1", "2", "-2", "1/2"))
"""The last point is infinity: the leading coefficient."""


class Tiles:
    """A convolution's weight (taps, inputs, outputs), prepared for tiles of several rows."""

    def __init__(self, weight: Tensor) -> None:
        taps, inputs, outputs = weight.shape
        self.rows = MOST_POINTS - taps + 1
        """How many output rows a tile has."""
        of_kernel, of_input, of_output = (
            torch.tensor(matrix, dtype=torch.float64) for matrix in transforms(self.rows, taps)
        )
        flat = weight.double().reshape(taps, inputs * outputs)
        self._weight = (of_kernel @ flat).float().view(MOST_POINTS, inputs, outputs)
        self._of_input = of_input.float()
        self._of_output = of_output.float()
        self._taps = taps

    @staticmethod
    def suit(weight: Tensor, dilation: int) -> bool:
        """Return whether tiles are fewer operations and of use for a convolution."""
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


@functools.cache
def transforms(
    rows: int, taps: int
) -> tuple[list[list[float]], list[list[float]], list[list[float]]]:
    """Return the matrices that take kernel and input to the points, and the products to the rows.

    Exact until the last step: fractions. Their shapes are (points, taps), (points, points) and
    (rows, points), with points = rows + taps − 1.
    """
    points = rows + taps - 1
    back = _inverse(_powers(points, points))
    to_input = [list(column) for column in zip(*back, strict=True)]
    to_rows = [list(column) for column in zip(*_powers(points, rows), strict=True)]
    return _floats(_powers(points, taps)), _floats(to_input), _floats(to_rows)


def _powers(points: int, count: int) -> list[list[Fraction]]:
    """Return the powers 0 … count − 1 of each point."""
    finite = [[point**power for power in range(count)] for point in _FINITE_POINTS[: points - 1]]
    return [*finite, [Fraction(power == count - 1) for power in range(count)]]


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Return the inverse of a square matrix (Gauss and Jordan)."""
    size = len(matrix)
    work = [[*row, *(Fraction(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(i for i in range(column, size) if work[i][column])
        work[column], work[pivot] = work[pivot], work[column]
        head = work[column][column]
        work[column] = [value / head for value in work[column]]
        for i in range(size):
            if i != column and work[i][column]:
                factor = work[i][column]
                work[i] = [a - factor * b for a, b in zip(work[i], work[column], strict=True)]
    return [row[size:] for row in work]


def _floats(matrix: list[list[Fraction]]) -> list[list[float]]:
    return [[float(value) for value in row] for row in matrix]
