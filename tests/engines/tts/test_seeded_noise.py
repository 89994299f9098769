"""The noise of a voice follows from seed and text alone."""

from __future__ import annotations

import numpy as np
import pytest

from voicebench.engines.tts.seeded_noise import BLOCK, SeededNoise


@pytest.mark.parametrize("cuts", [(1, 2, 3), (BLOCK,), (BLOCK - 1, 2 * BLOCK + 1), (200,)])
def test_windows_have_no_say_in_what_is_drawn(cuts: tuple[int, ...]) -> None:
    whole = SeededNoise(0, "hello").for_frames(300, 5)
    noise = SeededNoise(0, "hello")
    ends = (*cuts, 300)
    parts = [noise.for_frames(b - a, 5) for a, b in zip((0, *cuts), ends, strict=True)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert whole.dtype == np.float32


def test_another_text_or_seed_draws_other_numbers() -> None:
    drawn = [
        SeededNoise(seed, text).for_durations(4).tobytes()
        for seed, text in ((0, "hello"), (1, "hello"), (0, "hello!"), (0, "\ud800"))
    ]
    assert len(set(drawn)) == 4


def test_what_is_drawn_is_normal() -> None:
    drawn = SeededNoise(0, "hello").for_frames(2000, 50)
    assert abs(drawn.mean()) < 0.02
    assert abs(drawn.std() - 1) < 0.02


def test_the_next_sentence_begins_with_noise_of_its_own() -> None:
    noise, other = SeededNoise(0, "two sentences"), SeededNoise(0, "two sentences")
    for one, frames in ((noise, 3), (other, BLOCK)):
        one.for_durations(7)
        one.for_frames(frames, 5)
        one.for_durations(7)
    assert np.array_equal(noise.for_frames(10, 5), other.for_frames(10, 5))
