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
from typing import TYPE_CHECKING

from voicebench.llm.held_out import HELD_OUT_TURNS

if TYPE_CHECKING:
    from voicebench.llm.answering import ChatTokenizing
    from voicebench.llm.fast.engine import Decoder
    from voicebench.llm.fast.torch_decoder import TorchDecoder

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
    from voicebench.llm.fast.engine import common_prefix

    prompts = [tokenizer.encode_turn(system_prompt, prompt) for prompt, _ in HELD_OUT_TURNS]
    kept = len(common_prefix(min(prompts), max(prompts)))
    return [
        Turn(prompt, kept, tokenizer.encode_text(answer))
        for prompt, (_, answer) in zip(prompts, HELD_OUT_TURNS, strict=True)
    ]


def compare(exact: TorchDecoder, fast: Decoder, turns: Sequence[Turn]) -> Quality:
    """Lead both models through the turns and return how near ``fast`` stays to ``exact``.

    ``fast`` works as it does when it answers: the kept part of the prompt has exact keys and
    values, the rest is computed in one pass, and the answer id by id.
    """
    import torch

    same, divergence, positions = 0, 0.0, 0
    kept = list(turns[0].prompt[: turns[0].kept])
    longest = max(len(turn.prompt) + len(turn.answer) for turn in turns)
    exact_cache, fast_cache = exact.new_cache(longest), fast.new_cache(longest)
    if kept:
        exact.forward(kept, exact_cache, 0)
        fast.fill(fast_cache, *exact.content(exact_cache, len(kept)))
    for turn in turns:
        at = len(turn.prompt)
        ids = [*turn.prompt[len(kept) :], *turn.answer[:-1]]
        expected = exact.every_score(ids, exact_cache, len(kept))[at - len(kept) - 1 :].cpu()
        rows = [fast.forward(turn.prompt[len(kept) :], fast_cache, len(kept)).float().cpu()]
        for position, token_id in enumerate(turn.answer[:-1], start=at):
            rows.append(fast.forward([token_id], fast_cache, position).float().cpu())
        got = torch.stack(rows)
        same += int((got.argmax(dim=1) == expected.argmax(dim=1)).sum())
        likely = torch.log_softmax(expected, dim=1)
        lost = likely.exp() * (likely - torch.log_softmax(got, dim=1))
        divergence += float(lost.sum())
        positions += len(turn.answer)
    return Quality(same / positions, divergence / positions, positions)
