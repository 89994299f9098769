from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import pytest

from benchmarks.long_prompts import LLAMA, OURS, Line, faster, ids_of, measure


class Noting:
    """An engine that notes whose turn it is when it has read a prompt, and which ids it got."""

    context_tokens = 4096

    def __init__(self, name: str, turns: list[tuple[str, list[int]]]) -> None:
        self.name = name
        self.turns = turns

    def generate(
        self,
        prompt_ids: Sequence[int],
        scope: str | None = None,
        found: Callable[[int], None] = lambda _: None,
    ) -> Generator[int | None]:
        yield from [None] * (len(prompt_ids) // 16)  # between pieces
        self.turns.append((self.name, list(prompt_ids)))
        yield 1

    def read_ahead(self, ids: Sequence[int], scope: str) -> None:
        pass

    def describe(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("other", "ms", "verdict"),
    [
        ("transformers", 10.0, "held"),
        ("transformers", 9.9, "NOT HELD"),
        (LLAMA, 20.0, "held"),
        (LLAMA, 19.9, "NOT HELD"),
    ],
)
def test_a_promise_holds_from_its_ratio_on(other: str, ms: float, verdict: str) -> None:
    assert Line(64, {OURS: 10.0, other: ms}).verdict(other) == verdict


def test_what_was_not_measured_is_not_held() -> None:
    line = Line(64, {OURS: 10.0})
    assert line.ratio(LLAMA) is None
    assert line.verdict(LLAMA) == "not measured"


def test_transformers_counts_with_the_precision_that_is_faster() -> None:
    times = {OURS: 1.0, "transformers fp32": 30.0, "transformers bf16": 20.0, LLAMA: 5.0}
    assert faster(times) == {OURS: 1.0, LLAMA: 5.0, "transformers": 20.0}


def test_every_engine_gets_the_same_whole_prompts_and_none_twice() -> None:
    turns: list[tuple[str, list[int]]] = []
    loaded = {name: Noting(name, turns) for name in (OURS, LLAMA)}
    lines = list(measure(loaded, lengths=(16, 40), rounds=2))
    assert [line.tokens for line in lines] == [16, 40]
    assert all(set(line.ms) == {OURS, LLAMA} for line in lines)
    ours, theirs = ([ids for name, ids in turns if name == which] for which in loaded)
    assert ours == theirs
    assert [len(ids) for ids in ours] == [16] * 3 + [40] * 3
    assert len({ids[0] for ids in ours}) == len(ours)
    assert [name for name, _ in turns[:4]] == [OURS, LLAMA, LLAMA, OURS]


def test_ids_are_of_the_length_asked_for() -> None:
    assert len(ids_of(1, 5)) == 1
    assert len(ids_of(2000, 5)) == 2000
