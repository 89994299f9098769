"""Convolutions over time, for tensors ``(time, channels)``, whole or window by window."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from voicebench.tts.vits.carry import Carry


class Convolution(nn.Module):
    """A convolution that keeps the length, with an odd kernel: zeros stand beyond both ends."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, dilation: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        self.dilation = dilation
        self.reach = (kernel - 1) * dilation // 2
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, rows: Tensor, carry: Carry) -> Tensor:
        """Return the output rows (time, outputs) that the input up to here determines."""
        return self.inside(carry.extend(rows, edge=self.reach, keep=2 * self.reach))

    def inside(self, rows: Tensor) -> Tensor:
        """Return the output where the kernel lies fully inside ``rows``: 2 × reach rows fewer."""
        if rows.shape[0] <= 2 * self.reach:
            return rows.new_empty(0, self.weight.shape[0])
        columns = rows.t().unsqueeze(0)
        return functional.conv1d(columns, self.weight, self.bias, dilation=self.dilation)[0].t()


class Upsampling(nn.Module):
    """A transposed convolution: each row becomes ``rate`` rows."""

    def __init__(self, inputs: int, outputs: int, kernel: int, rate: int) -> None:
        super().__init__()
        self.rate = rate
        self.kernel = kernel
        self.crop = (kernel - rate) // 2
        self.overlap = (kernel - 1) // rate
        """How many earlier rows still have a say in a row's output."""
        self.weight = nn.Parameter(torch.empty(inputs, outputs, kernel))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, rows: Tensor, carry: Carry) -> Tensor:
        """Return the output rows (time × rate, outputs) that the input up to here determines.

        Input row i reaches the output rows i·rate − crop … i·rate − crop + kernel − 1, so before
        the end those from (rows so far)·rate − crop on are still open.
        """
        extended = carry.extend(rows, edge=0, keep=self.overlap)
        count = extended.shape[0]
        start = max(self.crop, (count - rows.shape[0]) * self.rate)
        stop = (
            (count - 1) * self.rate + self.kernel - self.crop if carry.last else count * self.rate
        )
        if count == 0 or stop <= start:
            return rows.new_empty(0, self.weight.shape[1])
        columns = extended.t().unsqueeze(0)
        spread = functional.conv_transpose1d(columns, self.weight, self.bias, stride=self.rate)
        return spread[0].t()[start:stop]
