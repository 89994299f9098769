"""How much fast arithmetic changes what a model says.

Two figures, over the positions of answers that both models are led through word by word:

- **agreement**: at how many positions the likeliest next id is the same. Where it is not, a greedy
  reply takes another way.
- **divergence**: the mean Kullback-Leibler divergence of the next-id distributions, in nats, from
  exact to fast: what is lost also where the likeliest id stays.

Exact is float32, computed in plain torch from the weights as they are stored. A precision that is
chosen automatically has to reach both limits (`Quality.passes`). An answer that looks right proves
little: naive 8-bit products have answered a test question well at an agreement of 56 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicebench.engines.llm.held_out import HELD_OUT_TURNS

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from voicebench.engines.llm.fast.engine import Decoder
    from voicebench.engines.llm.fast.torch_decoder import TorchDecoder
    from voicebench.engines.llm.generation import ChatTokenizing

LEAST_AGREEMENT = 0.95
MOST_DIVERGENCE = 0.01


@dataclass(frozen=True, slots=True)
class Turn:
    """The ids of a prompt, how many of them all prompts begin with, and those of an answer."""

    prompt: Sequence[int]
    kept: int
    answer: Sequence[int]


@dataclass(frozen=True, slots=True)
class Quality:
    """How near fast arithmetic is to exact: see the module. ``positions`` is how many were seen."""

    agreement: float
    divergence: float
    positions: int

    @property
    def passes(self) -> bool:
        """Whether a precision of this quality may be chosen automatically."""
        return self.agreement >= LEAST_AGREEMENT and self.divergence <= MOST_DIVERGENCE


def held_out_turns(tokenizer: ChatTokenizing, system_prompt: str) -> list[Turn]:
    """Return the turns on which quality is judged, as ids of this tokenizer."""
    from voicebench.engines.llm.fast.engine import common_prefix

    prompts = [tokenizer.encode_turn(system_prompt, prompt) for prompt, _ in HELD_OUT_TURNS]
    kept = len(common_prefix(min(prompts), max(prompts)))
    return [
        Turn(prompt, kept, tokenizer.encode_text(answer))
        for prompt, (_, answer) in zip(prompts, HELD_OUT_TURNS, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Reference:
    """What exact arithmetic says of some turns.

    ``kept`` are the keys and values of what all prompts begin with; ``expected`` the scores
    ``(answer, vocabulary)`` of each turn, from the one after the prompt to the last but one.
    """

    turns: Sequence[Turn]
    kept: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    expected: Sequence[torch.Tensor]


def refer(exact: TorchDecoder, turns: Sequence[Turn]) -> Reference:
    """Lead the exact model through the turns."""
    cache = exact.new_cache(_longest(turns))
    common = turns[0].kept
    kept = None
    if common:
        exact.forward(turns[0].prompt[:common], cache, 0)
        kept = exact.content(cache, common)
    expected = [
        exact.every_score([*turn.prompt[common:], *turn.answer[:-1]], cache, common)[
            len(turn.prompt) - common - 1 :
        ].cpu()
        for turn in turns
    ]
    return Reference(turns, kept, expected)


def compare(reference: Reference, fast: Decoder) -> Quality:
    """Lead a fast model through the turns and return how near it stays to the exact one.

    It works as it does when it answers: the kept part of a prompt has exact keys and values, the
    rest is computed in one pass, and the answer id by id.
    """
    import torch

    def on_host(scores: Any) -> torch.Tensor:
        return torch.as_tensor(scores).float().cpu()

    same, divergence, positions = 0, 0.0, 0
    cache = fast.new_cache(_longest(reference.turns))
    if reference.kept is not None:
        fast.fill(cache, *reference.kept)
    for turn, expected in zip(reference.turns, reference.expected, strict=True):
        rows = [on_host(fast.forward(turn.prompt[turn.kept :], cache, turn.kept))]
        for position, token_id in enumerate(turn.answer[:-1], start=len(turn.prompt)):
            rows.append(on_host(fast.forward([token_id], cache, position)))
        got = torch.stack(rows)
        same += int((got.argmax(dim=1) == expected.argmax(dim=1)).sum())
        likely = torch.log_softmax(expected, dim=1)
        lost = likely.exp() * (likely - torch.log_softmax(got, dim=1))
        divergence += float(lost.sum())
        positions += len(turn.answer)
    return Quality(same / positions, divergence / positions, positions)


def _longest(turns: Sequence[Turn]) -> int:
    return max(len(turn.prompt) + len(turn.answer) for turn in turns)
