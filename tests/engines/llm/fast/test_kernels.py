from __future__ import annotations

import dataclasses

import pytest
import torch

from voicebench.engines.llm.fast import kernels
from voicebench.engines.llm.fast.kernels import (
    Linear,
    LinearKind,
    plain,
    working_kind,
    works,
)
from voicebench.engines.llm.fast.model_shape import Unsupported


def kinds_here() -> list[LinearKind]:
    kinds = []
    for name in kernels.KINDS:
        try:
            kinds.append(working_kind(name))
        except Unsupported:
            continue
    return kinds


KINDS = kinds_here()


def test_the_plain_kinds_exist_on_every_processor() -> None:
    assert {"plain fp32", "plain bf16", "plain fp16"} <= {kind.name for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("rows", [1, 2, 17])
def test_a_kind_multiplies_as_float32_does_but_for_its_rounding(
    kind: LinearKind, with_bias: bool, rows: int
) -> None:
    draws = torch.Generator().manual_seed(1)
    weight = torch.randn(200, 160, generator=draws)
    bias = torch.randn(200, generator=draws) if with_bias else None
    inputs = torch.randn(rows, 160, generator=draws)
    with torch.inference_mode():
        got = kind.prepare(weight, bias)(inputs.to(kind.activations)).float()
    expected = torch.nn.functional.linear(inputs, weight, bias)
    assert torch.dist(got, expected) / expected.norm() < kernels._TOLERANCE[kind.precision]


def test_a_kind_bears_the_name_that_it_was_asked_for() -> None:
    assert {kind.name for kind in KINDS} <= set(kernels.KINDS)


def test_a_kind_that_computes_wrong_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    good = plain("fp32")

    def wrong(weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
        product = good.prepare(weight, bias)
        return lambda activations: product(activations) * (1.1 if len(activations) > 1 else 1.0)

    assert works(good)
    wrong_kind = dataclasses.replace(good, prepare=wrong)
    assert not works(wrong_kind)
    monkeypatch.setitem(kernels.KINDS, "weight-only int8", lambda: wrong_kind)
    with pytest.raises(Unsupported, match="no weight-only int8 products"):
        working_kind("weight-only int8")


def test_a_kind_whose_operator_is_gone_is_not_offered() -> None:
    def gone(weight: torch.Tensor, bias: torch.Tensor | None) -> Linear:
        product: Linear = torch.ops.aten.no_such_operator(weight)
        return product

    assert not works(dataclasses.replace(plain("fp32"), prepare=gone))


def test_a_weight_beyond_float16_is_refused_rather_than_cut() -> None:
    with pytest.raises(Unsupported, match="beyond float16"):
        kernels._packed_fp16().prepare(torch.tensor([[1e5, 0.0]]), None)
