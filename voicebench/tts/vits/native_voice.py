"""The arithmetic of a voice in C (`voicebench/native/vits`): an encoding or a window is one call.

A window of speech is hundreds of small operations. In torch each costs a call, each convolution
reorders its weights, and a window of a size that was not there before is compiled first, in many
times the time that it is computed in. Here the weights are reordered once, and a window of any size
costs what its products cost.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voicebench.tts.vits.durations import SeparableLayer, StochasticDurations
from voicebench.tts.vits.layers import Taps

if TYPE_CHECKING:
    from voicebench.tts.vits.decoder import Decoder, Stage
    from voicebench.tts.vits.flow import Flow
    from voicebench.tts.vits.network import Vits
    from voicebench.tts.vits.shape import VitsShape
    from voicebench.tts.vits.text import TextEncoder

MOST_THREADS = 16
"""More threads than this wait for each other longer than they compute, in a window of speech."""

_FLOATS, _BFLOATS = 0, 1


class NativeArithmetic:
    """A network in C; implements `voicebench.tts.vits.network.Arithmetic`.

    The network's weights are copied, with those of ``speaker`` (speaker channels,) added up into
    them: the voice speaks as that speaker. ``bfloats`` has the decoder multiply bfloat16 where the
    processor can (`multiplies_bfloats`); what decides over rhythm and melody stays in float32.
    Raises `MemoryError`.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        network: Vits,
        *,
        speaker: Tensor | None,
        bfloats: bool,
        threads: int,
    ) -> None:
        self._library = library
        self._network = network
        self.bfloats = bfloats
        arrays = [
            None if array is None else array.detach().float().contiguous()
            for array in _weights(network, speaker)
        ]
        sizes = _sizes(network.shape)
        shape = network.shape
        self._voice = library.voicebench_voice_open(
            (ctypes.c_int32 * len(sizes))(*sizes),
            (ctypes.c_float * 3)(shape.norm_eps, shape.durations.bound, shape.decoder.slope),
            (ctypes.c_void_p * len(arrays))(
                *(None if array is None else array.data_ptr() for array in arrays)
            ),
            len(arrays),
            _BFLOATS if bfloats else _FLOATS,
            min(threads, MOST_THREADS),
        )
        if not self._voice:
            raise MemoryError("no memory for the voice")

    def __del__(self) -> None:
        """Free what C holds."""
        if getattr(self, "_voice", None):
            self._library.voicebench_voice_close(self._voice)
            self._voice = None

    @property
    def dtype(self) -> str:
        """The number format of the decoder."""
        return "bfloat16" if self.bfloats else "float32"

    @property
    def kernels(self) -> str:
        """What computes."""
        return "native"

    def encode(
        self, symbols: Tensor, speaker: Tensor | None, drawn: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and scale (n, channels) and log durations (n,) of ``symbols`` (n,).

        ``drawn`` is the noise (n, 2) of the durations.
        """
        from voicebench.tts.vits.network import TorchArithmetic

        shape, count = self._network.shape, symbols.shape[0]
        predicts = isinstance(self._network.durations, StochasticDurations)
        symbols, drawn = symbols.contiguous(), drawn.float().contiguous()
        hidden = torch.empty(count, shape.text.channels)
        prior = torch.empty(count, 2 * shape.flow.channels)
        log_durations = torch.empty(count)
        fits = self._library.voicebench_voice_encode(
            self._voice,
            symbols.data_ptr(),
            count,
            drawn.data_ptr(),
            hidden.data_ptr(),
            prior.data_ptr(),
            log_durations.data_ptr() if predicts else None,
        )
        if not fits:
            return TorchArithmetic(self._network).encode(symbols, speaker, drawn)
        if not predicts:
            log_durations = self._network.durations(hidden, speaker, drawn)
        mean, scale = prior.chunk(2, dim=1)
        return mean, scale, log_durations

    def stream(self, speaker: Tensor | None, replays: object = None) -> NativeStream:
        """Begin an utterance. The speaker is the one that this was made for."""
        del speaker, replays
        return NativeStream(self, self._library, self._voice, self._network.shape)


class NativeStream:
    """An utterance that is spoken; implements `voicebench.tts.vits.network.Stream`."""

    def __init__(
        self, owner: NativeArithmetic, library: ctypes.CDLL, voice: int, shape: VitsShape
    ) -> None:
        self._owner = owner  # its memory must outlive the stream
        self._library = library
        self._voice = voice
        self._hop = shape.decoder.hop
        self._due = 0
        self._stream = library.voicebench_voice_begin()
        if not self._stream:
            raise MemoryError("no memory for an utterance")

    def __del__(self) -> None:
        """Free what C holds."""
        if getattr(self, "_stream", None):
            self._library.voicebench_voice_end(self._stream)
            self._stream = None

    def size_for(self, frames: int) -> int:
        """Return how many frames to take where ``frames`` are wanted: windows may have any size."""
        return frames

    def window(self, rows: Tensor, *, last: bool) -> Tensor:
        """Return the samples (count,) that the frames ``rows`` (time, channels) add."""
        rows = rows.contiguous()
        self._due += rows.shape[0] * self._hop
        samples = torch.empty(self._due)
        given = self._library.voicebench_voice_speak(
            self._voice,
            self._stream,
            rows.data_ptr(),
            rows.shape[0],
            int(last),
            samples.data_ptr(),
        )
        self._due -= given
        return samples[:given]


def multiplies_bfloats(library: ctypes.CDLL) -> bool:
    """Return whether the processor multiplies tiles of bfloat16."""
    return bool(library.voicebench_voice_multiplies_bfloats())


def _sizes(shape: VitsShape) -> list[int]:
    """Return the sizes of the network in the order in which C reads them."""
    text, durations, flow, decoder = shape.text, shape.durations, shape.flow, shape.decoder
    sizes = [
        *(text.symbols, text.channels, text.feed_channels, text.layers, text.heads),
        *(text.kernel, text.reach),
        *(durations.channels if durations.stochastic else 0, durations.kernel, durations.layers),
        *(durations.flows, durations.bins),
        *(flow.channels, flow.couplings, flow.hidden, flow.layers, flow.kernel),
        flow.dilation_rate,
        *(decoder.channels, decoder.first_kernel, decoder.last_kernel, decoder.block_kind),
        *(len(decoder.rates), len(decoder.block_kernels), len(decoder.block_dilations[0])),
    ]
    for rate, kernel in zip(decoder.rates, decoder.kernels, strict=True):
        sizes += [rate, kernel]
    for kernel, dilations in zip(decoder.block_kernels, decoder.block_dilations, strict=True):
        sizes += [kernel, *dilations]
    return sizes


_Arrays = Iterator[Tensor | None]


def _weights(network: Vits, speaker: Tensor | None) -> _Arrays:
    """Yield the weights of the network in the order in which C reads them."""
    yield from _of_text(network.text)
    if isinstance(network.durations, StochasticDurations):
        yield from _of_durations(network.durations, speaker)
    yield from _of_flow(network.flow, speaker)
    yield from _of_decoder(network.decoder, speaker)


def _of_text(text: TextEncoder) -> _Arrays:
    yield text.embedding
    for layer in text.layers:
        yield from _linear(layer.attention.joint)  # type: ignore[union-attr, arg-type]
        yield from _linear(layer.attention.output)  # type: ignore[union-attr, arg-type]
        yield layer.attention.near_keys  # type: ignore[union-attr, misc]
        yield layer.attention.near_values  # type: ignore[union-attr, misc]
        yield from _norm(layer.attention_norm)  # type: ignore[arg-type]
        yield from _taps(layer.widen)  # type: ignore[arg-type]
        yield from _taps(layer.narrow)  # type: ignore[arg-type]
        yield from _norm(layer.feed_norm)  # type: ignore[arg-type]
    yield from _linear(text.project)


def _of_durations(durations: StochasticDurations, speaker: Tensor | None) -> _Arrays:
    yield from _linear(durations.pre, _said_by(durations.speaker, speaker))
    yield from _separable(durations.layers)
    yield from _linear(durations.project)
    for flow in durations.flows:
        yield from _linear(flow.pre)  # type: ignore[arg-type]
        yield from _separable(flow.layers)  # type: ignore[arg-type]
        yield from _linear(flow.project)  # type: ignore[arg-type]
    yield torch.stack([durations.shift[0], durations.log_scale[0]])


def _separable(layers: nn.Sequential) -> _Arrays:
    for layer in layers:
        assert isinstance(layer, SeparableLayer)
        yield layer.alone.weight
        yield layer.alone.bias
        yield from _norm(layer.alone_norm)
        yield from _linear(layer.mix)
        yield from _norm(layer.mix_norm)


def _of_flow(flow: Flow, speaker: Tensor | None) -> _Arrays:
    for coupling in flow.couplings:
        yield from _linear(coupling.pre)  # type: ignore[arg-type]
        steered = _said_by(coupling.speaker, speaker)  # type: ignore[arg-type]
        by_gate = (
            [None] * len(coupling.gates)  # type: ignore[arg-type]
            if steered is None
            else steered.view(len(coupling.gates), -1)  # type: ignore[arg-type]
        )
        for gate, mix, added in zip(coupling.gates, coupling.mixes, by_gate, strict=True):  # type: ignore[arg-type]
            yield from _taps(gate, added)
            yield from _linear(mix)
        yield from _linear(coupling.post)  # type: ignore[arg-type]


def _of_decoder(decoder: Decoder, speaker: Tensor | None) -> _Arrays:
    yield from _taps(decoder.pre, _said_by(decoder.speaker, speaker))
    share = 1.0  # each stage adds up its branches; their mean is taken by what reads the sum
    for stage in decoder.stages:
        yield from _of_stage(stage, share)  # type: ignore[arg-type]
        share = 1 / len(stage.blocks)  # type: ignore[arg-type]
    yield decoder.post.weight[:, :, 0] * share


def _of_stage(stage: Stage, share: float) -> _Arrays:
    upsampling = stage.upsampling
    # Block o of the weights is of the row o places earlier, so as taps they come in reverse.
    yield upsampling.weight.flip(0) * share
    yield upsampling.bias.repeat(upsampling.rate)
    for block in stage.blocks:
        for step in range(len(stage.lags)):
            yield from _taps(block.convolution(step))  # type: ignore[operator]
            if stage.plain_lag:
                yield from _taps(block.following(step))  # type: ignore[operator]


def _taps(layer: Taps, added: Tensor | None = None) -> _Arrays:
    yield layer.weight
    yield _sum(layer.bias, added)


def _linear(layer: nn.Linear, added: Tensor | None = None) -> _Arrays:
    yield layer.weight.t()
    yield _sum(layer.bias, added)


def _norm(layer: nn.LayerNorm) -> _Arrays:
    yield layer.weight
    yield layer.bias


def _said_by(layer: nn.Linear | None, speaker: Tensor | None) -> Tensor | None:
    """Return what a speaker adds to a bias."""
    if layer is None or speaker is None:
        return None
    added: Tensor = layer(speaker)
    return added


def _sum(bias: Tensor | None, added: Tensor | None) -> Tensor | None:
    return added if bias is None else bias if added is None else bias + added
