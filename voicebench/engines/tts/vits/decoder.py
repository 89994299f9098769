"""The HiFi-GAN decoder: frames to samples, window by window (Kong et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from voicebench.engines.tts.vits.carry import Carry
from voicebench.engines.tts.vits.layers import Convolution, Upsampling, speaker_layer
from voicebench.engines.tts.vits.voice_shape import DecoderShape, VitsShape

LAST_SLOPE = 0.01
"""The slope of the leaky ReLU before the last convolution; a voice sets the other slopes."""


class ResidualBlock(nn.Module):
    """The convolutions of one branch; `Stage` runs the branches side by side."""

    def __init__(
        self, shape: DecoderShape, channels: int, kernel: int, dilations: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(Convolution(channels, channels, kernel, d) for d in dilations)
        self.plain = nn.ModuleList(
            Convolution(channels, channels, kernel)
            for _ in (dilations if shape.block_kind == 1 else ())
        )

    def convolution(self, step: int) -> Convolution:
        """Return the dilated convolution of a step."""
        found = self.dilated[step]
        assert isinstance(found, Convolution)
        return found

    def following(self, step: int) -> Convolution:
        """Return the undilated convolution of a step, in a block of kind 1."""
        found = self.plain[step]
        assert isinstance(found, Convolution)
        return found


class Stage(nn.Module):
    """Upsampling, then the mean of residual blocks with different kernels.

    A block is a sequence of steps. Each step adds to its input a dilated convolution of it (in
    blocks of kind 1, an undilated convolution of that), each after a leaky ReLU. All blocks take a
    step together, and wait for the block that looks ahead farthest. So they share their input, and
    their last steps are summed in place.
    """

    def __init__(self, shape: DecoderShape, index: int) -> None:
        super().__init__()
        inputs, outputs = shape.channels >> index, shape.channels >> (index + 1)
        self.slope = shape.slope
        self.upsampling = Upsampling(inputs, outputs, shape.kernels[index], shape.rates[index])
        self.blocks = nn.ModuleList(
            ResidualBlock(shape, outputs, kernel, dilations)
            for kernel, dilations in zip(shape.block_kernels, shape.block_dilations, strict=True)
        )
        self.lags = shape.step_lags
        self.plain_lag = shape.plain_lag

    def forward(self, rows: Tensor, carry: Carry) -> Tensor:
        """Return the rows (time × rate, channels / 2) that are known from the input so far."""
        rows = self.upsampling(functional.leaky_relu(rows, self.slope), carry)
        branches = [rows]
        for step, lag in enumerate(self.lags):
            wide = [carry.extend(branch, edge=lag, keep=2 * lag) for branch in branches]
            bent = [functional.leaky_relu(branch, self.slope) for branch in wide]
            if step == 0:
                wide, bent = wide * len(self.blocks), bent * len(self.blocks)
            branches = []
            for block, before, inner in zip(self.blocks, wide, bent, strict=True):
                assert isinstance(block, ResidualBlock)
                after = before[lag : max(lag, before.shape[0] - lag)]
                total = branches[0] if step == len(self.lags) - 1 and branches else None
                if self.plain_lag:
                    added = self._second(block, step, inner, after, total, carry=carry)
                elif total is None:
                    added = block.convolution(step).within(inner, lag).add_(after)
                else:
                    added = block.convolution(step).within(inner, lag, total.add_(after))
                if total is None:
                    branches.append(added)
        return branches[0].div_(len(self.blocks))

    def _second(
        self,
        block: ResidualBlock,
        step: int,
        inner: Tensor,
        after: Tensor,
        total: Tensor | None,
        *,
        carry: Carry,
    ) -> Tensor:
        """Take a step of a block of kind 1: an undilated convolution follows."""
        lag = self.plain_lag
        passed = block.convolution(step).within(inner, self.lags[step])
        bent = carry.extend(functional.leaky_relu_(passed, self.slope), edge=lag, keep=2 * lag)
        after = carry.delay(after, max(0, bent.shape[0] - 2 * lag))
        following = block.following(step)
        if total is None:
            return following.within(bent, lag).add_(after)
        return following.within(bent, lag, total.add_(after))


class HifiganDecoder(nn.Module):
    """Frames of the flow's channels in, samples in [-1, 1] out."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        sizes = shape.decoder
        self.pre = Convolution(shape.flow.channels, sizes.channels, sizes.first_kernel)
        self.speaker = speaker_layer(shape, sizes.channels)
        self.stages = nn.ModuleList(Stage(sizes, i) for i in range(len(sizes.rates)))
        last = sizes.channels >> len(sizes.rates)
        self.post = Convolution(last, 1, sizes.last_kernel, bias=False)

    def forward(self, rows: Tensor, speaker: Tensor | None, carry: Carry) -> Tensor:
        """Return the samples (count,) that are known from the frames (time, channels) so far."""
        rows = self.pre(rows.to(self.pre.weight.dtype), carry)
        if self.speaker is not None and speaker is not None:
            rows = rows + self.speaker(speaker.to(rows.dtype))
        for stage in self.stages:
            rows = stage(rows, carry)
        rows = self.post(functional.leaky_relu(rows, LAST_SLOPE), carry)
        return torch.tanh(rows)[:, 0]
