"""Convolutions over time, for tensors ``(time, channels)``, whole or window by window.

With time first, a convolution is one matrix product for each tap of its kernel, over the same rows
shifted by the tap's position: nothing is copied or reordered first. For float32 on a CPU that is as
fast as the processor multiplies, even for the short inputs of a window. (`conv1d` of torch reorders
weights and input at every call, and reaches half of that speed.) Wide convolutions use even fewer
products (`voicebench.engines.tts.vits.tiles`). conv1d computes on other devices, and in shorter
number formats, whose sums should be kept in float32.

Weights have the layout of the products, ``(taps, inputs, outputs)``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from voicebench.engines.tts.vits.carry import Carry
from voicebench.engines.tts.vits.tiles import LEAST_ROWS, Tiles
from voicebench.engines.tts.vits.voice_shape import VitsShape, crop, reach


class Taps(nn.Module):
    """A convolution's weights; `inside` computes the rows whose kernel lies inside the input."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, dilation: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        self.dilation = dilation
        self.span = (kernel - 1) * dilation
        """How many fewer rows `inside` returns than it gets."""
        self.trained_shape = (outputs, inputs, kernel)
        self.weight = nn.Parameter(torch.empty(kernel, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self._tiles: Tiles | None = None
        self._taps: tuple[Tensor, ...] = ()

    @staticmethod
    def arranged(trained: Tensor) -> Tensor:
        """Return a trained weight (outputs, inputs, taps) in the layout used here."""
        return trained.permute(2, 1, 0)

    def prepare(self) -> None:
        """Prepare for the weight's device and number format. The weight must not change later."""
        weight, by_taps = self.weight.detach(), multiplies_taps(self.weight)
        self._tiles = Tiles(weight) if by_taps and Tiles.suit(weight, self.dilation) else None
        self._taps = tuple(weight.unbind()) if by_taps else ()

    def inside(self, rows: Tensor, onto: Tensor | None = None) -> Tensor:
        """Return the output rows (time − span, outputs), or add them to ``onto`` in place."""
        weight, count = self.weight, rows.shape[0] - self.span
        if count <= 0:
            return rows.new_empty(0, weight.shape[2]) if onto is None else onto
        if not multiplies_taps(weight):
            columns, kernel = rows.t().unsqueeze(0), weight.permute(2, 1, 0)
            out = functional.conv1d(columns, kernel, self.bias, dilation=self.dilation)[0].t()
            return out if onto is None else onto.add_(out)
        if self._tiles is not None and count >= LEAST_ROWS:
            out = self._tiles.convolve(rows, self.bias)
            return out if onto is None else onto.add_(out)
        first, *others = self._taps or weight.unbind()
        if onto is not None:
            out = onto if self.bias is None else onto.add_(self.bias)
            out.addmm_(rows[:count], first)
        elif self.bias is None:
            out = torch.mm(rows[:count], first)
        else:
            out = torch.addmm(self.bias, rows[:count], first)
        start = 0
        for tap in others:
            start += self.dilation
            out.addmm_(rows[start : start + count], tap)
        return out


def multiplies_taps(weight: Tensor) -> bool:
    """Return whether a convolution with ``weight`` is computed tap by tap."""
    return weight.dtype == torch.float32 and weight.device.type == "cpu"


class Convolution(Taps):
    """A convolution with an odd kernel that keeps the length: zeros are beyond both ends."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, dilation: int = 1, bias: bool = True
    ) -> None:
        super().__init__(inputs, outputs, kernel, dilation, bias)
        self.reach = reach(kernel, dilation)
        """How many rows on either side an output row depends on."""

    def forward(self, rows: Tensor, carry: Carry) -> Tensor:
        """Return the output rows (time, outputs) that are known from the input so far."""
        return self.inside(carry.extend(rows, edge=self.reach, keep=2 * self.reach))

    def within(self, rows: Tensor, lag: int, onto: Tensor | None = None) -> Tensor:
        """Return `inside` for ``rows`` that have ``lag`` ≥ reach rows around the output."""
        spare = lag - self.reach
        return self.inside(rows[spare : max(spare, rows.shape[0] - spare)], onto)


class SymbolConvolution(Taps):
    """A convolution over all symbols of a text that keeps their number."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel)
        self.before = (kernel - 1) // 2
        self.after = kernel // 2

    def forward(self, rows: Tensor) -> Tensor:
        """Return (symbols, outputs) for ``rows`` (symbols, inputs)."""
        channels = rows.shape[1]
        ends = rows.new_zeros(self.before + self.after, channels)
        return self.inside(torch.cat([ends[: self.before], rows, ends[self.before :]]))


class Upsampling(nn.Module):
    """A transposed convolution: each row becomes ``rate`` rows.

    A row contributes to ``overlap`` + 1 blocks of ``rate`` rows: one matrix product each.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, rate: int) -> None:
        super().__init__()
        self.rate = rate
        self.kernel = kernel
        self.crop = crop(kernel, rate)
        self.overlap = (kernel - 1) // rate
        """How many earlier rows contribute to a row's output."""
        self.trained_shape = (inputs, outputs, kernel)
        self.weight = nn.Parameter(torch.empty(self.overlap + 1, inputs, rate * outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def arranged(self, trained: Tensor) -> Tensor:
        """Return a trained weight (inputs, outputs, kernel) in the layout used here."""
        inputs, outputs, kernel = trained.shape
        blocks = self.overlap + 1
        padded = functional.pad(trained, (0, blocks * self.rate - kernel))
        split = padded.reshape(inputs, outputs, blocks, self.rate)
        return split.permute(2, 0, 3, 1).reshape(blocks, inputs, self.rate * outputs)

    def forward(self, rows: Tensor, carry: Carry) -> Tensor:
        """Return the output rows (time × rate, outputs) that are known from the input so far.

        Input row i contributes to the output rows i·rate − crop … i·rate − crop + kernel − 1. So
        before the end, the rows from (rows so far)·rate − crop on are still unknown.
        """
        extended = carry.extend(rows, edge=0, keep=self.overlap)
        count, outputs = extended.shape[0], self.bias.shape[0]
        start = max(self.crop, (count - rows.shape[0]) * self.rate)
        stop = (
            (count - 1) * self.rate + self.kernel - self.crop if carry.last else count * self.rate
        )
        if count == 0 or stop <= start:
            return rows.new_empty(0, outputs)
        blocks = self.bias.repeat(self.rate).expand(count + self.overlap, -1).contiguous()
        for block in range(self.overlap + 1):
            blocks[block : block + count].addmm_(extended, self.weight[block])
        return blocks.view(-1, outputs)[start:stop]


def speaker_layer(shape: VitsShape, outputs: int) -> nn.Linear | None:
    """Return a layer for the speaker's embedding; None in a voice of one speaker."""
    return nn.Linear(shape.speaker_channels, outputs) if shape.speaker_channels else None
