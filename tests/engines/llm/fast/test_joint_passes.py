"""Segments of several threads in one pass: who is waited for, and what becomes of an error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from voicebench.engines.llm.fast.joint_passes import JointPasses
from voicebench.engines.llm.fast.segment import Segment
from voicebench.errors import EngineError

SOON = 5.0
NOT_YET = 0.02


class NotedPasses:
    """A decoder that gives each segment its own ids, and notes which were computed together."""

    most_rows = 8

    def __init__(self) -> None:
        self.passes: list[list[list[int]]] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.fails = False

    def forward_together(self, segments: Sequence[Segment]) -> list[list[int]]:
        self.passes.append(sorted(list(segment.ids) for segment in segments))
        assert self.may_go.wait(SOON)
        if self.fails:
            raise MemoryError("no memory")
        return [list(segment.ids) for segment in segments]


class Asking(threading.Thread):
    """A thread that asks for one segment."""

    def __init__(
        self, passes: JointPasses, *ids: int, pick: Callable[[Any], object] = list
    ) -> None:
        super().__init__(daemon=True)
        self._passes, self._ids, self._pick = passes, list(ids), pick
        self.done = threading.Event()
        self.scores: object = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            segment = Segment(self._ids, None, 0, len(self._ids))
            self.scores = self._passes.forward(segment, self._pick)
        except (MemoryError, EngineError) as error:
            self.error = error
        self.done.set()

    def has_scores(self) -> bool:
        return self.done.wait(SOON) and self.scores == self._ids

    def waits(self) -> bool:
        return not self.done.wait(NOT_YET)


@pytest.fixture
def decoder() -> NotedPasses:
    return NotedPasses()


@pytest.fixture
def passes(decoder: NotedPasses) -> JointPasses:
    return JointPasses(decoder)


def test_without_announced_steps_a_segment_is_computed_at_once(
    decoder: NotedPasses, passes: JointPasses
) -> None:
    assert Asking(passes, 1, 2).has_scores()
    assert decoder.passes == [[[1, 2]]]


def test_a_pass_waits_for_every_announced_step(decoder: NotedPasses, passes: JointPasses) -> None:
    passes.expect(3)
    first, second = Asking(passes, 1), Asking(passes, 2)
    assert first.waits()
    assert second.waits()
    third = Asking(passes, 3)
    assert all(one.has_scores() for one in (first, second, third))
    assert decoder.passes == [[[1], [2], [3]]]


def test_a_step_that_ends_without_asking_is_waited_for_no_longer(
    decoder: NotedPasses, passes: JointPasses
) -> None:
    passes.expect(2)
    other = Asking(passes, 1)
    assert other.waits()
    passes.ended()  # a cancelled turn, or one whose reply is over
    assert other.has_scores()
    assert decoder.passes == [[[1]]]


def test_a_step_that_asks_twice_goes_on_when_the_others_have_ended(
    decoder: NotedPasses, passes: JointPasses
) -> None:
    passes.expect(2)
    first, second = Asking(passes, 1), Asking(passes, 2)
    assert first.has_scores()
    assert second.has_scores()
    again = Asking(passes, 3)
    assert again.waits()
    passes.ended()
    assert again.has_scores()
    assert decoder.passes == [[[1], [2]], [[3]]]


def test_who_comes_during_a_pass_is_in_the_next_one(
    decoder: NotedPasses, passes: JointPasses
) -> None:
    decoder.may_go.clear()
    first = Asking(passes, 1)
    while not decoder.passes:
        assert first.waits()
    later = [Asking(passes, 2), Asking(passes, 3)]
    assert all(one.waits() for one in later)
    decoder.may_go.set()
    assert all(one.has_scores() for one in (first, *later))
    assert decoder.passes[0] == [[1]]
    assert sorted(ids for one in decoder.passes[1:] for ids in one) == [[2], [3]]


def test_a_pass_has_no_more_rows_than_the_decoder_takes(
    decoder: NotedPasses, passes: JointPasses
) -> None:
    passes.expect(3)
    threads = [Asking(passes, *range(10 * n, 10 * n + 5)) for n in range(3)]
    assert all(thread.has_scores() for thread in threads)
    assert [len(one) for one in decoder.passes] == [1, 1, 1]


def test_an_error_reaches_everybody_in_the_pass_and_nobody_else(
    decoder: NotedPasses, passes: JointPasses
) -> None:
    decoder.fails = True
    passes.expect(2)
    both = [Asking(passes, 1), Asking(passes, 2)]
    for one in both:
        assert one.done.wait(SOON)
        assert isinstance(one.error, MemoryError)
        passes.ended()
    decoder.fails = False
    assert Asking(passes, 3).has_scores()


def test_ids_that_cannot_be_picked_are_the_error_of_their_own_segment_alone(
    passes: JointPasses,
) -> None:
    def refuse(scores: object) -> object:
        raise EngineError(f"the scores {scores} are not finite numbers", "take another precision")

    passes.expect(2)
    broken, other = Asking(passes, 1, pick=refuse), Asking(passes, 2)
    assert other.has_scores()
    assert broken.done.wait(SOON)
    assert isinstance(broken.error, EngineError)


def test_nothing_is_picked_where_no_scores_are_wanted(passes: JointPasses) -> None:
    def refuse(_scores: object) -> object:
        raise AssertionError("there are no scores")

    assert passes.forward(Segment([1], None, 0, 2, wanted=False), refuse) is None


def test_a_thread_that_computed_waits_again_if_its_own_segment_did_not_fit(
    decoder: NotedPasses, passes: JointPasses
) -> None:
    """The last one to ask computes, though the first ones fill the pass."""
    passes.expect(3)
    threads = [Asking(passes, *range(10 * n, 10 * n + 5)) for n in range(2)]
    assert all(thread.waits() for thread in threads)
    threads.append(Asking(passes, 20, 21, 22, 23, 24))
    assert all(thread.has_scores() for thread in threads)
    assert len(decoder.passes) == 3
