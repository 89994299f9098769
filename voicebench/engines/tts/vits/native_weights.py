"""The sizes and weights of a voice, in the order in which the C code reads them.

A speaker adds a constant to some biases. It is added here, so the C code has no speakers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.tts.vits.voice_weights import weight_shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.vits.voice_shape import VitsShape
    from voicebench.engines.tts.vits.voice_weights import Weights

    _Array = NDArray[np.float32]


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
    """Return the arrays that C reads, each contiguous, for a voice that speaks as ``speaker``.

    The order is that of `weight_shapes`. Plain durations are left out: C does not compute them.
    """
    added = _added_by_speaker(shape, weights, speaker)
    arrays = []
    for name in weight_shapes(shape):
        is_for_speakers = name == "speakers" or ".speaker." in name
        is_plain_duration = name.startswith("durations.") and not shape.durations.stochastic
        if is_for_speakers or is_plain_duration or name == "durations.log_scale":
            continue
        weight = weights[name] + added[name] if name in added else weights[name]
        if name == "durations.shift":  # only the first half is used to speak
            weight = np.stack([weight[0], weights["durations.log_scale"][0]])
        arrays.append(np.ascontiguousarray(_arranged(name, weight, shape)))
    return arrays


def _added_by_speaker(shape: VitsShape, weights: Weights, speaker: int | None) -> dict[str, _Array]:
    """Return what ``speaker`` adds to biases, by their names; nothing in a voice of one speaker."""
    if "speakers" not in weights:
        return {}
    embedding = weights["speakers"][speaker or 0]

    def through(layer: str) -> _Array:
        added: _Array = weights[f"{layer}.weight"] @ embedding
        return added + weights[f"{layer}.bias"]

    added = {
        "durations.pre.bias": through("durations.speaker"),
        "decoder.pre.bias": through("decoder.speaker"),
    }
    for index in range(shape.flow.couplings):
        coupling = f"flow.couplings.{index}"
        by_gate = np.split(through(f"{coupling}.speaker"), shape.flow.layers)
        added |= {f"{coupling}.gates.{gate}.bias": part for gate, part in enumerate(by_gate)}
    return added


def _arranged(name: str, weight: _Array, shape: VitsShape) -> _Array:
    """Return ``weight`` as the C code multiplies it.

    C adds up the residual blocks of a stage; the weights that read the sum take the mean.
    """
    mean = np.float32(1 / len(shape.decoder.block_kernels))
    if name == "decoder.post.weight":
        return weight * mean
    if name.endswith(".upsampling.weight"):
        # Block o of the weights is of the row o places earlier, so as taps they come in reverse.
        is_first = name.startswith("decoder.stages.0.")
        return weight[::-1] if is_first else weight[::-1] * mean
    if name.endswith(".upsampling.bias"):
        return np.tile(weight, shape.decoder.rates[int(name.split(".")[2])])
    is_linear = name.endswith(".weight") and weight.ndim == 2 and ".alone." not in name
    return weight.T if is_linear else weight
