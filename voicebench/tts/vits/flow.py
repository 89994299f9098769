"""The flow, reversed: what turns the prior's frames into the decoder's, window by window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from voicebench.tts.vits.carry import Carry
from voicebench.tts.vits.layers import Convolution
from voicebench.tts.vits.shape import VitsShape


class Coupling(nn.Module):
    """One half of the channels, through a small WaveNet, says what to take from the other half."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        sizes = shape.flow
        self.width = sizes.channels // 2
        self.hidden = sizes.hidden
        self.pre = nn.Linear(self.width, sizes.hidden)
        self.speaker = (
            nn.Linear(shape.speaker_channels, 2 * sizes.hidden * sizes.layers)
            if shape.speaker_channels
            else None
        )
        self.gates = nn.ModuleList(
            Convolution(sizes.hidden, 2 * sizes.hidden, sizes.kernel, sizes.dilation_rate**i)
            for i in range(sizes.layers)
        )
        self.mixes = nn.ModuleList(
            nn.Linear(sizes.hidden, (2 if i < sizes.layers - 1 else 1) * sizes.hidden)
            for i in range(sizes.layers)
        )
        self.post = nn.Linear(sizes.hidden, self.width)
        self.lag = sum(
            (sizes.kernel - 1) // 2 * sizes.dilation_rate**i for i in range(sizes.layers)
        )
        """How many frames the output stays behind the input, until the end comes in."""

    def forward(self, rows: Tensor, speaker: Tensor | None, carry: Carry) -> Tensor:
        """Return the rows (time, channels) that the frames up to here determine.

        The reversed flow flips the order of the channels before each coupling: done here, by
        which half is read.
        """
        rows = rows.flip(1)
        inner = self.pre(rows[:, : self.width])
        steered = None
        if self.speaker is not None and speaker is not None:
            steered = self.speaker(speaker).view(len(self.gates), 2 * self.hidden)
        total: Tensor | None = None
        for index, (gate, mix) in enumerate(zip(self.gates, self.mixes, strict=True)):
            opened = gate(inner, carry)
            if steered is not None:
                opened = opened + steered[index]
            passed = torch.tanh(opened[:, : self.hidden]) * torch.sigmoid(opened[:, self.hidden :])
            mixed = mix(passed)
            count = mixed.shape[0]
            if index < len(self.gates) - 1:
                inner = carry.delay(inner, count) + mixed[:, : self.hidden]
                mixed = mixed[:, self.hidden :]
            total = mixed if total is None else carry.delay(total, count) + mixed
        assert total is not None
        taken = self.post(total)
        rows = carry.delay(rows, taken.shape[0])
        return torch.cat([rows[:, : self.width], rows[:, self.width :] - taken], dim=1)


class Flow(nn.Module):
    """All couplings, in the order in which the reversed flow runs through them."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        couplings = [Coupling(shape) for _ in range(shape.flow.couplings)]
        self.lag = sum(coupling.lag for coupling in couplings)
        """How many frames the output stays behind the input, until the end comes in."""
        self.couplings = nn.ModuleList(couplings)

    def forward(self, rows: Tensor, speaker: Tensor | None, carry: Carry) -> Tensor:
        """Return the decoder's frames (time, channels) that the frames up to here determine."""
        for coupling in self.couplings:
            rows = coupling(rows, speaker, carry)
        return rows
