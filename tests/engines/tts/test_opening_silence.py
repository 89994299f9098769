"""The silence before a reply's first sound is left out, whatever the windows, and no sound is."""

from __future__ import annotations

import numpy as np
import pytest

from voicebench.audio.pcm import first_audible_sample
from voicebench.engines.tts.opening_silence import BEFORE_SOUND_MS, OpeningTrimmer

RATE = 16_000


def tone(ms: float, level: float = 0.3) -> np.ndarray:
    at = np.arange(round(ms / 1000 * RATE)) / RATE
    return (level * np.sin(2 * np.pi * 200 * at)).astype(np.float32)


def hiss(ms: float, level: float = 0.002) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(round(ms / 1000 * RATE))
    return (level * noise).astype(np.float32)


def heard(pcm: np.ndarray, window: int) -> tuple[np.ndarray, OpeningTrimmer]:
    opening = OpeningTrimmer(RATE)
    parts = [opening.take(pcm[at : at + window]) for at in range(0, pcm.size, window)]
    return np.concatenate(parts), opening


@pytest.mark.parametrize("window", [7, 80, 160, 333, 1000, 10_000])
def test_a_reply_begins_just_before_its_first_sound(window: int) -> None:
    pcm = np.concatenate([hiss(63), tone(200)])
    out, opening = heard(pcm, window)
    assert opening.sounding
    np.testing.assert_array_equal(out, pcm[pcm.size - out.size :])  # whole from there on
    assert opening.trimmed_ms == pytest.approx((pcm.size - out.size) / RATE * 1000)
    kept_before = (out.size - tone(200).size) / RATE * 1000
    assert BEFORE_SOUND_MS - 2 <= kept_before <= BEFORE_SOUND_MS + 3
    onset = first_audible_sample(out, RATE)
    assert onset is not None
    assert onset / RATE * 1000 <= BEFORE_SOUND_MS + 3


def test_a_reply_that_begins_with_sound_loses_nothing() -> None:
    out, opening = heard(tone(100), 400)
    assert out.size == tone(100).size
    assert opening.trimmed_ms == 0


def test_pauses_after_the_first_sound_stay() -> None:
    pcm = np.concatenate([tone(100), hiss(300), tone(100)])
    out, _ = heard(pcm, 160)
    assert out.size == pcm.size


def test_a_silent_reply_gives_nothing_and_holds_little_back() -> None:
    opening = OpeningTrimmer(RATE)
    for _ in range(50):
        assert opening.take(hiss(100)).size == 0
    assert not opening.sounding
    assert opening.trimmed_ms > 4900
    assert opening._unsure.size < RATE / 10


def test_a_soft_consonant_before_the_vowel_is_not_cut() -> None:
    pcm = np.concatenate([hiss(50), hiss(30, level=0.02), tone(100)])
    out, _ = heard(pcm, 200)
    assert out.size >= tone(100).size + hiss(30).size


@pytest.mark.parametrize("window", [160, 700, 10_000])
def test_nothing_is_left_out_from_the_first_phoneme_on(window: int) -> None:
    pcm = np.concatenate([hiss(70), hiss(46, level=0.004), tone(100)])  # the breath of "he"
    opening = OpeningTrimmer(RATE)
    opening.expect(first_phoneme_ms=70)
    out = np.concatenate([opening.take(pcm[at : at + window]) for at in range(0, pcm.size, window)])
    assert 0 <= out.size - (hiss(46).size + tone(100).size) <= 20 / 1000 * RATE
    np.testing.assert_array_equal(out, pcm[pcm.size - out.size :])


def test_sound_before_the_expected_phoneme_is_kept() -> None:
    pcm = np.concatenate([hiss(20), tone(200)])
    opening = OpeningTrimmer(RATE)
    opening.expect(first_phoneme_ms=90)
    assert opening.take(pcm).size >= tone(200).size


def test_a_silent_reply_is_given_out_from_where_its_first_phoneme_should_be() -> None:
    opening = OpeningTrimmer(RATE)
    opening.expect(first_phoneme_ms=50)
    out = np.concatenate([opening.take(hiss(100)) for _ in range(3)])
    assert out.size >= hiss(250).size
