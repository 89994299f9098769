"""How long each symbol lasts: the duration predictors, run once for an utterance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from voicebench.engines.tts.vits.layers import SymbolConvolution, speaker_layer
from voicebench.engines.tts.vits.splines import inverse_spline
from voicebench.engines.tts.vits.voice_shape import DurationShape, VitsShape


class DepthwiseConvolution(nn.Module):
    """A convolution of each channel alone: for each tap, the shifted rows times a gain."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.trained_shape = (channels, 1, kernel)
        self.weight = nn.Parameter(torch.empty(kernel, channels))
        self.bias = nn.Parameter(torch.empty(channels))

    @staticmethod
    def arranged(trained: Tensor) -> Tensor:
        """Return a trained weight (channels, 1, taps) in the layout used here."""
        return trained[:, 0].t()

    def forward(self, rows: Tensor) -> Tensor:
        """Return (symbols, channels), as ``rows``, with zeros beyond both ends."""
        count, middle = rows.shape[0], self.weight.shape[0] // 2
        out = torch.addcmul(self.bias, rows, self.weight[middle])
        for tap, gain in enumerate(self.weight.unbind()):
            shift = (tap - middle) * self.dilation
            if shift and abs(shift) < count:
                start, stop = max(0, -shift), min(count, count - shift)
                out[start:stop].addcmul_(rows[start + shift : stop + shift], gain)
        return out


class SeparableLayer(nn.Module):
    """A dilated depthwise convolution, then a mix of the channels, with a residual."""

    def __init__(self, shape: DurationShape, dilation: int, norm_eps: float) -> None:
        super().__init__()
        self.alone = DepthwiseConvolution(shape.channels, shape.kernel, dilation)
        self.alone_norm = nn.LayerNorm(shape.channels, eps=norm_eps)
        self.mix = nn.Linear(shape.channels, shape.channels)
        self.mix_norm = nn.LayerNorm(shape.channels, eps=norm_eps)

    def forward(self, rows: Tensor) -> Tensor:
        """Return (symbols, channels), as ``rows``."""
        mixed = self.mix(functional.gelu(self.alone_norm(self.alone(rows))))
        return rows + functional.gelu(self.mix_norm(mixed))


def _separable_layers(shape: DurationShape, norm_eps: float) -> nn.Sequential:
    return nn.Sequential(
        *(SeparableLayer(shape, shape.kernel**i, norm_eps) for i in range(shape.layers))
    )


class SplineFlow(nn.Module):
    """One step of the reversed flow: one channel shapes the spline that changes the other."""

    def __init__(self, shape: DurationShape, norm_eps: float) -> None:
        super().__init__()
        self.bins = shape.bins
        self.bound = shape.bound
        self.pre = nn.Linear(1, shape.channels)
        self.layers = _separable_layers(shape, norm_eps)
        self.project = nn.Linear(shape.channels, 3 * shape.bins - 1)

    def forward(self, still: Tensor, moved: Tensor, condition: Tensor) -> Tensor:
        """Return ``moved`` (n, 1) after the inverse spline that ``still`` (n, 1) shapes."""
        knots = self.project(self.layers(self.pre(still) + condition))
        scale = math.sqrt(condition.shape[1])
        widths = knots[:, : self.bins] / scale
        heights = knots[:, self.bins : 2 * self.bins] / scale
        slopes = knots[:, 2 * self.bins :]
        return inverse_spline(moved[:, 0], widths, heights, slopes, self.bound)[:, None]


class StochasticDurations(nn.Module):
    """Durations drawn from noise by a reversed flow of splines."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        sizes = shape.durations
        self.pre = nn.Linear(shape.text.channels, sizes.channels)
        self.speaker = speaker_layer(shape, sizes.channels)
        self.layers = _separable_layers(sizes, shape.norm_eps)
        self.project = nn.Linear(sizes.channels, sizes.channels)
        self.flows = nn.ModuleList(SplineFlow(sizes, shape.norm_eps) for _ in range(sizes.flows))
        self.shift = nn.Parameter(torch.empty(2))
        self.log_scale = nn.Parameter(torch.empty(2))

    def forward(self, hidden: Tensor, speaker: Tensor | None, noise: Tensor) -> Tensor:
        """Return log durations (n,) from ``hidden`` (n, channels) and ``noise`` (n, 2)."""
        condition = self.pre(hidden)
        if self.speaker is not None and speaker is not None:
            condition = condition + self.speaker(speaker)
        condition = self.project(self.layers(condition))
        first, second = noise[:, :1], noise[:, 1:]
        for flow in self.flows:
            first, second = second, flow(second, first, condition)
        log_durations: Tensor = (second[:, 0] - self.shift[0]) * torch.exp(-self.log_scale[0])
        return log_durations


class PlainDurations(nn.Module):
    """Durations by two convolutions: the same for the same text."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        sizes, hidden = shape.durations, shape.text.channels
        self.speaker = speaker_layer(shape, hidden)
        self.first = SymbolConvolution(hidden, sizes.channels, sizes.kernel)
        self.first_norm = nn.LayerNorm(sizes.channels, eps=shape.norm_eps)
        self.second = SymbolConvolution(sizes.channels, sizes.channels, sizes.kernel)
        self.second_norm = nn.LayerNorm(sizes.channels, eps=shape.norm_eps)
        self.project = nn.Linear(sizes.channels, 1)

    def forward(self, hidden: Tensor, speaker: Tensor | None, noise: Tensor) -> Tensor:
        """Return log durations (n,) of n symbols; ``noise`` is not used."""
        del noise
        if self.speaker is not None and speaker is not None:
            hidden = hidden + self.speaker(speaker)
        hidden = self.first_norm(torch.relu(self.first(hidden)))
        hidden = self.second_norm(torch.relu(self.second(hidden)))
        log_durations: Tensor = self.project(hidden)[:, 0]
        return log_durations
