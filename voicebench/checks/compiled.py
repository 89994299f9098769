"""Measure what compiling the C library on this machine would bring over the built one.

Both compute the same random weights in turn, in the sizes of the embedded language model and voice.
Nothing is downloaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.llm.fast.decoder_trial import weights_on_a_grid
from voicebench.engines.llm.fast.decoder_weights import LayerWeights, Weights
from voicebench.engines.llm.fast.model_shape import Rope, Shape
from voicebench.engines.llm.fast.native_decoder import NativeDecoder
from voicebench.engines.native.library import (
    COMPILED,
    NativeLibrary,
    NoLibrary,
    built_libraries,
    compiled_library,
)
from voicebench.engines.tts.hibari.native_network import NativeNetwork
from voicebench.engines.tts.hibari.sizes import FRAME_CHANNELS
from voicebench.engines.tts.hibari.trial import drawn_speech_weights
from voicebench.machine.devices import threads

if TYPE_CHECKING:
    from voicebench.engines.llm.fast.decoder_weights import Array

WORTH_IT = 1.05
"""From this ratio of times on, compiling is advised."""

_PROMPT, _CONTEXT, _FRAMES, _SYMBOLS = 16, 128, 64, 40


@dataclass(frozen=True, slots=True)
class StageTimes:
    """The least times of a piece of work, by the built and by the compiled library.

    Other programs only add to a time, so the least one is the code's own.
    """

    stage: str
    built_ms: float
    compiled_ms: float

    @property
    def ratio(self) -> float:
        """How many times as long the built library takes."""
        return self.built_ms / self.compiled_ms

    def __str__(self) -> str:
        return f"{self.stage} {self.compiled_ms:.2f} ms instead of {self.built_ms:.2f}"


def compare_libraries(rounds: int = 40) -> list[StageTimes]:
    """Measure both libraries in turn; ``rounds`` is how often each computes each stage.

    Raises `NoLibrary` if one of them is missing.
    """
    built = built_libraries()
    if not built:
        raise NoLibrary("no built library is made from this source", "install voicebench again")
    origin, find = built[0]
    work = [
        dict(_stages(NativeLibrary(file, name)))
        for name, file in ((origin, find()), (COMPILED, compiled_library()))
    ]
    return [
        StageTimes(stage, *_least_times([of_one[stage] for of_one in work], rounds))
        for stage in work[0]
    ]


def _least_times(works: list[Callable[[], object]], rounds: int) -> list[float]:
    """Return the least time of each, in milliseconds; every second round is in reverse order."""
    times: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 1):
        numbered = list(enumerate(works))
        for which, work in numbered if number % 2 else numbered[::-1]:
            began = time.perf_counter_ns()
            work()
            if number:  # the first round fills the caches
                times[which].append((time.perf_counter_ns() - began) / 1e6)
    return [min(of_one) for of_one in times]


def _stages(library: NativeLibrary) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the work of a turn: its name, and what computes it with ``library``."""
    shape, weights = _language_model()
    decoder = NativeDecoder(library, shape, weights, threads=threads())
    cache = decoder.new_cache(_CONTEXT)
    ids = list(range(_PROMPT))
    for start in range(0, _CONTEXT - _PROMPT, _PROMPT):
        decoder.forward(ids, cache, start)
    position = _CONTEXT - _PROMPT - 1
    yield "a token", lambda: decoder.forward(ids[:1], cache, position)
    yield f"a prompt of {_PROMPT} tokens", lambda: decoder.forward(ids, cache, position)
    voice = NativeNetwork(library, drawn_speech_weights(0))
    draws = np.random.default_rng(0)
    rows = draws.standard_normal((_FRAMES, FRAME_CHANNELS), np.float32)
    symbols = np.arange(_SYMBOLS)
    yield f"{_SYMBOLS} phonemes", lambda: voice.read(symbols)
    yield f"{_FRAMES} frames of the voice", lambda: voice.stream().window(rows, last=True)


def _language_model() -> tuple[Shape, Weights]:
    """Return random weights of the sizes of SmolLM2-135M; all layers share theirs."""
    shape = Shape(
        family="llama",
        vocabulary=49152,
        hidden=576,
        intermediate=1536,
        layers=30,
        heads=9,
        kv_heads=3,
        head_size=64,
        norm_epsilon=1e-5,
        context=_CONTEXT,
        rope=Rope("default", 100_000.0),
        tied_embeddings=True,
        qkv_bias=False,
        output_bias=False,
        mlp_bias=False,
        query_key_norm=False,
        windows=(None,) * 30,
    )
    draws = np.random.default_rng(0)

    def four_bits(outputs: int, inputs: int) -> Array:
        return weights_on_a_grid(draws, outputs, inputs, step=2**-7)

    ones = np.ones(shape.hidden, np.float32)
    sizes = (shape.query_size, shape.kv_size, shape.kv_size)
    layer = LayerWeights(
        input_norm=ones,
        qkv=tuple(four_bits(size, shape.hidden) for size in sizes),
        qkv_bias=None,
        query_norm=None,
        key_norm=None,
        output=four_bits(shape.hidden, shape.query_size),
        output_bias=None,
        mlp_norm=ones,
        gate_up=tuple(four_bits(shape.intermediate, shape.hidden) for _ in range(2)),
        gate_up_bias=None,
        down=four_bits(shape.hidden, shape.intermediate),
        down_bias=None,
    )
    embedding = draws.standard_normal((shape.vocabulary, shape.hidden), np.float32)
    return shape, Weights(embedding, (layer,) * shape.layers, ones, embedding)
