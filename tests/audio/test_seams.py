"""Clicks at seams: a jump is one, a steep consonant and a piece that fits are none."""

from __future__ import annotations

import numpy as np
import pytest

from voicebench.audio.seams import count_clicks

RATE = 16_000
TONE = (0.5 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)).astype(np.float32)


@pytest.mark.parametrize("sizes", [[16_000], [4_000] * 4, [1] * 100 + [15_900]])
def test_pieces_of_one_tone_fit(sizes: list[int]) -> None:
    assert count_clicks(TONE, sizes, RATE) == 0


def test_a_jump_in_a_tone_is_a_click() -> None:
    broken = TONE.copy()
    broken[4_000:] = -np.roll(TONE, 18)[4_000:]
    assert abs(float(broken[4_000]) - float(broken[3_999])) > 0.3
    assert count_clicks(broken, [4_000, 12_000], RATE) == 1


def test_a_jump_that_is_no_seam_is_the_voices_own() -> None:
    broken = TONE.copy()
    broken[4_000:] *= -1
    assert count_clicks(broken, [2_000, 14_000], RATE) == 0


def test_noise_as_in_a_consonant_does_not_click() -> None:
    hiss = np.random.default_rng(1).uniform(-0.4, 0.4, 8_000).astype(np.float32)
    assert count_clicks(hiss, [1_000] * 8, RATE) == 0


def test_a_small_step_in_silence_is_none() -> None:
    quiet = np.zeros(2_000, dtype=np.float32)
    quiet[1_000:] = 0.04
    assert count_clicks(quiet, [1_000, 1_000], RATE) == 0
    quiet[1_000:] = 0.06
    assert count_clicks(quiet, [1_000, 1_000], RATE) == 1


def test_no_audio_has_no_seam() -> None:
    assert count_clicks(np.zeros(0, dtype=np.float32), [], RATE) == 0
