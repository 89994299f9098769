"""The sizes and weights of a voice in the order in which the C code reads them.

What a speaker adds to a layer's biases is added up here, so C knows of no speakers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.vits.voice_shape import VitsShape
    from voicebench.engines.tts.vits.voice_weights import Weights

    _Array = NDArray[np.float32]
    _Arrays = Iterator[_Array]


def sizes_in_order(shape: VitsShape) -> list[int]:
    """Return the sizes of the network."""
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


def weights_in_order(shape: VitsShape, weights: Weights, speaker: int | None) -> list[_Array]:
    """Return ``weights`` as they are read, each in one piece, for a voice that has this speaker.

    Those of plain durations are left out: C does not compute them.
    """
    return [np.ascontiguousarray(array) for array in _Reader(shape, weights, speaker).all()]


class _Reader:
    """Goes through the weights by name."""

    def __init__(self, shape: VitsShape, weights: Weights, speaker: int | None) -> None:
        self._shape = shape
        self._weights = weights
        several = weights.get("speakers")
        self._speaker = None if several is None else several[speaker or 0]

    def all(self) -> _Arrays:
        yield from self._text()
        if self._shape.durations.stochastic:
            yield from self._durations()
        for index in range(self._shape.flow.couplings):
            yield from self._coupling(f"flow.couplings.{index}")
        yield from self._decoder()

    def _text(self) -> _Arrays:
        yield self._weights["text.embedding"]
        for index in range(self._shape.text.layers):
            layer = f"text.layers.{index}"
            yield from self._linear(f"{layer}.attention.joint")
            yield from self._linear(f"{layer}.attention.output")
            yield self._weights[f"{layer}.attention.near_keys"]
            yield self._weights[f"{layer}.attention.near_values"]
            yield from self._as_kept(f"{layer}.attention_norm")
            yield from self._as_kept(f"{layer}.widen")
            yield from self._as_kept(f"{layer}.narrow")
            yield from self._as_kept(f"{layer}.feed_norm")
        yield from self._linear("text.project")

    def _durations(self) -> _Arrays:
        yield from self._linear("durations.pre", self._said_by("durations.speaker"))
        yield from self._separable("durations.layers")
        yield from self._linear("durations.project")
        for index in range(self._shape.durations.flows):
            flow = f"durations.flows.{index}"
            yield from self._linear(f"{flow}.pre")
            yield from self._separable(f"{flow}.layers")
            yield from self._linear(f"{flow}.project")
        ends = (self._weights["durations.shift"], self._weights["durations.log_scale"])
        yield np.stack([end[0] for end in ends])

    def _separable(self, name: str) -> _Arrays:
        for index in range(self._shape.durations.layers):
            layer = f"{name}.{index}"
            yield from self._as_kept(f"{layer}.alone")
            yield from self._as_kept(f"{layer}.alone_norm")
            yield from self._linear(f"{layer}.mix")
            yield from self._as_kept(f"{layer}.mix_norm")

    def _coupling(self, name: str) -> _Arrays:
        layers = self._shape.flow.layers
        yield from self._linear(f"{name}.pre")
        added = self._said_by(f"{name}.speaker")
        by_gate = [None] * layers if added is None else np.split(added, layers)
        for index, to_gate in enumerate(by_gate):
            yield from self._as_kept(f"{name}.gates.{index}", to_gate)
            yield from self._linear(f"{name}.mixes.{index}")
        yield from self._linear(f"{name}.post")

    def _decoder(self) -> _Arrays:
        sizes = self._shape.decoder
        yield from self._as_kept("decoder.pre", self._said_by("decoder.speaker"))
        share = 1.0  # each stage adds up its branches; their mean is taken by what reads the sum
        for index in range(len(sizes.rates)):
            yield from self._stage(index, share)
            share = 1 / len(sizes.block_kernels)
        yield self._weights["decoder.post.weight"] * np.float32(share)

    def _stage(self, index: int, share: float) -> _Arrays:
        sizes, stage = self._shape.decoder, f"decoder.stages.{index}"
        # Block o of the weights is of the row o places earlier, so as taps they come in reverse.
        yield self._weights[f"{stage}.upsampling.weight"][::-1] * np.float32(share)
        yield np.tile(self._weights[f"{stage}.upsampling.bias"], sizes.rates[index])
        for block, dilations in enumerate(sizes.block_dilations):
            for step in range(len(dilations)):
                yield from self._as_kept(f"{stage}.blocks.{block}.dilated.{step}")
                if sizes.block_kind == 1:
                    yield from self._as_kept(f"{stage}.blocks.{block}.plain.{step}")

    def _as_kept(self, name: str, added: _Array | None = None) -> _Arrays:
        yield self._weights[f"{name}.weight"]
        yield self._bias(name, added)

    def _linear(self, name: str, added: _Array | None = None) -> _Arrays:
        yield self._weights[f"{name}.weight"].T
        yield self._bias(name, added)

    def _bias(self, name: str, added: _Array | None) -> _Array:
        bias = self._weights[f"{name}.bias"]
        return bias if added is None else bias + added

    def _said_by(self, name: str) -> _Array | None:
        """Return what the speaker adds to a bias through the layer ``name``."""
        if self._speaker is None:
            return None
        added: _Array = self._weights[f"{name}.weight"] @ self._speaker
        return added + self._weights[f"{name}.bias"]
