"""Caches are lent by their longest common beginning, kept within a bound, and never mixed up."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from voicebench.engines.llm.common_prefix import common_length
from voicebench.engines.llm.fast.engine import Decoder, FastEngine
from voicebench.engines.llm.fast.kept_caches import KeptCaches
from voicebench.engines.llm.fast.prompt_cache import PromptCache, position_bytes

CONTEXT = 2_000
SHAPE: Any = SimpleNamespace(context=CONTEXT, layers=2, kv_heads=1, head_size=8)
ROOT = [1, 2, 3, 4]
SMALLEST = 512
"""Positions of a new cache."""
BYTES = SMALLEST * position_bytes(SHAPE)
A = [*ROOT, *range(100, 140)]
B = [*ROOT, *range(200, 240)]


BROKEN = -1
"""An id at which a pass fails."""


class IdDecoder:
    """A decoder whose keys and values are the ids themselves, so that a mixed-up cache shows."""

    shape = SHAPE
    block = 256

    def __init__(self) -> None:
        self.new_caches = 0
        self.copied = 0
        self.memory_left = 10**9

    def new_cache(self, capacity: int) -> list[int]:
        self.new_caches += 1
        self.memory_left -= capacity
        if self.memory_left < 0:
            raise MemoryError("none left")
        return [0] * capacity

    def copy_cache(self, source: list[int], target: list[int], positions: int) -> None:
        self.copied += 1
        target[:positions] = source[:positions]

    def fill(self, cache: Any, keys: Any, values: Any) -> None:
        raise NotImplementedError

    def forward(self, ids: Sequence[int], cache: list[int], start: int) -> list[int]:
        if BROKEN in ids:
            raise IndexError("the model failed")
        cache[start : start + len(ids)] = ids
        return cache[: start + len(ids)]


class Counting(IdDecoder):
    """Samples the id 70 again and again."""

    def sampler(self, _temperature: float, _seed: int) -> Any:
        return SimpleNamespace(pick=lambda _scores: 70)


def caches(most_caches: float = 4, decoder: IdDecoder | None = None) -> KeptCaches:
    decoder = decoder or IdDecoder()
    root = PromptCache(decoder, len(ROOT))
    root.forward(ROOT)
    return KeptCaches(decoder, root, int(most_caches * BYTES))


def turn(kept: KeptCaches, ids: Sequence[int], reply: Sequence[int] = (), scope: Any = "s") -> int:
    """Take a turn: read the prompt, write the reply; return how many ids were known."""
    with kept.lent(ids, scope) as cache:
        known = len(cache.ids)
        assert cache.ids == list(ids[:known])
        assert cache.forward(ids[known:]) == list(ids)
        for count, token_id in enumerate(reply, 1):
            assert cache.forward([token_id]) == [*ids, *reply[:count]]
    return known


def test_a_prompt_is_known_up_to_the_first_id_that_differs() -> None:
    kept = caches()
    assert turn(kept, A, [7, 8]) == len(ROOT)
    assert turn(kept, [*A, 7, 8, 50, 51]) == len(A) + 2
    assert turn(kept, [*A, 7, 9, 50, 51]) == len(A) + 1


def test_the_last_id_is_always_computed_because_its_scores_are_needed() -> None:
    kept = caches()
    turn(kept, A)
    assert turn(kept, A) == len(A) - 1


def test_the_longest_beginning_wins() -> None:
    kept = caches()
    turn(kept, [*A, *range(300, 330)])
    turn(kept, [*A[:20], *range(400, 430)])
    turn(kept, B)
    assert turn(kept, [*A, *range(300, 330), 9]) == len(A) + 30
    assert turn(kept, [*B, 9]) == len(B)


def test_a_lent_cache_is_not_lent_twice() -> None:
    kept = caches()
    turn(kept, A)
    with kept.lent([*A, 5], "s") as first, kept.lent([*A, 6], "s") as second:
        assert first is not second
        assert (first.ids, second.ids) == (A, A)
        first.forward([5, 5])
        assert second.forward([6, 6]) == [*A, 6, 6]
        assert first.forward([5]) == [*A, 5, 5, 5]


def test_what_a_running_turn_has_computed_so_far_is_known() -> None:
    kept = caches()
    with kept.lent(A, "s") as running:
        running.forward(A[len(running.ids) :])
        assert turn(kept, [*A, 5]) == len(A)
        assert running.forward([8]) == [*A, 8]


def test_two_conversations_that_share_a_beginning_keep_both_ends() -> None:
    kept = caches()
    shared = [*ROOT, *range(50, 80)]
    one, other = [*shared, *range(100, 130)], [*shared, *range(200, 230)]
    turn(kept, one)
    assert turn(kept, other) == len(shared)
    assert turn(kept, [*one, 9]) == len(one)
    assert turn(kept, [*other, 9]) == len(other)


def test_a_few_ids_behind_the_beginning_are_not_worth_a_copy() -> None:
    decoder = IdDecoder()
    kept = caches(decoder=decoder)
    turn(kept, [*A, 5, 5])
    copied = decoder.copied
    assert turn(kept, [*A, 6]) == len(A)
    assert decoder.copied == copied
    assert turn(kept, [*A, 5, 5, 9]) == len(A)


def test_the_least_recently_used_goes_first() -> None:
    kept = caches(most_caches=2)
    turn(kept, A)
    turn(kept, B)
    assert turn(kept, [*A, 9]) == len(A)
    turn(kept, [*ROOT, *range(300, 340)])
    assert turn(kept, [*A, 9, 9]) == len(A) + 1
    assert turn(kept, [*B, 9]) == len(ROOT)


@pytest.mark.parametrize("most_caches", [0, 0.5, 1, 2.9])
def test_the_bound_holds_and_the_system_prompt_stays(most_caches: float) -> None:
    kept = caches(most_caches)
    for number in range(20):
        assert turn(kept, [*ROOT, *[1000 + number] * 40]) == len(ROOT)
        assert kept.kept_bytes <= most_caches * BYTES


def test_with_no_memory_for_it_not_even_a_running_turn_is_found() -> None:
    kept = caches(most_caches=0)
    with kept.lent(A, "s") as running:
        running.forward(A[len(running.ids) :])
        assert turn(kept, [*A, 5]) == len(ROOT)


def test_one_conversation_that_outgrows_the_bound_is_given_up() -> None:
    kept = caches(most_caches=1)
    long = [*ROOT, *range(1000, 1600)]
    turn(kept, long)
    assert kept.kept_bytes == 0
    assert turn(kept, [*long, 9]) == len(ROOT)


def test_a_reply_that_was_cut_off_is_kept_as_far_as_it_was_computed() -> None:
    kept = caches()
    engine = FastEngine(cast("Decoder", Counting()), prefix=ROOT, temperature=0, seed=0)
    engine._caches = kept
    reply = engine.generate(A, "s")
    assert [next(reply), next(reply)] == [70, 70]
    reply.close()
    assert turn(kept, [*A, 70, 71, 72]) == len(A) + 1


def conversing_engine(kept_bytes: int = 4 * BYTES) -> FastEngine:
    return FastEngine(
        cast("Decoder", Counting()), prefix=ROOT, temperature=0, seed=0, kept_bytes=kept_bytes
    )


def known(engine: FastEngine, ids: Sequence[int], scope: str | None = "s") -> int:
    """Return how many ids of a prompt the engine knew."""
    found: list[int] = []
    reply = engine.generate(ids, scope, found.append)
    next(reply)
    reply.close()
    return found[0]


def test_what_is_read_ahead_is_known_to_the_next_prompt_of_its_scope() -> None:
    engine = conversing_engine()
    known(engine, A)
    engine.read_ahead([*A, 70, 8, 9], "s")
    assert known(engine, [*A, 70, 8, 9, 5, 6]) == len(A) + 3
    assert known(engine, [*A, 70, 8, 9, 5, 6], "other") == len(ROOT)


def test_nothing_is_read_ahead_while_a_reply_is_generated() -> None:
    engine = conversing_engine()
    known(engine, A)
    running = engine.generate(B, "s")
    next(running)
    engine.read_ahead([*A, 70, 8, 9], "s")
    assert known(engine, [*A, 70, 8, 9, 5]) == len(A)
    running.close()


def test_a_whole_history_is_not_read_ahead() -> None:
    engine = conversing_engine()
    history = [*ROOT, *range(300, 400)]
    engine.read_ahead(history, "s")
    assert known(engine, [*history, 5]) == len(ROOT)


def test_nothing_is_read_ahead_that_would_not_be_kept_or_does_not_fit() -> None:
    engine = conversing_engine(kept_bytes=0)
    engine.read_ahead([*A, 70], "s")
    assert known(engine, [*A, 70, 5]) == len(ROOT)
    conversing_engine().read_ahead([*ROOT] * CONTEXT, "s")


def test_a_pass_that_fails_adds_nothing() -> None:
    kept = caches()
    with kept.lent(A, "s") as cache:
        cache.forward(A[len(cache.ids) : -3])
        with pytest.raises(IndexError):
            cache.forward([*A[-3:], BROKEN])
    assert turn(kept, A) == len(A) - 3


def test_a_turn_without_a_scope_finds_and_leaves_nothing() -> None:
    kept = caches()
    turn(kept, A)
    assert turn(kept, [*A, 9], scope=None) == len(ROOT)
    assert turn(kept, [*A, 9, 9, 9]) == len(A)
    turn(kept, B, scope=None)
    assert turn(kept, [*B, 9]) == len(ROOT)


def test_scopes_do_not_see_each_other() -> None:
    kept = caches()
    turn(kept, A, scope="one")
    assert turn(kept, [*A, 9], scope="other") == len(ROOT)
    assert turn(kept, [*A, 9], scope="one") == len(A)


def test_turns_without_a_scope_take_no_further_memory() -> None:
    decoder = IdDecoder()
    kept = caches(decoder=decoder)
    before = decoder.new_caches
    for number in range(9):
        turn(kept, [*ROOT, number, number], scope=None)
    assert decoder.new_caches == before


def test_a_conversation_that_begins_waits_for_no_memory() -> None:
    decoder = IdDecoder()
    kept = caches(decoder=decoder)
    for number in range(9):
        before = decoder.new_caches
        with kept.lent([*ROOT, number, number], "s"):
            assert decoder.new_caches == before


def test_a_conversation_that_goes_on_does_not_begin_by_growing() -> None:
    decoder = IdDecoder()
    kept = caches(most_caches=9, decoder=decoder)
    ids = list(A)
    for _ in range(30):
        with kept.lent(ids, "s") as cache:
            before = decoder.new_caches
            cache.forward(ids[len(cache.ids) :])
            assert decoder.new_caches == before
        ids += range(30)


def test_a_prompt_that_does_not_begin_with_the_system_prompt_is_kept_too() -> None:
    kept = caches()
    other = [9, 9, *range(60)]
    assert turn(kept, other) == 0
    assert turn(kept, [*other, 5]) == len(other)
    assert turn(kept, A) == len(ROOT)


def test_without_memory_for_a_copy_the_turn_fails_and_nothing_is_lost() -> None:
    decoder = IdDecoder()
    kept = caches(decoder=decoder)
    turn(kept, A)
    with ExitStack() as running:
        running.enter_context(kept.lent([*A, 5], "s"))
        running.enter_context(kept.lent([*A, 6], "s"))
        left, decoder.memory_left = decoder.memory_left, 0
        with pytest.raises(MemoryError), kept.lent([*A, 7], "s"):
            raise AssertionError
        decoder.memory_left = left
    assert turn(kept, [*A, 9]) == len(A)


def test_turns_that_run_at_once_never_read_each_others_ids() -> None:
    kept = caches(most_caches=3)
    failed: list[BaseException] = []

    def talk(seed: int) -> None:
        chance = random.Random(seed)
        ids = [*ROOT, *range(50, 50 + chance.randrange(40))]
        try:
            for _ in range(150):
                reply = [chance.randrange(4) for _ in range(chance.randrange(30))]
                turn(kept, [*ids, 5], reply, scope=chance.choice(["one", "two", None]))
                ids = [*ids, 5, *reply] if len(ids) < 900 else ids[: chance.randrange(4, 99)]
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=talk, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert kept.kept_bytes <= 3 * BYTES


def test_common_length() -> None:
    assert common_length([], [1]) == 0
    assert common_length([1, 2], [1, 2, 3]) == 2
    assert common_length([1, 2, 4], [1, 2, 3]) == 2
    assert common_length((1, 2), [1, 2]) == 2


def test_keys_and_values_of_another_decoder_begin_a_cache() -> None:
    class Filled(IdDecoder):
        def fill(self, cache: list[int], keys: Any, values: Any) -> None:
            cache[: keys.shape[2]] = ROOT

    root = PromptCache(Filled(), len(ROOT))
    exact = np.zeros((2, 1, len(ROOT), 8), np.float32)
    root.fill(ROOT, exact, exact)
    assert root.forward([9]) == [*ROOT, 9]
