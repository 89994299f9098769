"""The whole network: an utterance is encoded once, and then spoken window by window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from voicebench.errors import EngineError
from voicebench.tts.vits.carry import Carry
from voicebench.tts.vits.decoder import Decoder
from voicebench.tts.vits.durations import PlainDurations, StochasticDurations
from voicebench.tts.vits.flow import Flow
from voicebench.tts.vits.layers import Taps
from voicebench.tts.vits.replay import Replays
from voicebench.tts.vits.shape import VitsShape
from voicebench.tts.vits.text import TextEncoder

MOST_FRAMES = 1 << 18
"""An utterance of more frames (50 minutes) is a broken voice."""


class Noise(Protocol):
    """Where the normal noise of an utterance comes from."""

    def for_durations(self, symbols: int) -> Tensor:
        """Return (symbols, 2)."""
        ...

    def for_frames(self, frames: int, channels: int) -> Tensor:
        """Return the next (frames, channels)."""
        ...


@dataclass(frozen=True, slots=True)
class Manner:
    """How to speak: the voice's speaker and how much noise and length to give."""

    noise_scale: float
    length_scale: float
    noise_w: float
    speaker: int | None = None


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text that was encoded: the prior of each symbol, and how many frames each symbol lasts."""

    mean: Tensor
    """(symbols, channels)"""
    scale: Tensor
    """(symbols, channels): the standard deviation, times the noise scale."""
    symbol_of_frame: Tensor
    """(frames,)"""
    speaker: Tensor | None
    """(speaker channels,)"""
    ends: Tensor
    """(symbols,), on the host: the frame with which the next symbol begins."""

    @property
    def frames(self) -> int:
        """Return how many frames the utterance lasts."""
        return self.symbol_of_frame.shape[0]


class Stream(Protocol):
    """An utterance on its way through flow and decoder."""

    def size_for(self, frames: int) -> int:
        """Return how many frames the next window should have, where ``frames`` are wanted."""
        ...

    def window(self, rows: Tensor, *, last: bool) -> Tensor:
        """Return the samples (count,) that the frames ``rows`` (time, channels) add.

        With ``last`` the utterance ends with them.
        """
        ...


class Arithmetic(Protocol):
    """What computes the network."""

    @property
    def dtype(self) -> str:
        """The number format of the decoder."""
        ...

    @property
    def kernels(self) -> str:
        """What computes: ``torch`` or ``native``."""
        ...

    def encode(
        self, symbols: Tensor, speaker: Tensor | None, drawn: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and scale (n, channels) and log durations (n,) of ``symbols`` (n,).

        ``drawn`` is the noise (n, 2) of the durations, ``speaker`` (speaker channels,).
        """
        ...

    def stream(self, speaker: Tensor | None, replays: Replays | None = None) -> Stream:
        """Begin an utterance. With ``replays`` windows in its middle have one of its sizes."""
        ...


