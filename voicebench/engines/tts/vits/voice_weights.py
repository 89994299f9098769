"""The weights of a voice by name: which names and shapes a voice of a given shape has.

The names and layouts are those of the network in torch (`engines.tts.vits.torch_voice.Vits`),
``(taps, inputs, outputs)`` for a convolution. They are repeated here without torch, because its
import takes longer than loading a voice. The order is that in which the C code reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.tts.vits.voice_shape import (
    DecoderShape,
    DurationShape,
    FlowShape,
    TextShape,
    VitsShape,
)
from voicebench.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.float32]]

    _Named = Iterator[tuple[str, tuple[int, ...]]]


def check_weights(source: Path, shape: VitsShape, weights: Weights) -> None:
    """Raise `ModelError` unless ``weights``, read from ``source``, are those of ``shape``."""
    wanted = weight_shapes(shape)
    remedy = f"delete {source}; it is made again from the voice's file"
    if missing := sorted(wanted.keys() - weights.keys()):
        raise ModelError(f"{source} lacks weights of the voice: {', '.join(missing)}", remedy)
    if unknown := sorted(weights.keys() - wanted.keys()):
        raise ModelError(f"{source} has unknown weights: {', '.join(unknown)}", remedy)
    for name, weight in weights.items():
        if weight.shape != wanted[name] or weight.dtype != np.float32:
            raise ModelError(
                f"{source} has {name} as {weight.dtype} {weight.shape}, "
                f"not as float32 {wanted[name]}",
                remedy,
            )


def weight_shapes(shape: VitsShape) -> dict[str, tuple[int, ...]]:
    """Return the name and the shape of each weight of a voice."""
    speaking = shape.speaker_channels
    named = dict(_text(shape.text, 2 * shape.flow.channels))
    if shape.durations.stochastic:
        named.update(_stochastic_durations(shape.durations, shape.text.channels, speaking))
    else:
        named.update(_plain_durations(shape.durations, shape.text.channels, speaking))
    named.update(_flow(shape.flow, speaking))
    named.update(_decoder(shape.decoder, shape.flow.channels, speaking))
    if speaking:
        named["speakers"] = (shape.speakers, speaking)
    return named


def _text(text: TextShape, priors: int) -> _Named:
    near = (2 * text.reach + 1, text.channels // text.heads)
    yield "text.embedding", (text.symbols, text.channels)
    for index in range(text.layers):
        layer = f"text.layers.{index}"
        yield from _linear(f"{layer}.attention.joint", text.channels, 3 * text.channels)
        yield from _linear(f"{layer}.attention.output", text.channels, text.channels)
        yield f"{layer}.attention.near_keys", near
        yield f"{layer}.attention.near_values", near
        yield from _norm(f"{layer}.attention_norm", text.channels)
        yield from _taps(f"{layer}.widen", text.channels, text.feed_channels, text.kernel)
        yield from _taps(f"{layer}.narrow", text.feed_channels, text.channels, text.kernel)
        yield from _norm(f"{layer}.feed_norm", text.channels)
    yield from _linear("text.project", text.channels, priors)


def _stochastic_durations(sizes: DurationShape, hidden: int, speaking: int) -> _Named:
    yield from _linear("durations.pre", hidden, sizes.channels)
    if speaking:
        yield from _linear("durations.speaker", speaking, sizes.channels)
    yield from _separable("durations.layers", sizes)
    yield from _linear("durations.project", sizes.channels, sizes.channels)
    for index in range(sizes.flows):
        flow = f"durations.flows.{index}"
        yield from _linear(f"{flow}.pre", 1, sizes.channels)
        yield from _separable(f"{flow}.layers", sizes)
        yield from _linear(f"{flow}.project", sizes.channels, 3 * sizes.bins - 1)
    yield "durations.shift", (2,)
    yield "durations.log_scale", (2,)


def _separable(name: str, sizes: DurationShape) -> _Named:
    for index in range(sizes.layers):
        layer = f"{name}.{index}"
        yield f"{layer}.alone.weight", (sizes.kernel, sizes.channels)
        yield f"{layer}.alone.bias", (sizes.channels,)
        yield from _norm(f"{layer}.alone_norm", sizes.channels)
        yield from _linear(f"{layer}.mix", sizes.channels, sizes.channels)
        yield from _norm(f"{layer}.mix_norm", sizes.channels)


def _plain_durations(sizes: DurationShape, hidden: int, speaking: int) -> _Named:
    if speaking:
        yield from _linear("durations.speaker", speaking, hidden)
    yield from _taps("durations.first", hidden, sizes.channels, sizes.kernel)
    yield from _norm("durations.first_norm", sizes.channels)
    yield from _taps("durations.second", sizes.channels, sizes.channels, sizes.kernel)
    yield from _norm("durations.second_norm", sizes.channels)
    yield from _linear("durations.project", sizes.channels, 1)


def _flow(sizes: FlowShape, speaking: int) -> _Named:
    half = sizes.channels // 2
    for index in range(sizes.couplings):
        coupling = f"flow.couplings.{index}"
        yield from _linear(f"{coupling}.pre", half, sizes.hidden)
        if speaking:
            yield from _linear(f"{coupling}.speaker", speaking, 2 * sizes.hidden * sizes.layers)
        for layer in range(sizes.layers):
            mixed = (2 if layer < sizes.layers - 1 else 1) * sizes.hidden
            yield from _taps(
                f"{coupling}.gates.{layer}", sizes.hidden, 2 * sizes.hidden, sizes.kernel
            )
            yield from _linear(f"{coupling}.mixes.{layer}", sizes.hidden, mixed)
        yield from _linear(f"{coupling}.post", sizes.hidden, half)


def _decoder(sizes: DecoderShape, channels: int, speaking: int) -> _Named:
    yield from _taps("decoder.pre", channels, sizes.channels, sizes.first_kernel)
    if speaking:
        yield from _linear("decoder.speaker", speaking, sizes.channels)
    for index, (rate, kernel) in enumerate(zip(sizes.rates, sizes.kernels, strict=True)):
        inputs, outputs = sizes.channels >> index, sizes.channels >> (index + 1)
        stage = f"decoder.stages.{index}"
        yield f"{stage}.upsampling.weight", ((kernel - 1) // rate + 1, inputs, rate * outputs)
        yield f"{stage}.upsampling.bias", (outputs,)
        rows = zip(sizes.block_kernels, sizes.block_dilations, strict=True)
        for block, (taps, dilations) in enumerate(rows):
            for step in range(len(dilations)):
                name = f"{stage}.blocks.{block}"
                yield from _taps(f"{name}.dilated.{step}", outputs, outputs, taps)
                if sizes.block_kind == 1:
                    yield from _taps(f"{name}.plain.{step}", outputs, outputs, taps)
    last = sizes.channels >> len(sizes.rates)
    yield "decoder.post.weight", (sizes.last_kernel, last, 1)


def _linear(name: str, inputs: int, outputs: int) -> _Named:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, channels: int) -> _Named:
    yield f"{name}.weight", (channels,)
    yield f"{name}.bias", (channels,)


def _taps(name: str, inputs: int, outputs: int, kernel: int) -> _Named:
    yield f"{name}.weight", (kernel, inputs, outputs)
    yield f"{name}.bias", (outputs,)
