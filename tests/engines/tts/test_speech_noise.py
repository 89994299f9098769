"""The noise of a voice follows from seed and text alone."""

from __future__ import annotations

import numpy as np
import pytest

from voicebench.engines.tts.speech_noise import seeded_noise


@pytest.mark.parametrize("cuts", [(1, 2, 3), (64,), (63, 129), (200,)])
def test_noise_does_not_depend_on_how_it_is_cut(cuts: tuple[int, ...]) -> None:
    whole = seeded_noise(0, "hello")((300, 5))
    noise = seeded_noise(0, "hello")
    ends = (*cuts, 300)
    parts = [noise((b - a, 5)) for a, b in zip((0, *cuts), ends, strict=True)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert whole.dtype == np.float32


def test_another_text_or_seed_draws_other_numbers() -> None:
    drawn = [
        seeded_noise(seed, text)((4, 2)).tobytes()
        for seed, text in ((0, "hello"), (1, "hello"), (0, "hello!"), (0, "\ud800"))
    ]
    assert len(set(drawn)) == 4


def test_what_is_drawn_is_normal() -> None:
    drawn = seeded_noise(0, "hello")((2000, 50))
    assert abs(drawn.mean()) < 0.02
    assert abs(drawn.std() - 1) < 0.02
