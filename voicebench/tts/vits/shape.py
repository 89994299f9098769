"""The shape of a voice: every size and constant that its network is built from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, Self


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
    """Relative positions are told apart up to this distance."""


@dataclass(frozen=True, slots=True)
class DurationShape:
    """The duration predictor: ``stochastic`` (a spline flow) or plain (two convolutions)."""

    stochastic: bool
    channels: int
    kernel: int
    layers: int = 3
    flows: int = 3
    """Spline flows that the reverse pass uses: one fewer than training has."""
    bins: int = 10
    bound: float = 5.0
    """The splines act inside [-bound, bound] and leave the rest as it is."""


@dataclass(frozen=True, slots=True)
class FlowShape:
    """The flow: coupling layers, each a small WaveNet over half of the channels."""

    channels: int
    couplings: int
    hidden: int
    layers: int
    kernel: int
    dilation_rate: int = 1


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
        hop = 1
        for rate in self.rates:
            hop *= rate
        return hop


@dataclass(frozen=True, slots=True)
class VitsShape:
    """All of it. ``speakers`` is 1 and ``speaker_channels`` 0 for a voice of a single speaker."""

    text: TextShape
    durations: DurationShape
    flow: FlowShape
    decoder: DecoderShape
    speakers: int = 1
    speaker_channels: int = 0
    norm_eps: float = 1e-5

    def to_json(self) -> dict[str, Any]:
        """Return the shape as what JSON can hold."""
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
