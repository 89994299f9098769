"""Quality of fast arithmetic: how much it changes the scores of a language model.

Both models, the exact and the fast one, are fed the same held-out answers, id by id. Two figures
compare them over all positions:

- **agreement**: the share of positions at which both find the same next id the likeliest. Where
  they differ, a greedy reply goes another way.
- **divergence**: the mean Kullback-Leibler divergence of the next-id distributions, in nats, from
  exact to fast. It also counts changes that leave the likeliest id as it was.

Exact means float32, in plain torch or numpy, from the weights as they are stored. A precision that
is chosen automatically must reach both limits (`Quality.passes`). That a reply reads well proves
little: naive 8-bit products answered a test question well at an agreement of 56 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebench.engines.llm.common_prefix import common_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.llm.engine_protocols import ChatTokenizing
    from voicebench.engines.llm.fast.engine import Decoder
    from voicebench.engines.llm.fast.numpy_decoder import NumpyDecoder
    from voicebench.engines.llm.fast.torch_decoder import TorchDecoder

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
    """How close fast arithmetic is to exact arithmetic over ``positions`` ids; see the module."""

    agreement: float
    divergence: float
    positions: int

    @property
    def passes(self) -> bool:
        """Whether a precision of this quality may be chosen automatically."""
        return self.agreement >= LEAST_AGREEMENT and self.divergence <= MOST_DIVERGENCE


def held_out_pairs() -> list[tuple[str, str]]:
    """Return the prompts and answers on which quality is judged.

    They are used for nothing else: no kernel, precision or system prompt was chosen with them.
    """
    text = Path(__file__).with_name("held_out_turns.txt").read_text(encoding="utf-8")
    pairs = [pair.splitlines() for pair in text.split("\n\n")]
    return [(prompt, answer) for prompt, answer in pairs]


def held_out_turns(tokenizer: ChatTokenizing, system_prompt: str) -> list[Turn]:
    """Return the held-out prompts and answers as ids of ``tokenizer``."""
    pairs = held_out_pairs()
    prompts = [tokenizer.encode_turn(system_prompt, prompt) for prompt, _ in pairs]
    kept = common_length(min(prompts), max(prompts))
    return [
        Turn(prompt, kept, tokenizer.encode_text(answer))
        for prompt, (_, answer) in zip(prompts, pairs, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Reference:
    """The scores of exact arithmetic on some turns.

    ``kept`` holds the keys and values of the common start of all prompts. ``expected`` holds, for
    each turn, the scores ``(answer, vocabulary)`` with which each id of the answer is chosen.
    """

    turns: Sequence[Turn]
    kept: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    expected: Sequence[NDArray[np.float32]]


def refer(exact: TorchDecoder | NumpyDecoder, turns: Sequence[Turn]) -> Reference:
    """Compute the scores of the exact model on the turns."""
    cache: Any = exact.new_cache(_longest(turns))
    common = turns[0].kept
    kept = None
    if common:
        exact.forward(turns[0].prompt[:common], cache, 0)
        kept = exact.content(cache, common)
    expected = [
        _on_host(
            exact.every_score([*turn.prompt[common:], *turn.answer[:-1]], cache, common)[
                len(turn.prompt) - common - 1 :
            ]
        )
        for turn in turns
    ]
    return Reference(turns, kept, expected)


def compare(reference: Reference, fast: Decoder) -> Quality:
    """Return how close a fast model stays to the exact one on the same turns.

    It computes as it does in a reply: the kept part of a prompt has exact keys and values, the rest
    is computed in one pass, and the answer id by id.
    """
    same, divergence, positions = 0, 0.0, 0
    cache = fast.new_cache(_longest(reference.turns))
    if reference.kept is not None:
        fast.fill(cache, *reference.kept)
    for turn, expected in zip(reference.turns, reference.expected, strict=True):
        rows = [_on_host(fast.forward(turn.prompt[turn.kept :], cache, turn.kept))]
        for position, token_id in enumerate(turn.answer[:-1], start=len(turn.prompt)):
            rows.append(_on_host(fast.forward([token_id], cache, position)))
        got = np.stack(rows)
        same += int((got.argmax(axis=1) == expected.argmax(axis=1)).sum())
        likely = _log_shares(expected)
        lost = np.exp(likely) * (likely - _log_shares(got))
        divergence += float(lost.sum(dtype=np.float64))
        positions += len(turn.answer)
    return Quality(same / positions, divergence / positions, positions)


def _on_host(scores: Any) -> NDArray[np.float32]:
    """Return the scores of any decoder as an array of their own."""
    if isinstance(scores, np.ndarray):
        return np.array(scores, dtype=np.float32)
    on_host: NDArray[np.float32] = scores.float().cpu().numpy().copy()
    return on_host


def _log_shares(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logarithms of the likelihoods of ``scores``, row by row."""
    lowered = scores - scores.max(axis=1, keepdims=True)
    shares: NDArray[np.float32] = lowered - np.log(np.exp(lowered).sum(axis=1, keepdims=True))
    return shares


def _longest(turns: Sequence[Turn]) -> int:
    return max(len(turn.prompt) + len(turn.answer) for turn in turns)
