"""What the sound device gets, block by block, and how holes in it are counted."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicebench.audio.playout import Filled, Playout


def samples(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def next_block(playout: Playout, frames: int) -> tuple[list[float], Filled]:
    block = np.full(frames, 9.0, dtype=np.float32)
    filled = playout.fill(block)
    return block.tolist(), filled


def test_there_is_silence_before_the_first_sample_and_it_is_no_gap() -> None:
    playout = Playout(100)
    assert next_block(playout, 3) == ([0, 0, 0], Filled(0, False))
    playout.put(samples(1, 2), 0)
    next_block(playout, 2)
    assert (playout.gaps, playout.gap_samples) == (0, 0)


def test_chunks_are_cut_into_blocks_and_joined_without_a_seam() -> None:
    playout = Playout(100)
    playout.put(samples(1, 2, 3), 0)
    playout.put(samples(4), 0)
    playout.put(samples(5, 6), 0)
    assert next_block(playout, 2) == ([1, 2], Filled(2, False))
    assert playout.waiting == 4
    assert next_block(playout, 4) == ([3, 4, 5, 6], Filled(4, False))
    assert playout.taken == 6


def test_the_block_that_takes_the_last_sample_is_the_last() -> None:
    playout = Playout(100)
    playout.put(samples(1, 2, 3), 0)
    playout.close()
    assert next_block(playout, 2) == ([1, 2], Filled(2, False))
    assert next_block(playout, 2) == ([3, 0], Filled(1, True))
    assert next_block(playout, 2) == ([0, 0], Filled(0, True))
    assert (playout.gaps, playout.gap_samples) == (0, 0)


def test_silence_between_two_chunks_is_one_gap_however_many_blocks_it_lasts() -> None:
    playout = Playout(100)
    playout.put(samples(1), 0)
    next_block(playout, 3)
    next_block(playout, 3)
    assert playout.gaps == 0
    playout.put(samples(2, 3, 4), 0)
    next_block(playout, 3)
    assert (playout.gaps, playout.gap_samples) == (1, 5)
    next_block(playout, 2)
    playout.put(samples(5), 0)
    next_block(playout, 1)
    assert (playout.gaps, playout.gap_samples) == (2, 7)


def test_silence_after_the_last_sample_is_no_gap_even_if_the_end_is_told_late() -> None:
    playout = Playout(100)
    playout.put(samples(1), 0)
    next_block(playout, 4)
    next_block(playout, 4)
    playout.close()
    assert next_block(playout, 4) == ([0, 0, 0, 0], Filled(0, True))
    assert (playout.gaps, playout.gap_samples) == (0, 0)


def test_what_is_cleared_is_never_heard_and_what_comes_after_is_dropped() -> None:
    playout = Playout(100)
    playout.put(samples(1, 2, 3), 0)
    next_block(playout, 1)
    playout.clear()
    assert playout.put(samples(4), 0)
    assert next_block(playout, 2) == ([0, 0], Filled(0, True))
    assert playout.taken == 1


def test_the_synthesizer_may_reuse_its_buffer() -> None:
    playout = Playout(100)
    buffer = samples(1, 2)
    playout.put(buffer, 0)
    buffer[:] = 7
    assert next_block(playout, 2)[0] == [1, 2]


def test_a_full_queue_takes_nothing_until_there_is_room() -> None:
    playout = Playout(2)
    assert playout.put(samples(1, 2, 3), 0)
    assert not playout.put(samples(4), 0)
    next_block(playout, 1)
    assert not playout.put(samples(4), 0)
    next_block(playout, 1)
    assert playout.put(samples(4), 0)
    assert next_block(playout, 2)[0] == [3, 4]


@pytest.mark.parametrize("release", [lambda playout: next_block(playout, 2), Playout.clear])
def test_a_writer_that_waits_goes_on_when_there_is_room_or_all_is_cleared(
    release: Callable[[Playout], object],
) -> None:
    playout = Playout(1)
    playout.put(samples(1, 2), 0)
    done: list[bool] = []
    writer = threading.Thread(target=lambda: done.append(playout.put(samples(3), 30)))
    writer.start()
    release(playout)
    writer.join(30)
    assert done == [True]


@pytest.mark.slow
@given(
    st.lists(st.lists(st.floats(-1, 1, width=32), max_size=7), max_size=8),
    st.lists(st.integers(1, 9), min_size=1, max_size=8),
)
def test_nothing_is_lost_nothing_comes_twice_whatever_the_sizes(
    chunks: list[list[float]], blocks: list[int]
) -> None:
    playout = Playout(1000)
    for chunk in chunks:
        playout.put(samples(*chunk), 0)
    playout.close()
    heard: list[float] = []
    ended, turn = False, 0
    while not ended:
        block, filled = next_block(playout, blocks[turn % len(blocks)])
        heard += block[: filled.samples]
        ended, turn = filled.is_last, turn + 1
    assert heard == samples(*(value for chunk in chunks for value in chunk)).tolist()
