"""How long each symbol sounds: the duration predictors, run once for an utterance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from voicebench.tts.vits.shape import DurationShape, VitsShape
from voicebench.tts.vits.splines import inverse_spline
from voicebench.tts.vits.text import SymbolConvolution


class SeparableLayer(nn.Module):
    """A dilated convolution of each channel alone, then a mix of the channels, with a residual."""

    def __init__(self, shape: DurationShape, dilation: int, norm_eps: float) -> None:
        super().__init__()
        self.alone = nn.Conv1d(
            shape.channels,
            shape.channels,
            shape.kernel,
            padding=(shape.kernel - 1) * dilation // 2,
            dilation=dilation,
            groups=shape.channels,
        )
        self.alone_norm = nn.LayerNorm(shape.channels, eps=norm_eps)
        self.mix = nn.Linear(shape.channels, shape.channels)
        self.mix_norm = nn.LayerNorm(shape.channels, eps=norm_eps)

    def forward(self, rows: Tensor) -> Tensor:
        """Return (symbols, channels), as ``rows``."""
        alone = self.alone(rows.t().unsqueeze(0))[0].t()
        mixed = self.mix(functional.gelu(self.alone_norm(alone)))
        return rows + functional.gelu(self.mix_norm(mixed))


def _separable_layers(shape: DurationShape, norm_eps: float) -> nn.Sequential:
    return nn.Sequential(
        *(SeparableLayer(shape, shape.kernel**i, norm_eps) for i in range(shape.layers))
    )


class SplineFlow(nn.Module):
    """One step of the reversed flow: the first channel shapes the spline that moves the second."""

    def __init__(self, shape: DurationShape, norm_eps: float) -> None:
        super().__init__()
        self.bins = shape.bins
        self.bound = shape.bound
        self.pre = nn.Linear(1, shape.channels)
        self.layers = _separable_layers(shape, norm_eps)
        self.project = nn.Linear(shape.channels, 3 * shape.bins - 1)

    def forward(self, still: Tensor, moved: Tensor, condition: Tensor) -> Tensor:
        """Return ``moved`` (n, 1) after the inverse spline that ``still`` (n, 1) asks for."""
        knots = self.project(self.layers(self.pre(still) + condition))
        scale = math.sqrt(condition.shape[1])
        widths = knots[:, : self.bins] / scale
        heights = knots[:, self.bins : 2 * self.bins] / scale
        slopes = knots[:, 2 * self.bins :]
        return inverse_spline(moved[:, 0], widths, heights, slopes, self.bound)[:, None]


class StochasticDurations(nn.Module):
    """Durations drawn from noise by a flow of splines, read backwards."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        sizes = shape.durations
        self.pre = nn.Linear(shape.text.channels, sizes.channels)
        self.speaker = (
            nn.Linear(shape.speaker_channels, sizes.channels) if shape.speaker_channels else None
        )
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
        self.speaker = nn.Linear(shape.speaker_channels, hidden) if shape.speaker_channels else None
        self.first = SymbolConvolution(hidden, sizes.channels, sizes.kernel)
        self.first_norm = nn.LayerNorm(sizes.channels, eps=shape.norm_eps)
        self.second = SymbolConvolution(sizes.channels, sizes.channels, sizes.kernel)
        self.second_norm = nn.LayerNorm(sizes.channels, eps=shape.norm_eps)
        self.project = nn.Linear(sizes.channels, 1)

    def forward(self, hidden: Tensor, speaker: Tensor | None, noise: Tensor) -> Tensor:
        """Return log durations (n,) of n symbols; ``noise`` has no say."""
        del noise
        if self.speaker is not None and speaker is not None:
            hidden = hidden + self.speaker(speaker)
        hidden = self.first_norm(torch.relu(self.first(hidden)))
        hidden = self.second_norm(torch.relu(self.second(hidden)))
        log_durations: Tensor = self.project(hidden)[:, 0]
        return log_durations
