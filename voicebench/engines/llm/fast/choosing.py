"""Choose the decoder that runs a model: a table for each device, and a check at load.

`decoder_options` is the table: the decoders of a device, the fastest first. A decoder is taken if
it exists here, computes right (C code is compared with numpy, torch's operators with plain
products), and keeps the quality of the model (`voicebench.engines.llm.agreement`, measured once for
each model and kept). A model that is too large for that keeps the number format it is stored in,
until `voicebench doctor --quality` has measured it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from voicebench.engines.llm.agreement import Quality, Reference, Turn, compare, refer
from voicebench.engines.llm.fast.decoder_trial import llama_works
from voicebench.engines.llm.fast.decoder_weights import Weights
from voicebench.engines.llm.fast.engine import Decoder
from voicebench.engines.llm.fast.findings import Findings
from voicebench.engines.llm.fast.model_shape import Shape, Unsupported
from voicebench.engines.llm.fast.native_decoder import NativeDecoder
from voicebench.engines.llm.fast.numpy_decoder import NumpyDecoder
from voicebench.engines.models.fetch_progress import Say, say_nothing
from voicebench.engines.native.library import NoLibrary, tried_library
from voicebench.errors import SettingsError
from voicebench.machine.devices import cpu_has_bfloat16
from voicebench.machine.extras import is_installed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.engines.llm.fast.kernels import Precision
    from voicebench.engines.llm.fast.torch_decoder import TorchDecoder

PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")
KERNELS = ("auto", "native", "torch")

NATIVE_PRECISION: Precision = "int8"
_ON_GPU: tuple[Precision, ...] = ("fp16", "bf16", "fp32")
_TORCH_ON_CPU: dict[str, Precision] = {
    "weight-only int8": "int8",
    "packed fp16": "fp16",
    "packed bf16": "bf16",
    "packed fp32": "fp32",
    "plain fp32": "fp32",
    "plain bf16": "bf16",
    "plain fp16": "fp16",
}

LARGEST_MEASURED = 1_000_000_000
"""The quality of a model with more parameters is not measured at load: its float32 copy takes too
much memory and time."""


@dataclass(frozen=True, slots=True)
class DecoderOption:
    """One way to compute a model.

    ``build`` raises `Unsupported` if the model's sizes do not suit it or torch lacks the operators,
    and `NoLibrary` if it needs C code that this machine does not have.
    """

    name: str
    precision: Precision
    build: Callable[[Shape, Weights], Decoder]
    on_request: bool = False
    """Slower than float32 here: taken only if the user asks for its precision."""


@dataclass
class Model:
    """A model for which a decoder is chosen, and what is known about it on this machine."""

    shape: Shape
    weights: Weights
    device: str
    """As torch names it: ``cpu``, ``mps`` or ``cuda:N``."""
    turns: Callable[[], list[Turn]]
    findings: Findings
    say: Say = say_nothing
    no_library: NoLibrary | None = None
    """Why the C decoder was not taken, if it is missing or wrong."""

    @property
    def is_large(self) -> bool:
        """Whether measuring its quality takes too long for a start."""
        return self.weights.parameters > LARGEST_MEASURED

    @cached_property
    def exact(self) -> TorchDecoder | NumpyDecoder:
        """The model in float32, with which all others are compared."""
        if not is_installed("torch"):
            return NumpyDecoder(self.shape, self.weights)
        import torch

        from voicebench.engines.llm.fast.kernels import plain
        from voicebench.engines.llm.fast.torch_decoder import TorchDecoder

        return TorchDecoder(self.shape, self.weights, plain("fp32"), torch.device(self.device))

    @cached_property
    def reference(self) -> Reference:
        """The scores of the exact model on half of the held-out turns; frees the exact model."""
        reference = refer(self.exact, self.turns()[::2])
        del self.exact
        return reference

    def exact_prefix(self, ids: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the exact keys and values of a prefix, computed now or in an earlier run."""
        known = self.findings.prefix(ids, self.say)
        if known is None:
            cache: Any = self.exact.new_cache(len(ids))
            self.exact.forward(ids, cache, 0)
            known = self.exact.content(cache, len(ids))
            self.findings.add_prefix(ids, *known)
        return known

    def may_pass(self, option: DecoderOption) -> bool:
        """Return whether "auto" may take an option, before its decoder is built."""
        if option.on_request or self._is_exempt(option):
            return not option.on_request
        known = self.findings.quality(option.name)
        return not self.is_large if known is None else known.passes

    def passes(self, option: DecoderOption, decoder: Decoder) -> bool:
        """Return whether a decoder keeps the model's quality, measured now or in an earlier run."""
        if self._is_exempt(option):
            return True
        known = self.findings.quality(option.name)
        if known is None:
            self.say(f"measuring the quality of {option.name} on this model, once")
            known = compare(self.reference, decoder)
            self.findings.add_quality(option.name, known)
        return known.passes

    def _is_exempt(self, option: DecoderOption) -> bool:
        """Return whether an option needs no measured quality.

        Float32 does not, and neither does a large model in the format that it is stored in.
        """
        stored = self.weights.layers[0].output.dtype.name
        as_stored = {"bfloat16": "bf16", "float16": "fp16"}.get(stored) == option.precision
        return option.precision == "fp32" or (self.is_large and as_stored)


