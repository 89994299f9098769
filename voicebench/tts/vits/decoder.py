"""The HiFi-GAN decoder: frames to samples, window by window (Kong et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from voicebench.tts.vits.carry import Carry
from voicebench.tts.vits.layers import Convolution, Upsampling
from voicebench.tts.vits.shape import DecoderShape, VitsShape

LAST_SLOPE = 0.01
"""The slope of the leaky ReLU before the last convolution; the others are a voice's own."""


class ResidualBlock(nn.Module):
    """Dilated convolutions, each with a residual; kind 1 follows each by an undilated one."""

    def __init__(
        self, shape: DecoderShape, channels: int, kernel: int, dilations: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.slope = shape.slope
        self.dilated = nn.ModuleList(Convolution(channels, channels, kernel, d) for d in dilations)
        self.plain = nn.ModuleList(
            Convolution(channels, channels, kernel)
            for _ in (dilations if shape.block_kind == 1 else ())
        )
        self.lag = (kernel - 1) // 2 * (sum(dilations) + len(self.plain))
        """How many rows the output stays behind the input."""

    def forward(self, rows: Tensor, carry: Carry) -> Tensor:
        """Return the rows (time, channels) that the input up to here determines."""
        for index, dilated in enumerate(self.dilated):
            inner = dilated(functional.leaky_relu(rows, self.slope), carry)
            if self.plain:
                inner = self.plain[index](functional.leaky_relu(inner, self.slope), carry)
            rows = carry.delay(rows, inner.shape[0]) + inner
        return rows


class Stage(nn.Module):
    """Upsampling, then the mean of residual blocks with different kernels."""

    def __init__(self, shape: DecoderShape, index: int) -> None:
        super().__init__()
        inputs, outputs = shape.channels >> index, shape.channels >> (index + 1)
        self.slope = shape.slope
        self.upsampling = Upsampling(inputs, outputs, shape.kernels[index], shape.rates[index])
        blocks = [
            ResidualBlock(shape, outputs, kernel, dilations)
            for kernel, dilations in zip(shape.block_kernels, shape.block_dilations, strict=True)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.open_rows = self.upsampling.crop + max(block.lag for block in blocks)
        """How many of the last output rows the input so far does not determine."""

    def forward(self, rows: Tensor, carry: Carry) -> Tensor:
        """Return the rows (time × rate, channels / 2) that the input up to here determines."""
        rows = self.upsampling(functional.leaky_relu(rows, self.slope), carry)
        outputs = carry.align([block(rows, carry) for block in self.blocks])
        total = outputs[0]
        for output in outputs[1:]:
            total = total + output
        return total / len(outputs)

    def determined(self, count: int) -> int:
        """Return how many output rows the first ``count`` input rows determine."""
        return max(0, count * self.upsampling.rate - self.open_rows)


class Decoder(nn.Module):
    """Frames of the flow's channels in, samples in [-1, 1] out."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        sizes = shape.decoder
        self.pre = Convolution(shape.flow.channels, sizes.channels, sizes.first_kernel)
        self.speaker = (
            nn.Linear(shape.speaker_channels, sizes.channels) if shape.speaker_channels else None
        )
        self.stages = nn.ModuleList(Stage(sizes, i) for i in range(len(sizes.rates)))
        last = sizes.channels >> len(sizes.rates)
        self.post = Convolution(last, 1, sizes.last_kernel, bias=False)

    def forward(self, rows: Tensor, speaker: Tensor | None, carry: Carry) -> Tensor:
        """Return the samples (count,) that the frames (time, channels) up to here determine."""
        rows = self.pre(rows, carry)
        if self.speaker is not None and speaker is not None:
            rows = rows + self.speaker(speaker)
        for stage in self.stages:
            rows = stage(rows, carry)
        rows = self.post(functional.leaky_relu(rows, LAST_SLOPE), carry)
        return torch.tanh(rows)[:, 0]

    def determined(self, frames: int) -> int:
        """Return how many samples the first ``frames`` frames determine, short of the end."""
        count = max(0, frames - self.pre.reach)
        for stage in self.stages:
            count = stage.determined(count)  # type: ignore[operator]
        return max(0, count - self.post.reach)
