"""The whole network in torch: the modules of a voice, and the weights in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voicebench.engines.tts.vits.decoder import HifiganDecoder
from voicebench.engines.tts.vits.durations import PlainDurations, StochasticDurations
from voicebench.engines.tts.vits.flow import Flow
from voicebench.engines.tts.vits.layers import Taps
from voicebench.engines.tts.vits.text import TextEncoder
from voicebench.engines.tts.vits.voice_shape import VitsShape

if TYPE_CHECKING:
    from voicebench.engines.tts.vits.voice_weights import Weights


class Vits(nn.Module):
    """The parts of a voice; `voicebench.engines.tts.vits.torch_voice` computes with them."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        self.shape = shape
        self.text = TextEncoder(shape)
        durations = StochasticDurations if shape.durations.stochastic else PlainDurations
        self.durations = durations(shape)
        self.flow = Flow(shape)
        self.decoder = HifiganDecoder(shape)
        self.speakers = (
            nn.Parameter(torch.empty(shape.speakers, shape.speaker_channels))
            if shape.speaker_channels
            else None
        )

    def prepare(self) -> None:
        """Prepare the layers for where they are now; needed again when they move."""
        for module in self.modules():
            if isinstance(module, Taps):
                module.prepare()

    def speaker(self, number: int | None) -> Tensor | None:
        """Return the embedding (speaker channels,) of a speaker; None in a voice of one."""
        return None if self.speakers is None else self.speakers[number or 0]


def network_of(shape: VitsShape, weights: Weights) -> Vits:
    """Return the network of ``shape`` with ``weights``, whose memory it shares, on the CPU."""
    with torch.device("meta"):
        network = Vits(shape)
    tensors = {name: torch.from_numpy(weight) for name, weight in weights.items()}
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)
