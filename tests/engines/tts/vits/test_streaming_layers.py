"""A layer that streams gives out what it gives for the whole, in windows of any size."""

from __future__ import annotations

from typing import TypeVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from voicebench.engines.tts.vits.carry import Carry
from voicebench.engines.tts.vits.layers import Convolution, Upsampling

LENGTH = 40
Layer = TypeVar("Layer", bound=nn.Module)


def drawn(module: Layer) -> Layer:
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return module.requires_grad_(False)


def streamed(module: nn.Module, rows: Tensor, cuts: list[int]) -> Tensor:
    carry, outputs, start = Carry(), [], 0
    for stop in [*cuts, rows.shape[0]]:
        carry.begin(last=stop == rows.shape[0])
        outputs.append(module(rows[start:stop], carry))
        carry.finish()
        start = stop
    return torch.cat(outputs)


cuts_of_a_stream = st.lists(st.integers(1, LENGTH - 1), max_size=8).map(lambda c: sorted(set(c)))


@settings(max_examples=40)
@given(
    cuts=cuts_of_a_stream,
    kernel=st.sampled_from([1, 3, 5, 7]),
    dilation=st.sampled_from([1, 2, 5]),
)
def test_a_convolution_streams(cuts: list[int], kernel: int, dilation: int) -> None:
    layer = drawn(Convolution(3, 4, kernel, dilation))
    rows = torch.randn(LENGTH, 3, generator=torch.Generator().manual_seed(5))
    trained = layer.weight.permute(2, 1, 0)
    whole = functional.conv1d(
        rows.t()[None], trained, layer.bias, padding=layer.reach, dilation=dilation
    )[0].t()
    torch.testing.assert_close(streamed(layer, rows, cuts), whole, atol=1e-5, rtol=1e-5)


@settings(max_examples=60)
@given(
    cuts=cuts_of_a_stream,
    sizes=st.sampled_from([(16, 8), (8, 4), (4, 2), (7, 3), (8, 3), (3, 3), (11, 3), (5, 1)]),
)
def test_an_upsampling_streams(cuts: list[int], sizes: tuple[int, int]) -> None:
    kernel, rate = sizes
    layer = drawn(Upsampling(3, 4, kernel, rate))
    trained = torch.randn(3, 4, kernel, generator=torch.Generator().manual_seed(6))
    layer.weight.data = layer.arranged(trained)
    rows = torch.randn(LENGTH, 3, generator=torch.Generator().manual_seed(5))
    whole = functional.conv_transpose1d(
        rows.t()[None], trained, layer.bias, stride=rate, padding=(kernel - rate) // 2
    )[0].t()
    torch.testing.assert_close(streamed(layer, rows, cuts), whole, atol=1e-5, rtol=1e-5)


def test_a_convolution_gives_out_each_row_as_soon_as_it_is_determined() -> None:
    layer = drawn(Convolution(2, 2, 5))
    carry = Carry()
    counts = []
    for last in (False, False, True):
        carry.begin(last=last)
        counts.append(layer(torch.randn(6, 2), carry).shape[0])
        carry.finish()
    assert counts == [4, 6, 8]


def test_what_a_stream_keeps_does_not_grow() -> None:
    layer = drawn(Convolution(2, 2, 7, 3))
    carry = Carry()
    sizes = set()
    for _ in range(20):
        carry.begin(last=False)
        layer(torch.randn(30, 2), carry)
        carry.finish()
        sizes.add(tuple(rows.shape[0] for rows in carry.kept))
    assert sizes == {(2 * layer.reach,)}


@pytest.mark.parametrize("kernel", [3, 7])
def test_a_window_too_short_for_the_kernel_gives_nothing_yet(kernel: int) -> None:
    layer = drawn(Convolution(2, 5, kernel))
    carry = Carry()
    carry.begin(last=False)
    assert layer(torch.randn(1, 2), carry).shape == (0, 5)
