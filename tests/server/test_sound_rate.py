from __future__ import annotations

import numpy as np
import pytest

from voicebench.server.resampling import PROTOCOL_RATE, Resampled
from voicebench.server.sound_rate import SoundRate


def tone(rate: int, hertz: float = 440.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    samples: np.ndarray[tuple[int], np.dtype[np.float32]] = (
        0.5 * np.sin(np.arange(rate // 2) * 2 * np.pi * hertz / rate)
    ).astype(np.float32)
    return samples


@pytest.mark.parametrize(
    ("rate", "new_rate"), [(8000, 16_000), (24_000, 16_000), (24_000, 8000), (22_050, 24_000)]
)
def test_a_tone_stays_the_tone_however_it_is_cut(rate: int, new_rate: int) -> None:
    whole = tone(rate)
    stream = SoundRate(rate, new_rate)
    pieces = [stream.feed(piece) for piece in np.array_split(whole, 37)]
    heard = np.concatenate([*pieces, stream.finish()])
    expected = tone(new_rate)
    assert heard.size == pytest.approx(expected.size, abs=2)
    inner = slice(new_rate // 50, expected.size - new_rate // 50)
    np.testing.assert_allclose(heard[inner], expected[inner], atol=0.01)


def test_between_telephone_and_voice_at_most_two_milliseconds_are_kept_back() -> None:
    for rate, new_rate in ((8000, 16_000), (24_000, 16_000), (24_000, 8000)):
        ready = SoundRate(rate, new_rate).feed(tone(rate)[: rate // 50])
        assert ready.size >= new_rate / 50 - 0.002 * new_rate


def test_what_is_above_the_lower_band_is_not_heard_as_another_tone() -> None:
    stream = SoundRate(24_000, 8000)
    heard = stream.feed(tone(24_000, 7000.0))
    assert np.abs(heard[200:]).max() < 0.005


def test_after_its_end_a_new_sound_begins() -> None:
    stream = SoundRate(24_000, 8000)
    first = np.concatenate((stream.feed(tone(24_000)), stream.finish()))
    second = np.concatenate((stream.feed(tone(24_000)), stream.finish()))
    np.testing.assert_array_equal(first, second)


def test_the_same_rate_changes_nothing() -> None:
    stream = SoundRate(24_000, 24_000)
    pcm = tone(24_000)
    assert stream.feed(pcm) is pcm
    assert stream.finish().size == 0


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_over_the_realtime_protocol_at_most_two_milliseconds_are_kept_back(rate: int) -> None:
    sound = Resampled(rate)
    ready = np.frombuffer(sound.feed(tone(rate)[: rate // 10]), "<i2")
    assert ready.size >= PROTOCOL_RATE // 10 - 0.002 * PROTOCOL_RATE
    heard = np.concatenate((ready, np.frombuffer(sound.finish(), "<i2"))) / 32768
    inner = slice(PROTOCOL_RATE // 100, 9 * PROTOCOL_RATE // 100)
    np.testing.assert_allclose(heard[inner], tone(PROTOCOL_RATE)[inner], atol=0.01)
