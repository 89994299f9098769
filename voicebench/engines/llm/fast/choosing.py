"""Which decoder runs a model: how its weights are stored, and by what they are multiplied.

For a precision that is asked for, the fastest decoder of that precision is taken; for ``auto``, the
fastest of all whose quality passes (`voicebench.engines.llm.agreement`). Speed and quality are
measured here, on this machine and this model, and the findings are kept (`findings`), so it costs
some seconds once. A model too large to be measured in passing keeps the numbers it is stored in,
until its quality has been measured on purpose (`voicebench.engines.llm.agreement.measure`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from voicebench.engines.llm.agreement import Quality, Reference, Turn, compare, refer
from voicebench.engines.llm.fast.calibration import turn_time
from voicebench.engines.llm.fast.decoder_trial import llama_works
from voicebench.engines.llm.fast.decoder_weights import Weights
from voicebench.engines.llm.fast.engine import Decoder
from voicebench.engines.llm.fast.findings import Findings
from voicebench.engines.llm.fast.kernels import LinearKind, Precision, kinds_of_cpu, plain
from voicebench.engines.llm.fast.model_shape import Shape, Unsupported
from voicebench.engines.llm.fast.native_decoder import NativeDecoder
from voicebench.engines.llm.fast.torch_decoder import TorchDecoder
from voicebench.engines.native.library import (
    NoLibrary,
    is_vectorised,
    native_library,
    tried_library,
)
from voicebench.errors import SettingsError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")
KERNELS = ("auto", "native", "torch")

NATIVE_PRECISION: Precision = "int8"
_OF_DEVICES: tuple[Precision, ...] = ("fp16", "bf16", "fp32")

MEASURED_IN_PASSING = 1_000_000_000
"""Parameters up to which a model is measured when it is loaded: above, the exact copy that it is
measured against takes more memory and time than a start may."""


def say_nothing(message: str) -> None:
    """Tell nobody what takes long."""


@dataclass(frozen=True, slots=True)
class DecoderOption:
    """One way to compute a model: its name, its precision, and how to build the decoder."""

    name: str
    precision: Precision
    build: Callable[[Shape, Weights], Decoder]


@dataclass
class Model:
    """A model for which a decoder is chosen, where it runs, and what is known of it here."""

    shape: Shape
    weights: Weights
    device: str
    """As torch calls it: ``cpu``, ``mps`` or ``cuda:N``."""
    turns: Callable[[], list[Turn]]
    findings: Findings
    say: Callable[[str], None] = say_nothing
    refused: list[NoLibrary] = field(default_factory=list)
    """Why the native candidates are not among those that were looked at."""

    @property
    def is_large(self) -> bool:
        """Whether measuring it takes more than a start may."""
        return self.weights.parameters > MEASURED_IN_PASSING

    @cached_property
    def exact(self) -> TorchDecoder:
        """The model in float32, the measure of all others."""
        import torch

        return TorchDecoder(self.shape, self.weights, plain("fp32"), torch.device(self.device))

    @cached_property
    def reference(self) -> Reference:
        """What the exact model says of half of the held-out turns; the model itself is let go.

        Half of them is enough for a start; `measure_all` takes all.
        """
        reference = refer(self.exact, self.turns()[::2])
        del self.exact
        return reference

    def quality(self, candidate: DecoderOption, decoder: Decoder) -> Quality:
        """Return the quality of a candidate, measured now or found earlier."""
        known = self.findings.quality(candidate.name)
        if known is None:
            self.say(f"measuring the quality of {candidate.name} on this model, once")
            known = compare(self.reference, decoder)
            self.findings.add_quality(candidate.name, known)
        return known

    def kept(self, ids: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the exact keys and values of a prefix, computed now or found earlier."""
        known = self.findings.prefix(ids, self.say)
        if known is None:
            cache = self.exact.new_cache(len(ids))
            self.exact.forward(ids, cache, 0)
            known = self.exact.content(cache, len(ids))
            self.findings.add_prefix(ids, *known)
        return known


@dataclass(frozen=True, slots=True)
class MeasuredDecoder:
    """A way to compute a model: its speed on the first layers, and its quality on the whole."""

    name: str
    precision: Precision
    turn_ms: float
    quality: Quality


def measure_all(model: Model, *, kernels: str, threads: int) -> list[MeasuredDecoder]:
    """Measure the candidates for ``model``, the fastest first, and keep what was found.

    The quality of those that are slower than any float32 is not looked at: nobody takes them.
    """
    reference = refer(model.exact, model.turns())
    del model.exact
    candidates = list(candidates_of(model.device, kernels, threads))
    speeds = [turn_time(one.build, model.shape, model.weights) for one in candidates]
    of_exact = (
        speed for one, speed in zip(candidates, speeds, strict=True) if one.precision == "fp32"
    )
    slowest = max(of_exact, default=math.inf)
    found = []
    for candidate, turn_ms in zip(candidates, speeds, strict=True):
        if math.isinf(turn_ms):
            continue
        model.findings.add_speed(candidate.name, turn_ms)
        if turn_ms > slowest:
            continue
        model.say(f"measuring the quality of {candidate.name}")
        try:
            decoder = candidate.build(model.shape, model.weights)
        except Unsupported:  # the first layers suit it, and a later one does not
            continue
        quality = compare(reference, decoder)
        model.findings.add_quality(candidate.name, quality)
        found.append(MeasuredDecoder(candidate.name, candidate.precision, turn_ms, quality))
    return sorted(found, key=lambda one: one.turn_ms)


