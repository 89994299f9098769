"""Products of activations with a fixed matrix, as torch offers them.

A token's time is the time to read the weights, so the narrower they are stored the faster it is;
and which of torch's products reads them fastest differs by processor and release. Every private
operator of torch that this engine uses is in this file, each as one `LinearKind`. A kind is offered
only where it exists and computes what it should (`works`); the plain kinds exist everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from voicebench.engines.llm.fast.model_shape import Unsupported

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "fp16", "int8"]

Linear = Callable[["torch.Tensor"], "torch.Tensor"]
"""Take activations ``(count, in)`` and return ``(count, out)``, in the same dtype."""

_TOLERANCE: dict[Precision, float] = {"fp32": 1e-5, "fp16": 2e-3, "bf16": 2e-2, "int8": 3e-2}
"""Relative error that the rounding of a precision explains; a wrong product is far beyond it."""


@dataclass(frozen=True)
class LinearKind:
    """A way to store a matrix and multiply by it.

    ``prepare(weight, bias)`` gets a float32 matrix ``(out, in)`` on the device that computes, and
    returns its product. ``activations`` is the dtype of what goes in and comes out.
    """

    name: str
    precision: Precision
    activations: torch.dtype
    prepare: Callable[[torch.Tensor, torch.Tensor | None], Linear]


def plain(precision: Precision) -> LinearKind:
    """Return the kind that stores weights as they are; every device and release has it."""
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]

    def prepare(weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
        stored = weight.to(dtype).contiguous()
        added = None if bias is None else bias.to(dtype)
        return lambda activations: torch.nn.functional.linear(activations, stored, added)

    return LinearKind(f"plain {precision}", precision, dtype, prepare)


CPU_KINDS = (
    *("weight-only int8", "packed fp16", "packed bf16", "packed fp32"),
    *("plain fp32", "plain bf16", "plain fp16"),
)
"""The kinds for a CPU, the fastest first."""


def precision_of(name: str) -> Precision:
    """Return the precision of a kind's name: its last word."""
    return cast(Precision, name.rsplit(maxsplit=1)[-1])


def working_kind(name: str) -> LinearKind:
    """Return the kind of that name; raises `Unsupported` if it is missing or wrong here."""
    precision = precision_of(name)
    if name.startswith("plain"):
        return plain(precision)
    if name == "packed fp16":
        kind = _packed_fp16()
    elif name == "weight-only int8":
        kind = _weight_only_int8()
    else:
        kind = _packed_by_onednn(precision)
    if not works(kind):
        raise Unsupported(f"this processor or torch has no {name} products")
    return kind


def works(kind: LinearKind) -> bool:
    """Return whether ``kind`` exists here and agrees with float32 up to its rounding.

    Tried on a small matrix, for one row of activations and for several: operators take other
    paths for them.
    """
    import torch

    draws = torch.Generator().manual_seed(0)
    weight = torch.randn(96, 64, generator=draws)
    bias = torch.randn(96, generator=draws)
    inputs = torch.randn(5, 64, generator=draws)
    expected = torch.nn.functional.linear(inputs, weight, bias)
    try:
        product = kind.prepare(weight, bias)
        with torch.inference_mode():
            for rows in (1, 5):
                got = product(inputs[:rows].to(kind.activations))
                if got.dtype != kind.activations or got.shape != expected[:rows].shape:
                    return False
                error = torch.dist(got.float(), expected[:rows]) / expected[:rows].norm()
                if not error <= _TOLERANCE[kind.precision]:
                    return False
    # A private operator that is gone or refuses this processor raises whatever its release does.
    except Exception:
        return False
    return True


def _packed_by_onednn(precision: Precision) -> LinearKind:
    """Return the kind that lets oneDNN lay out the matrix for its own product beforehand.

    The operators are those that torch's compiler uses for frozen weights on a CPU.
    """
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]

    def prepare(weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype).contiguous(), 1)
        added = None if bias is None else bias.to(dtype)
        multiply = torch.ops.mkldnn._linear_pointwise

        def product(activations: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = multiply(activations, packed, added, "none", [], "")
            return result

        return product

    return LinearKind(f"packed {precision}", precision, dtype, prepare)


def _packed_fp16() -> LinearKind:
    """Return FBGEMM's product of float32 activations with a packed float16 matrix (x86)."""
    import torch

    def prepare(weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
        if not bool((weight.abs() <= torch.finfo(torch.float16).max).all()):
            raise Unsupported("a weight is beyond float16")
        added = None if bias is None else bias.float()
        packed = torch.ops.quantized.linear_prepack_fp16(weight.float(), added)
        multiply = torch.ops.quantized.linear_dynamic_fp16

        def product(activations: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = multiply(activations, packed)
            return result

        return product

    return LinearKind("packed fp16", "fp16", torch.float32, prepare)


def _weight_only_int8() -> LinearKind:
    """Return torch's product with 8-bit weights, one scale per output, for single rows.

    Several rows at once (a prompt) are bound by arithmetic and not by reading, so they go through
    bfloat16 weights, which also keeps the prompt more exact.
    """
    import torch

    def prepare(weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
        scales = (weight.abs().amax(dim=1) / 127).clamp_min(1e-12)
        levels = torch.round(weight / scales[:, None]).to(torch.int8)
        scales = scales.bfloat16()
        several = plain("bf16").prepare(weight, bias)
        added = None if bias is None else bias.bfloat16()
        multiply = torch.ops.aten._weight_int8pack_mm

        def product(activations: torch.Tensor) -> torch.Tensor:
            if activations.shape[0] > 1:
                return several(activations)
            result: torch.Tensor = multiply(activations.contiguous(), levels, scales)
            return result if added is None else result + added

        return product

    return LinearKind("weight-only int8", "int8", torch.bfloat16, prepare)
