"""The reversed flow: turns the prior's frames into the decoder's, window by window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from voicebench.engines.tts.vits.carry import Carry
from voicebench.engines.tts.vits.layers import Convolution, speaker_layer
from voicebench.engines.tts.vits.voice_shape import VitsShape


class Coupling(nn.Module):
    """A small WaveNet: from one half of the channels, what to subtract from the other half."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        sizes = shape.flow
        half = sizes.channels // 2
        self.hidden = sizes.hidden
        self.pre = nn.Linear(half, sizes.hidden)
        self.speaker = speaker_layer(shape, 2 * sizes.hidden * sizes.layers)
        self.gates = nn.ModuleList(
            Convolution(sizes.hidden, 2 * sizes.hidden, sizes.kernel, sizes.dilation_rate**i)
            for i in range(sizes.layers)
        )
        self.mixes = nn.ModuleList(
            nn.Linear(sizes.hidden, (2 if i < sizes.layers - 1 else 1) * sizes.hidden)
            for i in range(sizes.layers)
        )
        self.post = nn.Linear(sizes.hidden, half)

    def forward(self, still: Tensor, speaker: Tensor | None, carry: Carry) -> Tensor:
        """Return what to subtract from the other half, for the frames known from ``still``."""
        inner = self.pre(still)
        steered = None
        if self.speaker is not None and speaker is not None:
            steered = self.speaker(speaker).view(len(self.gates), 2 * self.hidden)
        total: Tensor | None = None
        for index, (gate, mix) in enumerate(zip(self.gates, self.mixes, strict=True)):
            assert isinstance(gate, Convolution)
            wide = carry.extend(inner, edge=gate.reach, keep=2 * gate.reach)
            opened = gate.inside(wide)
            if steered is not None:
                opened = opened + steered[index]
            passed = torch.tanh(opened[:, : self.hidden])
            mixed = mix(passed.mul_(torch.sigmoid(opened[:, self.hidden :])))
            count = mixed.shape[0]
            if index < len(self.gates) - 1:
                inner = wide[gate.reach : gate.reach + count] + mixed[:, : self.hidden]
                mixed = mixed[:, self.hidden :]
            total = mixed if total is None else carry.delay(total, count) + mixed
        assert total is not None
        taken: Tensor = self.post(total)
        return taken


class Flow(nn.Module):
    """All couplings, in the order of the reversed flow."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(shape) for _ in range(shape.flow.couplings))

    def forward(self, rows: Tensor, speaker: Tensor | None, carry: Carry) -> Tensor:
        """Return the decoder's frames (time, channels) that are known from the frames so far.

        Before each coupling the order of the channels is flipped. The coupling reads the first
        half and changes the second.
        """
        half = rows.shape[1] // 2
        for coupling in self.couplings:
            rows = rows.flip(1)
            taken = coupling(rows[:, :half], speaker, carry)
            rows = carry.delay(rows, taken.shape[0])
            rows = torch.cat([rows[:, :half], rows[:, half:] - taken], dim=1)
        return rows
