"""Torch's products of activations with a fixed matrix.

A token takes as long as reading the weights, so weights in narrower numbers are faster. Torch has
several private operators for such products, and which of them exist differs by processor and
release. Each is a `LinearKind` here, and is used only if it computes right (`works`). The plain
kinds exist everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch

from voicebench.engines.llm.fast.model_shape import Unsupported

Precision = Literal["fp32", "bf16", "fp16", "int8"]

Linear = Callable[["torch.Tensor"], "torch.Tensor"]
"""Takes activations ``(count, in)`` and returns ``(count, out)`` in the same dtype."""

_TOLERANCE: dict[Precision, float] = {"fp32": 1e-5, "fp16": 2e-3, "bf16": 2e-2, "int8": 3e-2}
"""The largest relative error by rounding; a wrong product is far above it."""


@dataclass(frozen=True)
class LinearKind:
    """A way to store a matrix and multiply by it.

    ``prepare(weight, bias)`` takes a float32 matrix ``(out, in)`` on the computing device and
    returns its product. ``activations`` is the dtype of the input and the output.
    """

    name: str
    precision: Precision
    activations: torch.dtype
    prepare: Callable[[torch.Tensor, torch.Tensor | None], Linear]


def plain(precision: Precision) -> LinearKind:
    """Return the kind of torch's public product; every device and release has it."""
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]

    def prepare(weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
        stored = weight.to(dtype).contiguous()
        added = None if bias is None else bias.to(dtype)
        return lambda activations: torch.nn.functional.linear(activations, stored, added)

    return LinearKind(f"plain {precision}", precision, dtype, prepare)


def works(kind: LinearKind) -> bool:
    """Return whether ``kind`` exists here and agrees with float32 except for rounding.

    It multiplies a small matrix by one row and by several rows: operators have different code for
    the two.
    """
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
    # A private operator that is missing or refuses this processor raises any kind of error.
    except Exception:
        return False
    return True


def _packed_by_onednn(precision: Precision) -> LinearKind:
    """Return oneDNN's product with a matrix that it has rearranged before.

    Torch's compiler uses the same operators for frozen weights on a CPU.
    """
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
    """Return torch's product with 8-bit weights and one scale for each output.

    It is used for single rows. Several rows (a prompt) are limited by arithmetic, not by reading,
    so they are multiplied with bfloat16 weights, which is also more exact.
    """

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


KINDS: dict[str, Callable[[], LinearKind]] = {
    "weight-only int8": _weight_only_int8,
    "packed fp16": _packed_fp16,
    "packed bf16": partial(_packed_by_onednn, "bf16"),
    "packed fp32": partial(_packed_by_onednn, "fp32"),
    "plain fp32": partial(plain, "fp32"),
    "plain bf16": partial(plain, "bf16"),
    "plain fp16": partial(plain, "fp16"),
}


def working_kind(name: str) -> LinearKind:
    """Return a kind of `KINDS`; raises `Unsupported` if it is missing or wrong here."""
    kind = KINDS[name]()
    if not works(kind):
        raise Unsupported(f"this processor or torch has no {name} products")
    return kind
