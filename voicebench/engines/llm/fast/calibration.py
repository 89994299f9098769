"""How fast a way of computing is on this machine, measured on a model's first layers.

A whole model is not needed to tell two kernels apart: a few layers, larger together than the
processor's caches, take a few hundred milliseconds to lay out and to time.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

from voicebench.engines.llm.fast.decoder_weights import Weights
from voicebench.engines.llm.fast.engine import Decoder
from voicebench.engines.llm.fast.model_shape import Shape, Unsupported

_LAYERS = 8
_PROMPT = 16
_TOKENS = 12
_REPLY = 24


def turn_time(build: Callable[[Shape, Weights], Decoder], shape: Shape, weights: Weights) -> float:
    """Return the milliseconds that a short turn takes on the model's first layers.

    A turn is a prompt of 16 ids and a reply of 24. Of repeated steps the quickest counts: another
    process on the machine can only make them slower. Infinite for a decoder that cannot be built.
    """
    layers = min(_LAYERS, shape.layers)
    part = dataclasses.replace(shape, layers=layers, windows=shape.windows[:layers])
    try:
        decoder = build(part, dataclasses.replace(weights, layers=weights.layers[:layers]))
    except Unsupported:
        return float("inf")
    ids = [1 + position % (shape.vocabulary - 1) for position in range(_PROMPT)]
    cache = decoder.new_cache(_PROMPT + 1)
    prompts = [_seconds(decoder, ids, cache, 0) for _ in range(3)]
    tokens = [_seconds(decoder, ids[:1], cache, _PROMPT) for _ in range(_TOKENS)]
    return 1000 * (min(prompts) + _REPLY * min(tokens))


def _seconds(decoder: Decoder, ids: Sequence[int], cache: object, start: int) -> float:
    began = time.perf_counter()
    int(decoder.forward(ids, cache, start).argmax())  # on the host: a GPU has finished then
    return time.perf_counter() - began
