"""Tiles give the convolution, with fewer products and hardly larger rounding errors."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from voicebench.engines.tts.vits.layers import Convolution
from voicebench.engines.tts.vits.tiles import MOST_POINTS, Tiles, transforms


@pytest.mark.parametrize("taps", [3, 5, 6])
@pytest.mark.parametrize("length", [7, 8, 21, 64])
def test_tiles_give_the_convolution(taps: int, length: int) -> None:
    generator = torch.Generator().manual_seed(taps)
    weight = torch.randn(taps, 20, 30, generator=generator) / (20 * taps) ** 0.5
    rows, bias = torch.randn(length, 20, generator=generator), torch.randn(30, generator=generator)
    expected = functional.conv1d(rows.t()[None], weight.permute(2, 1, 0), bias)[0].t()
    found = Tiles(weight).convolve(rows, bias)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=5e-5, rtol=0)


@pytest.mark.parametrize("taps", [2, 3, 5])
def test_the_transforms_filter_whole_numbers_exactly(taps: int) -> None:
    rows = MOST_POINTS - taps + 1
    of_kernel, of_input, of_output = (
        torch.tensor(matrix, dtype=torch.float64) for matrix in transforms(rows, taps)
    )
    kernel = torch.arange(1, taps + 1, dtype=torch.float64)
    signal = torch.arange(MOST_POINTS, dtype=torch.float64) ** 2
    found = of_output @ ((of_kernel @ kernel) * (of_input @ signal))
    expected = signal.unfold(0, taps, 1) @ kernel
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def test_a_wide_convolution_uses_tiles_and_gives_the_same() -> None:
    layer = Convolution(128, 128, 5).requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for parameter in layer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) / 25
    rows = torch.randn(50, 128, generator=generator)
    plain = layer.inside(rows)
    layer.prepare()
    assert layer._tiles is not None
    found = layer.inside(rows)
    assert not torch.equal(found, plain)  # it was computed in another way
    torch.testing.assert_close(found, plain, atol=5e-5, rtol=0)
    assert torch.equal(layer.inside(rows[:20]), plain[:16])  # few rows are not
    onto = torch.ones(46, 128)
    torch.testing.assert_close(layer.inside(rows, onto), plain + 1, atol=5e-5, rtol=0)


@pytest.mark.parametrize(
    ("inputs", "taps", "dilation"), [(64, 5, 1), (128, 3, 1), (128, 5, 2), (128, 9, 1)]
)
def test_a_convolution_that_would_not_gain_is_left_alone(
    inputs: int, taps: int, dilation: int
) -> None:
    layer = Convolution(inputs, 128, taps, dilation)
    layer.prepare()
    assert layer._tiles is None