def choose_decoder(model: Model, *, precision: str, kernels: str, threads: int) -> Decoder:
    """Return the decoder for ``model``.

    Raises `SettingsError` where this device has nothing for what is asked, `Unsupported` where the
    model's sizes do not suit it.
    """
    candidates = candidates_of(model.device, kernels, threads, model.refused)
    if precision != "auto":
        candidates = (one for one in candidates if one.precision == precision)
    refusal: Exception = SettingsError(
        f"on {model.device} the {kernels} kernels know no precision {precision}",
        "write auto for precision and kernels, or take another device",
    )
    for candidate in _fastest_first(model, candidates):
        if precision == "auto" and not _may_pass(model, candidate):
            continue
        try:
            decoder = candidate.build(model.shape, model.weights)
        except Unsupported as error:
            refusal = error
            continue
        if precision != "auto" or _passes(model, candidate, decoder):
            return decoder
    if precision == "auto" and kernels == "auto":
        return model.exact
    if kernels == "native" and model.refused:
        (refused,) = model.refused
        raise SettingsError(
            f"the native kernels cannot compute here ({refused})",
            f"set llm.kernels to auto, or {refused.remedy}",
        )
    raise refusal


def candidates_of(
    device: str, kernels: str, threads: int, refused: list[NoLibrary] | None = None
) -> Iterator[DecoderOption]:
    """Yield what this device offers, each checked to compute right; the native ones first.

    Where there are no native ones, ``refused`` gets the reason. Torch is imported when the first
    candidate is asked for that it computes.
    """
    if device == "cpu" and kernels in ("auto", "native"):
        try:
            yield _native(threads)
        except NoLibrary as error:
            if refused is not None:
                refused.append(error)
    if device == "cpu" and kernels == "native":
        return
    import torch

    on = torch.device(device)
    if on.type == "cpu":
        for kind in kinds_of_cpu():
            yield _in_torch(kind, on)
        return
    computed = _graphed if on.type == "cuda" else _in_torch
    for precision in _OF_DEVICES:
        yield computed(plain(precision), on)


def _passes(model: Model, candidate: DecoderOption, decoder: Decoder) -> bool:
    if candidate.precision == "fp32" or (model.is_large and _is_stored(model, candidate)):
        return True
    return model.quality(candidate, decoder).passes


def _may_pass(model: Model, candidate: DecoderOption) -> bool:
    """Return whether it is worth building a candidate to see whether its quality passes."""
    known = model.findings.quality(candidate.name)
    if known is not None:
        return known.passes
    return not model.is_large or candidate.precision == "fp32" or _is_stored(model, candidate)


def _is_stored(model: Model, candidate: DecoderOption) -> bool:
    """Return whether the candidate computes in the numbers that the weights are stored in."""
    stored = model.weights.layers[0].output.dtype.name
    return {"bfloat16": "bf16", "float16": "fp16"}.get(stored) == candidate.precision


def _fastest_first(model: Model, candidates: Iterable[DecoderOption]) -> Iterator[DecoderOption]:
    """Yield the candidates by their speed here.

    A vectorised native decoder goes first unmeasured: it reads fewer bytes than any product of
    torch, in one call a token. The others are looked for only where it does not suit.
    """
    rest = []
    for candidate in candidates:
        if candidate.name.startswith("native") and is_vectorised(native_library()):
            yield candidate
        else:
            rest.append(candidate)
    yield from rest if len(rest) < 2 else sorted(rest, key=lambda one: _speed(model, one))


def _speed(model: Model, candidate: DecoderOption) -> float:
    known = model.findings.speed(candidate.name)
    if known is None:
        model.say(f"measuring the speed of {candidate.name} on this machine, once")
        known = turn_time(candidate.build, model.shape, model.weights)
        model.findings.add_speed(candidate.name, known)
    return known


def _native(threads: int) -> DecoderOption:
    """Return the decoder in C. Raises `NoLibrary`."""
    library = tried_library("llama", llama_works)

    def build(shape: Shape, weights: Weights) -> Decoder:
        return NativeDecoder(library, shape, weights, threads=threads)

    return DecoderOption(f"native {NATIVE_PRECISION}", NATIVE_PRECISION, build)


def _in_torch(kind: LinearKind, device: torch.device) -> DecoderOption:
    def build(shape: Shape, weights: Weights) -> Decoder:
        return TorchDecoder(shape, weights, kind, device)

    return DecoderOption(kind.name, kind.precision, build)


def _graphed(kind: LinearKind, device: torch.device) -> DecoderOption:
    from voicebench.engines.llm.fast.graph_decoder import GraphDecoder

    def build(shape: Shape, weights: Weights) -> Decoder:
        return GraphDecoder(shape, weights, kind, device)

    return DecoderOption(f"graphed {kind.precision}", kind.precision, build)
