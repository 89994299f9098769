"""The shape of a voice: every size and constant that its network is built from.

Also what follows from the sizes alone: how far the layers look ahead, and so how many frames are
needed for the first samples of an utterance.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, Self


def reach(kernel: int, dilation: int = 1) -> int:
    """Return how many rows on either side a convolution with an odd kernel reads."""
    return (kernel - 1) * dilation // 2


def crop(kernel: int, rate: int) -> int:
    """Return how many rows an upsampling leaves out at the beginning of its output."""
    return (kernel - rate) // 2


@dataclass(frozen=True, slots=True)
class TextShape:
    """The text encoder: a transformer over symbols whose feed-forward layers are convolutions."""

    symbols: int
    channels: int
    feed_channels: int
    layers: int
    heads: int
    kernel: int
    reach: int
    """Relative positions are distinguished up to this distance."""


@dataclass(frozen=True, slots=True)
class DurationShape:
    """The duration predictor: ``stochastic`` (a spline flow) or plain (two convolutions)."""

    stochastic: bool
    channels: int
    kernel: int
    layers: int = 3
    flows: int = 3
    """Spline flows that the reverse pass uses: one fewer than in training."""
    bins: int = 10
    bound: float = 5.0
    """The splines are the identity outside [-bound, bound]."""


@dataclass(frozen=True, slots=True)
class FlowShape:
    """The flow: coupling layers, each a small WaveNet over half of the channels."""

    channels: int
    couplings: int
    hidden: int
    layers: int
    kernel: int
    dilation_rate: int = 1

    @property
    def lag(self) -> int:
        """Return how many frames the output is behind the input, before the end."""
        coupling = sum(reach(self.kernel, self.dilation_rate**i) for i in range(self.layers))
        return self.couplings * coupling


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """The HiFi-GAN decoder: stages of upsampling, each followed by parallel residual blocks."""

    channels: int
    first_kernel: int
    last_kernel: int
    rates: tuple[int, ...]
    kernels: tuple[int, ...]
    block_kernels: tuple[int, ...]
    block_dilations: tuple[tuple[int, ...], ...]
    block_kind: Literal[1, 2]
    """1: each dilated convolution is followed by an undilated one; 2: it is not."""
    slope: float = 0.1

    @property
    def hop(self) -> int:
        """Return how many samples one frame becomes."""
        return math.prod(self.rates)

    @property
    def step_lags(self) -> tuple[int, ...]:
        """Return how far each step of the residual blocks looks ahead: as far as the widest."""
        return tuple(
            max(map(reach, self.block_kernels, dilations))
            for dilations in zip(*self.block_dilations, strict=True)
        )

    @property
    def plain_lag(self) -> int:
        """Return how far the undilated convolution of a step looks ahead; 0 if there is none."""
        return max(map(reach, self.block_kernels)) if self.block_kind == 1 else 0

    def frames_for(self, samples: int) -> int:
        """Return how many frames are needed for the first ``samples`` samples (1 or more).

        Counted backwards through the layers: each returns its last rows only when the rows that it
        looks ahead at have arrived.
        """
        ahead = sum(self.step_lags) + self.plain_lag * len(self.step_lags)
        rows = samples + reach(self.last_kernel)
        for rate, kernel in zip(self.rates[::-1], self.kernels[::-1], strict=True):
            rows = -(-(rows + ahead + crop(kernel, rate)) // rate)
        return rows + reach(self.first_kernel)


@dataclass(frozen=True, slots=True)
class VitsShape:
    """All sizes. A voice of a single speaker has 1 ``speakers`` and 0 ``speaker_channels``."""

    text: TextShape
    durations: DurationShape
    flow: FlowShape
    decoder: DecoderShape
    speakers: int = 1
    speaker_channels: int = 0
    norm_eps: float = 1e-5

    def frames_for(self, samples: int) -> int:
        """Return how many frames of the prior are needed for the first ``samples`` samples."""
        return self.decoder.frames_for(samples) + self.flow.lag

    def to_json(self) -> dict[str, Any]:
        """Return the shape as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Return the shape that `to_json` stored."""
        decoder = dict(stored["decoder"])
        for name in ("rates", "kernels", "block_kernels"):
            decoder[name] = tuple(decoder[name])
        decoder["block_dilations"] = tuple(tuple(row) for row in decoder["block_dilations"])
        return cls(
            text=TextShape(**stored["text"]),
            durations=DurationShape(**stored["durations"]),
            flow=FlowShape(**stored["flow"]),
            decoder=DecoderShape(**decoder),
            speakers=stored["speakers"],
            speaker_channels=stored["speaker_channels"],
            norm_eps=stored["norm_eps"],
        )
