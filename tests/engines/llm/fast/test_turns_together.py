"""Turns of the embedded model that share passes: each has the ids that it has alone."""

from __future__ import annotations

import random
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest

from voicebench.engines.llm.fast import fast_model
from voicebench.engines.llm.fast.engine import FastEngine
from voicebench.engines.llm.fast.joint_passes import JointPasses
from voicebench.engines.llm.generation import SPOKEN_SYSTEM_PROMPT, ReplyRules
from voicebench.engines.models.fetch_progress import say_nothing

pytestmark = [pytest.mark.models, pytest.mark.slow]
PROMPTS = [
    "Why do cats purr?",
    "What is the capital of Spain?",
    "Hm",
    "Once upon a time there was a fox who lived near the river. " * 12 + "Who lived there?",
    "How do I make a cup of tea, and what do I need for it?",
    "I have a dog, a cat and a bird. " * 4 + "How many animals are there?",
]
TOKENS = 10


@pytest.fixture(scope="module")
def engine(smollm2: Path) -> FastEngine:
    engine, _ = fast_model.load(
        smollm2,
        device="cpu",
        precision="int8",
        kernels="native",
        rules=ReplyRules(),
        say=say_nothing,
    )
    return engine


@pytest.fixture(scope="module")
def prompts(smollm2: Path) -> list[list[int]]:
    _, tokenizer, _ = fast_model.open_model(smollm2, "cpu", say_nothing)
    return [tokenizer.encode_turn(SPOKEN_SYSTEM_PROMPT, prompt) for prompt in PROMPTS]


@pytest.fixture(scope="module")
def alone(engine: FastEngine, prompts: list[list[int]]) -> list[list[int]]:
    return [list(islice(filter(None, engine.generate(ids)), TOKENS)) for ids in prompts]


class Turn:
    """A turn that is taken step by step."""

    def __init__(self, engine: FastEngine, number: int, ids: list[int]) -> None:
        self.number = number
        self.sampled: list[int] = []
        self._ids: Generator[int | None] = engine.generate(ids)

    def step(self, passes: JointPasses) -> None:
        try:
            token_id = next(self._ids)
            if token_id is not None:
                self.sampled.append(token_id)
        finally:
            passes.ended()

    def close(self) -> None:
        self._ids.close()


@pytest.mark.parametrize("seed", range(4))
def test_the_ids_of_a_turn_do_not_depend_on_who_shares_its_passes(
    engine: FastEngine, prompts: list[list[int]], alone: list[list[int]], seed: int
) -> None:
    """Turns join and leave at random steps, some of them before their end (cancelled)."""
    draws = random.Random(seed)
    passes = engine.step_sharing
    assert passes is not None
    waiting = [number % len(prompts) for number in range(9)]
    draws.shuffle(waiting)
    running: list[Turn] = []
    most_at_once = finished = 0
    with ThreadPoolExecutor(max_workers=9) as threads:
        while waiting or running:
            for _ in range(draws.randint(0, len(waiting))):
                number = waiting.pop()
                running.append(Turn(engine, number, prompts[number]))
            if not running:
                continue
            joined = draws.sample(running, draws.randint(1, len(running)))
            most_at_once = max(most_at_once, len(joined))
            passes.expect(len(joined))
            for future in [threads.submit(turn.step, passes) for turn in joined]:
                future.result(timeout=60)
            for turn in joined:
                assert turn.sampled == alone[turn.number][: len(turn.sampled)]
                if len(turn.sampled) == TOKENS or draws.random() < 0.03:
                    finished += len(turn.sampled) == TOKENS
                    turn.close()
                    running.remove(turn)
    assert most_at_once > 3
    assert finished > 3


def test_turns_without_a_schedule_share_passes_too_and_have_the_same_ids(
    engine: FastEngine, prompts: list[list[int]], alone: list[list[int]]
) -> None:
    together: list[list[int]] = [[] for _ in prompts]

    def generate(number: int) -> None:
        ids = filter(None, engine.generate(prompts[number]))
        together[number] = list(islice(ids, TOKENS))

    threads = [threading.Thread(target=generate, args=(n,)) for n in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert together == alone


def test_the_pieces_of_a_long_prompt_are_steps_of_their_own_beside_other_turns(
    engine: FastEngine, prompts: list[list[int]]
) -> None:
    long, other = engine.generate(prompts[3]), engine.generate(prompts[0])
    assert next(other) is not None
    assert next(long) is None
    other.close()
    long.close()