class TorchArithmetic:
    """The network in torch, on every device: what every other way to compute it must equal."""

    def __init__(self, network: Vits) -> None:
        self._network = network

    @property
    def dtype(self) -> str:
        """The number format of the decoder."""
        return str(self._network.decoder.pre.weight.dtype).removeprefix("torch.")

    @property
    def kernels(self) -> str:
        """What computes."""
        return "torch"

    def encode(
        self, symbols: Tensor, speaker: Tensor | None, drawn: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean, scale and log durations, as `Arithmetic` says."""
        hidden, mean, log_scale = self._network.text(symbols)
        log_durations = self._network.durations(hidden, speaker, drawn)
        return mean, torch.exp(log_scale), log_durations

    def stream(self, speaker: Tensor | None, replays: Replays | None = None) -> TorchStream:
        """Begin an utterance."""
        return TorchStream(self._network, speaker, replays)

    def decode(self, rows: Tensor, speaker: Tensor | None, carry: Carry) -> Tensor:
        """Return the samples (count,) that ``rows`` add, within a window that has begun."""
        rows = self._network.flow(rows, speaker, carry)
        samples: Tensor = self._network.decoder(rows, speaker, carry)
        return samples


class TorchStream:
    """An utterance in torch."""

    def __init__(self, network: Vits, speaker: Tensor | None, replays: Replays | None) -> None:
        self.carry = Carry()
        self._decode = TorchArithmetic(network).decode
        self._speaker = speaker
        self._replays = replays
        self._given = False

    def size_for(self, frames: int) -> int:
        """Return how many frames the next window should have: those of a recorded one, if any."""
        return self._replays.size_for(frames) if self._replays and self._given else frames

    def window(self, rows: Tensor, *, last: bool) -> Tensor:
        """Return the samples (count,) that the frames ``rows`` (time, channels) add."""
        if self._replays is not None and self._given and not last:
            return self._replays(rows, self.carry)
        self.carry.begin(last=last)
        samples = self._decode(rows, self._speaker, self.carry)
        self.carry.finish()
        self._given |= samples.shape[0] > 0
        return samples


class Vits(nn.Module):
    """A voice: symbols in, samples out. ``arithmetic`` computes it, at first in torch."""

    def __init__(self, shape: VitsShape) -> None:
        super().__init__()
        self.shape = shape
        self.text = TextEncoder(shape)
        durations = StochasticDurations if shape.durations.stochastic else PlainDurations
        self.durations = durations(shape)
        self.flow = Flow(shape)
        self.decoder = Decoder(shape)
        self.speakers = (
            nn.Parameter(torch.empty(shape.speakers, shape.speaker_channels))
            if shape.speaker_channels
            else None
        )
        self.arithmetic: Arithmetic = TorchArithmetic(self)
        self.origin: str | None = None
        """A digest of the file that the weights came from, where that is known."""

    def prepare(self) -> None:
        """Prepare the layers for where they are now; needed again when they move."""
        for module in self.modules():
            if isinstance(module, Taps):
                module.prepare()

    def encode(self, symbols: Tensor, manner: Manner, noise: Noise) -> Utterance:
        """Run what is needed once for ``symbols`` (n,): text encoder, durations, prior.

        Raises `EngineError` where the durations are no usable numbers.
        """
        speaker = self.speaker(manner)
        drawn = noise.for_durations(symbols.shape[0]).to(self.text.embedding) * manner.noise_w
        mean, scale, log_durations = self.arithmetic.encode(symbols, speaker, drawn)
        with np.errstate(over="ignore", invalid="ignore"):  # looked at below
            lengths = np.exp(log_durations.float().cpu().numpy()) * np.float32(manner.length_scale)
        counts = np.ceil(lengths)
        total = float(counts.sum())
        if not 0 <= total <= MOST_FRAMES:
            raise EngineError(
                f"the voice gives {symbols.shape[0]} symbols a length of {total:g} frames",
                "the voice's weights are damaged, or its length_scale is far off",
            )
        counts = counts.astype(np.int64)
        if total == 0:
            counts[0] = 1
        symbol_of_frame = torch.from_numpy(np.repeat(np.arange(counts.size), counts))
        return Utterance(
            mean=mean,
            scale=scale * manner.noise_scale,
            symbol_of_frame=symbol_of_frame.to(mean.device),
            speaker=speaker,
            ends=torch.from_numpy(counts.cumsum()),
        )

    def speaker(self, manner: Manner) -> Tensor | None:
        """Return the embedding (speaker channels,) of the speaker; None in a voice of one."""
        return None if self.speakers is None else self.speakers[manner.speaker or 0]

    def windows(
        self,
        utterance: Utterance,
        noise: Noise,
        sizes: Iterator[int],
        replays: Replays | None = None,
    ) -> Iterator[Tensor]:
        """Yield the utterance's samples (count,), window by window.

        ``sizes`` says how many samples the next window must have at least; the last window has
        what is left. A window is computed when it is asked for. With ``replays`` the windows
        between the first and the last have one of its sizes.
        """
        stream = self.arithmetic.stream(utterance.speaker, replays)
        taken = given = 0
        while taken < utterance.frames:
            upto = self._frames_for(given + next(sizes), taken + 1, utterance.frames)
            upto = min(taken + stream.size_for(upto - taken), utterance.frames)
            rows = self.frames(utterance, taken, upto, noise)
            samples = stream.window(rows, last=upto == utterance.frames)
            taken = upto
            given += samples.shape[0]
            if samples.shape[0]:
                yield samples

    def frames(self, utterance: Utterance, start: int, stop: int, noise: Noise) -> Tensor:
        """Return the utterance's frames (stop − start, channels), drawn from their prior."""
        symbol = utterance.symbol_of_frame[start:stop]
        mean, scale = _rows(utterance.mean, symbol), _rows(utterance.scale, symbol)
        drawn = noise.for_frames(stop - start, mean.shape[1]).to(mean)
        return torch.addcmul(mean, drawn, scale)

    def _frames_for(self, samples: int, least: int, most: int) -> int:
        """Return how many frames from the beginning determine the first ``samples`` samples."""
        lag, determined = self.flow.lag, self.decoder.determined
        guess: int = -(-samples // self.shape.decoder.hop) + lag
        while guess < most and determined(guess - lag) < samples:
            guess += 1
        return min(max(guess, least), most)


def _rows(table: Tensor, places: Tensor) -> Tensor:
    """Return the rows of ``table`` (rows, channels) at ``places`` (count,).

    On a CPU numpy picks them, in this thread: torch would wake its other threads, which then stay
    busy for a while and take a core from the window that is computed next.
    """
    if table.device.type == "cpu":
        return torch.from_numpy(table.numpy()[places.numpy()])
    return table[places]
