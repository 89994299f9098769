"""Check that the C decoder, as compiled here, computes the same as numpy."""

from __future__ import annotations

import ctypes
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.llm.fast.decoder_weights import LayerWeights, Weights
from voicebench.engines.llm.fast.model_shape import Rope, Shape
from voicebench.engines.llm.fast.native_decoder import GROUP, NativeDecoder
from voicebench.engines.llm.fast.numpy_decoder import NumpyDecoder
from voicebench.engines.llm.fast.segment import Segment

if TYPE_CHECKING:
    from voicebench.engines.llm.fast.decoder_weights import Array


def llama_works(library: ctypes.CDLL, threads: int = 2) -> bool:
    """Return whether the C decoder and numpy agree, except for rounding, on a small random model.

    The model has all variations of the families: biases, norms on queries and keys, a window, a
    separate output embedding, 8-bit and 4-bit weights. The passes have enough ids for each kind of
    product: tiles, where the processor has them, multiply 13 rows or more. A pass that two
    sequences share must give each of them what it gets alone, to the bit.
    """
    shape, weights = trial_model()
    exact = NumpyDecoder(shape, weights)
    native = NativeDecoder(library, shape, weights, threads=threads)
    if native.kinds != {4, 8}:
        return False
    ids = [(7 * position + 3) % shape.vocabulary for position in range(41)]
    exact_cache, cache = exact.new_cache(len(ids)), native.new_cache(len(ids))
    for start, end in pairwise((0, 18, 32, 40, 41)):
        expected = exact.forward(ids[start:end], exact_cache, start)
        got = native.forward(ids[start:end], cache, start)
        if not np.linalg.norm(got - expected) <= 0.05 * np.linalg.norm(expected):
            return False
    other = native.new_cache(len(ids))
    alone = native.forward(ids[:9], other, 0), got
    shared = native.forward_together(
        [Segment(ids[:9], other, 0, prompt=9), Segment(ids[40:], cache, 40, prompt=1)]
    )
    return all(
        one is not None and np.array_equal(one, its_own)
        for one, its_own in zip(shared, alone, strict=True)
    )


def trial_model(size: int = 64) -> tuple[Shape, Weights]:
    """Return a small random model of the width ``size``, a multiple of 64."""
    draws = np.random.default_rng(0)
    shape = Shape(
        family="trial",
        vocabulary=100,
        hidden=size,
        intermediate=size + GROUP,
        layers=2,
        heads=4,
        kv_heads=2,
        head_size=size // 4,
        norm_epsilon=1e-5,
        context=64,
        rope=Rope("default", 100.0),
        tied_embeddings=False,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        query_key_norm=True,
        windows=(None, 9),
    )

    def drawn(*sizes: int) -> Array:
        return 0.3 * draws.standard_normal(sizes, np.float32)

    def on_a_grid(outputs: int, inputs: int) -> Array:
        return weights_on_a_grid(draws, outputs, inputs, step=0.0625)

    def norm(width: int) -> Array:
        return 1 + 0.3 * draws.random(width, np.float32)

    joined = shape.query_size + 2 * shape.kv_size
    layers = tuple(
        LayerWeights(
            input_norm=norm(size),
            qkv=tuple(
                on_a_grid(rows, size) for rows in (shape.query_size, shape.kv_size, shape.kv_size)
            ),
            qkv_bias=drawn(joined),
            query_norm=norm(shape.head_size),
            key_norm=norm(shape.head_size),
            output=drawn(size, size),
            output_bias=drawn(size),
            mlp_norm=norm(size),
            gate_up=tuple(on_a_grid(shape.intermediate, size) for _ in range(2)),
            gate_up_bias=drawn(2 * shape.intermediate),
            down=drawn(size, shape.intermediate),
            down_bias=drawn(size),
        )
        for _ in shape.windows
    )
    embedding, head = drawn(shape.vocabulary, size), drawn(shape.vocabulary, size)
    return shape, Weights(embedding, layers, norm(size), head)


def weights_on_a_grid(draws: np.random.Generator, outputs: int, inputs: int, step: float) -> Array:
    """Return random weights ``(outputs, inputs)`` that 4 bits store exactly.

    ``step`` is the distance of two levels.
    """
    levels = draws.integers(0, 16, (outputs, inputs // GROUP, GROUP)).astype(np.float32)
    levels[..., 0], levels[..., 1] = 0, 15
    return ((levels - 8) * np.float32(step)).reshape(outputs, inputs)
