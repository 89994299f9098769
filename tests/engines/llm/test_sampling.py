from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from voicebench.engines.llm.sampling import Sampler, TensorSampler
from voicebench.errors import EngineError

SCORES = np.log(np.array([0.2, 0.7, 0.1], np.float32))


def test_without_a_temperature_the_likeliest_is_next() -> None:
    assert Sampler(0.0, 0).pick(SCORES) == 1
    assert TensorSampler(0.0, 0).pick(torch.from_numpy(SCORES).bfloat16()) == 1


def test_a_temperature_draws_in_proportion() -> None:
    sampler = Sampler(1.0, 0)
    drawn = np.bincount([sampler.pick(SCORES) for _ in range(3000)])
    np.testing.assert_allclose(drawn / 3000, [0.2, 0.7, 0.1], atol=0.03)


def test_a_higher_temperature_draws_more_evenly() -> None:
    sampler = Sampler(2.0, 0)
    drawn = np.bincount([sampler.pick(SCORES) for _ in range(3000)])
    roots = np.sqrt([0.2, 0.7, 0.1])
    np.testing.assert_allclose(drawn / 3000, roots / roots.sum(), atol=0.03)


def test_the_same_seed_draws_the_same_reply_and_another_seed_another() -> None:
    def reply(sampler: Sampler | TensorSampler, scores: Any) -> list[int]:
        return [sampler.pick(scores) for _ in range(40)]

    ours = reply(Sampler(1.0, 3), SCORES)
    assert reply(Sampler(1.0, 3), SCORES) == ours
    assert reply(TensorSampler(1.0, 3), torch.from_numpy(SCORES)) == ours
    assert reply(Sampler(1.0, 4), SCORES) != ours


def test_an_id_that_cannot_be_is_never_drawn() -> None:
    sampler = Sampler(5.0, 0)
    scores = np.array([-np.inf, 0.0, -np.inf], np.float32)
    assert {sampler.pick(scores) for _ in range(50)} == {1}


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_scores_that_are_no_numbers_are_an_engine_error(temperature: float, wrong: float) -> None:
    scores = np.array([0.0, wrong, 1.0], np.float32)
    with pytest.raises(EngineError, match="bf16 or fp32"):
        Sampler(temperature, 0).pick(scores)
    with pytest.raises(EngineError, match="bf16 or fp32"):
        TensorSampler(temperature, 0).pick(torch.from_numpy(scores))
