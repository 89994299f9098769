from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from voicebench.engines.llm.agreement import (
    Quality,
    Turn,
    compare,
    held_out_pairs,
    held_out_turns,
    refer,
)
from voicebench.engines.llm.fast.decoder_trial import trial_model
from voicebench.engines.llm.fast.kernels import plain
from voicebench.engines.llm.fast.tokenizer import FolderTokenizer
from voicebench.engines.llm.fast.torch_decoder import TorchCache, TorchDecoder

CPU = torch.device("cpu")
TURNS = [Turn([1, 2, 3, 4, 5], 3, [6, 7, 8, 9]), Turn([1, 2, 3, 40], 3, [41, 42])]


@pytest.fixture
def exact() -> TorchDecoder:
    return TorchDecoder(*trial_model(), plain("fp32"), CPU)


@pytest.mark.parametrize(
    ("agreement", "divergence", "passes"),
    [(0.95, 0.01, True), (0.949, 0.0, False), (1.0, 0.0101, False), (1.0, float("nan"), False)],
)
def test_both_limits_have_to_be_reached(agreement: float, divergence: float, passes: bool) -> None:
    assert Quality(agreement, divergence, 100).passes is passes


def test_a_model_agrees_with_itself(exact: TorchDecoder) -> None:
    quality = compare(refer(exact, TURNS), exact)
    assert quality.agreement == 1.0
    assert quality.divergence == pytest.approx(0.0, abs=1e-6)
    assert quality.positions == 6


def test_turns_without_a_common_beginning_are_compared_too(exact: TorchDecoder) -> None:
    turns = [Turn([1, 2], 0, [3]), Turn([4, 5], 0, [6, 7])]
    assert compare(refer(exact, turns), exact).agreement == 1.0


def test_noise_in_the_weights_costs_agreement_and_adds_divergence(exact: TorchDecoder) -> None:
    shape, weights = trial_model()
    draws = np.random.default_rng(3)
    head = weights.head + 0.3 * draws.standard_normal(weights.head.shape, np.float32)
    noisy = TorchDecoder(shape, dataclasses.replace(weights, head=head), plain("fp32"), CPU)
    quality = compare(refer(exact, TURNS), noisy)
    assert quality.agreement < 1.0
    assert quality.divergence > 0.1


def test_divergence_is_that_of_the_distributions_from_exact_to_fast(exact: TorchDecoder) -> None:
    class Sharper(TorchDecoder):
        def forward(self, ids: Sequence[int], cache: TorchCache, start: int) -> torch.Tensor:
            return 1.5 * super().forward(ids, cache, start)

    sharper = Sharper(*trial_model(), plain("fp32"), CPU)
    quality = compare(refer(exact, TURNS), sharper)
    expected = []
    for turn in TURNS:
        ids = [*turn.prompt, *turn.answer[:-1]]
        scores = exact.every_score(ids, exact.new_cache(16), 0)[len(turn.prompt) - 1 :]
        expected.append(
            torch.nn.functional.kl_div(
                torch.log_softmax(1.5 * scores, dim=1),
                torch.log_softmax(scores, dim=1),
                reduction="sum",
                log_target=True,
            )
        )
    assert quality.agreement == 1.0
    assert quality.divergence == pytest.approx(float(sum(expected)) / 6, rel=1e-3)


def test_held_out_turns_are_many_and_share_the_frame_of_the_prompt(tiny_llama: Path) -> None:
    tokenizer = FolderTokenizer(tiny_llama)
    turns = held_out_turns(tokenizer, "Be brief.")
    assert len(turns) == len(held_out_pairs()) >= 20
    assert len({tuple(turn.prompt[: turn.kept]) for turn in turns}) == 1
    assert turns[0].kept > 5
    assert len({turn.prompt[turn.kept] for turn in turns}) > 1
    for turn, (prompt, answer) in zip(turns, held_out_pairs(), strict=True):
        assert prompt in tokenizer.decode(turn.prompt)
        assert tokenizer.decode(turn.answer) == answer