def choose_decoder(model: Model, *, precision: str, kernels: str, threads: int) -> Decoder:
    """Return the decoder for ``model``: the first of the table that fits and passes.

    A ``precision`` that the user chose is taken whatever its quality. Raises `SettingsError` if the
    device has nothing for these settings, `Unsupported` if the model's sizes do not suit it.
    """
    is_auto = precision == "auto"
    refusal: Unsupported | None = None
    for option in decoder_options(model.device, kernels, threads):
        if option.precision != precision and not (is_auto and model.may_pass(option)):
            continue
        try:
            decoder = option.build(model.shape, model.weights)
        except NoLibrary as error:
            model.no_library = error
            continue
        except Unsupported as error:
            refusal = refusal or error
            continue
        if not is_auto or model.passes(option, decoder):
            return decoder
    if kernels == "native" and model.no_library is not None:
        raise SettingsError(
            f"the native kernels cannot compute here ({model.no_library})",
            f"set llm.kernels to auto, or {model.no_library.remedy}",
        )
    if refusal is not None:
        raise refusal
    if is_auto:
        raise SettingsError(
            f"the {kernels} kernels change the replies of this model too much",
            "set llm.kernels to auto, or name a precision",
        )
    raise SettingsError(
        f"on {model.device} the {kernels} kernels have no precision {precision}",
        "write auto for precision and kernels, or take another device",
    )


@dataclass(frozen=True, slots=True)
class MeasuredDecoder:
    """The quality of one way to compute a model; ``token_ms`` is its mean time for a token."""

    name: str
    token_ms: float
    quality: Quality


def measure_all(model: Model, *, kernels: str, threads: int) -> Iterator[MeasuredDecoder]:
    """Measure every option of the table on all held-out turns, and keep the results."""
    reference = refer(model.exact, model.turns())
    del model.exact
    for option in decoder_options(model.device, kernels, threads):
        if option.on_request:
            continue
        model.say(f"measuring the quality of {option.name}")
        try:
            decoder = option.build(model.shape, model.weights)
        except (Unsupported, NoLibrary):
            continue
        began = time.perf_counter()
        quality = compare(reference, decoder)
        token_ms = 1000 * (time.perf_counter() - began) / quality.positions
        model.findings.add_quality(option.name, quality)
        yield MeasuredDecoder(option.name, token_ms, quality)


def decoder_options(device: str, kernels: str, threads: int) -> list[DecoderOption]:
    """Return the decoders of ``device``, the fastest first.

    A token takes as long as reading the weights, so narrower numbers are faster on every device.
    On a CPU the C decoder is the fastest: it reads 8 or 4 bits for a weight, in one call for each
    token. Torch is imported only when a decoder that needs it is built.
    """
    if device == "mps":
        return [_in_torch(f"plain {precision}", precision, device) for precision in _ON_GPU]
    if device != "cpu":
        return [_graphed(precision, device) for precision in _ON_GPU]
    native = [] if kernels == "torch" else [_native(threads)]
    if kernels == "native":
        return native
    slow = {"plain bf16", "plain fp16"} | (set() if cpu_has_bfloat16() else {"packed bf16"})
    return native + [
        _in_torch(name, precision, device, on_request=name in slow)
        for name, precision in _TORCH_ON_CPU.items()
    ]


def _native(threads: int) -> DecoderOption:
    """Return the decoder in C."""

    def build(shape: Shape, weights: Weights) -> Decoder:
        library = tried_library("llama", llama_works)
        return NativeDecoder(library, shape, weights, threads=threads)

    return DecoderOption(f"native {NATIVE_PRECISION}", NATIVE_PRECISION, build)


def _in_torch(
    name: str, precision: Precision, device: str, *, on_request: bool = False
) -> DecoderOption:
    """Return the decoder whose products are torch's kind ``name``."""

    def build(shape: Shape, weights: Weights) -> Decoder:
        import torch

        from voicebench.engines.llm.fast.kernels import working_kind
        from voicebench.engines.llm.fast.torch_decoder import TorchDecoder

        return TorchDecoder(shape, weights, working_kind(name), torch.device(device))

    return DecoderOption(name, precision, build, on_request)


def _graphed(precision: Precision, device: str) -> DecoderOption:
    """Return the decoder that replays a CUDA graph for each token."""

    def build(shape: Shape, weights: Weights) -> Decoder:
        import torch

        from voicebench.engines.llm.fast.graph_decoder import GraphDecoder
        from voicebench.engines.llm.fast.kernels import plain

        return GraphDecoder(shape, weights, plain(precision), torch.device(device))

    return DecoderOption(f"graphed {precision}", precision, build)
