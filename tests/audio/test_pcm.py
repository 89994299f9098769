"""What counts as sound, to the sample, on signals drawn by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicebench.audio.pcm import (
    AudibleRule,
    clipped_samples,
    first_audible_sample,
    from_int16,
    mix_down,
    peak,
    rms,
    to_int16,
)

RATES = [8000, 11025, 16000, 22050, 24000, 44100, 48000]


def silence(ms: float, rate: int = 24000) -> NDArray[np.float32]:
    return np.zeros(int(rate * ms / 1000), dtype=np.float32)


def tone(
    ms: float, rate: int = 24000, hz: float = 440.0, level: float = 0.3
) -> NDArray[np.float32]:
    moments = np.arange(int(rate * ms / 1000)) / rate
    return (level * np.sin(2 * np.pi * hz * moments)).astype(np.float32)


def joined(*parts: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate(parts)


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_from_the_first_sample_gives_zero(rate: int) -> None:
    assert first_audible_sample(tone(100, rate), rate) == 0


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("lead_ms", [1, 5, 20, 30, 33, 250, 1001])
def test_a_tone_after_silence_gives_its_first_sample_on_the_millisecond_grid(
    rate: int, lead_ms: int
) -> None:
    lead = silence(lead_ms, rate)
    assert first_audible_sample(joined(lead, tone(100, rate)), rate) == lead.size


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_between_two_hops_is_found_less_than_a_hop_early_and_never_late(rate: int) -> None:
    hop = rate / 1000
    for lead_samples in range(int(30 * hop), int(32 * hop)):
        lead = np.zeros(lead_samples, dtype=np.float32)
        # A cosine is loud from its very first sample, so that "late" has a sharp meaning.
        loud = (0.3 * np.cos(2 * np.pi * 440 * np.arange(rate // 10) / rate)).astype(np.float32)
        found = first_audible_sample(joined(lead, loud), rate)
        assert found is not None
        assert lead_samples - hop < found <= lead_samples


def test_silence_is_not_sound() -> None:
    assert first_audible_sample(silence(2000), 24000) is None


@pytest.mark.parametrize("offset", [1.0, 0.5, -0.05, 0.011])
def test_a_constant_offset_is_not_sound(offset: float) -> None:
    pcm = np.full(24000, offset, dtype=np.float32)
    assert first_audible_sample(pcm, 24000) is None


def test_an_offset_that_begins_in_mid_signal_is_not_sound() -> None:
    step = np.full(12000, 0.05, dtype=np.float32)
    assert first_audible_sample(joined(silence(500), step), 24000) is None


@pytest.mark.parametrize("offset", [0.2, -0.02])
@pytest.mark.parametrize("lead_ms", [5, 40])
def test_a_tone_on_an_offset_is_found_where_the_tone_begins(offset: float, lead_ms: int) -> None:
    pcm = joined(silence(lead_ms), tone(100)) + np.float32(offset)
    assert first_audible_sample(pcm, 24000) == lead_ms * 24


@pytest.mark.parametrize("rate", RATES)
def test_a_click_of_five_milliseconds_is_not_sound(rate: int) -> None:
    click = tone(5, rate, hz=1000, level=1.0)
    assert first_audible_sample(joined(silence(50, rate), click, silence(200, rate)), rate) is None


def test_a_click_before_speech_does_not_move_the_onset() -> None:
    click = tone(5, hz=1000, level=1.0)
    pcm = joined(silence(50), click, silence(45), tone(200))
    assert first_audible_sample(pcm, 24000) == 100 * 24


def test_a_click_at_the_very_head_is_not_sound() -> None:
    click = tone(5, hz=1000, level=1.0)
    assert first_audible_sample(joined(click, silence(300)), 24000) is None


def test_sound_has_to_stay_for_twenty_hops() -> None:
    # A burst of w ms is seen by w + 9 frames of 10 ms at 1 ms hops: 10 ms give 19, 12 ms give 21.
    def burst(ms: float) -> NDArray[np.float32]:
        return joined(silence(100), tone(ms, hz=2000, level=0.5), silence(100))

    assert first_audible_sample(burst(10), 24000) is None
    assert first_audible_sample(burst(12), 24000) == 100 * 24


def test_a_tone_under_the_threshold_is_not_sound_and_one_above_it_is() -> None:
    # RMS of a sine is its level / sqrt(2): 0.0135 gives 0.0095, 0.0150 gives 0.0106.
    assert first_audible_sample(tone(500, hz=1000, level=0.0135), 24000) is None
    assert first_audible_sample(tone(500, hz=1000, level=0.0150), 24000) == 0


def test_noise_under_the_threshold_before_speech_is_not_sound() -> None:
    hiss = np.random.default_rng(7).normal(0, 0.002, 24 * 120).astype(np.float32)
    assert first_audible_sample(joined(hiss, tone(200)), 24000) == 120 * 24


def test_a_slow_fade_in_is_heard_when_it_crosses_the_threshold_not_when_it_starts() -> None:
    swelling = tone(1000, hz=1000, level=1.0) * np.linspace(0, 0.1, 24000, dtype=np.float32)
    found = first_audible_sample(swelling, 24000)
    # RMS 0.01 means level 0.0141, which the swell reaches after 141 ms.
    assert found is not None
    assert 135 * 24 <= found <= 150 * 24


@pytest.mark.parametrize("samples", [0, 1, 10, 239, 240, 28 * 24])
def test_a_signal_too_short_to_be_heard_is_not_sound(samples: int) -> None:
    assert first_audible_sample(np.ones(samples, dtype=np.float32), 24000) is None
    assert first_audible_sample(tone(100)[:samples], 24000) is None


def test_the_shortest_audible_signal_is_a_frame_and_nineteen_hops() -> None:
    assert first_audible_sample(tone(29), 24000) == 0


def test_samples_that_are_no_numbers_are_silence() -> None:
    pcm = joined(np.full(2400, np.nan, dtype=np.float32), tone(100))
    pcm[5] = np.inf
    assert first_audible_sample(pcm, 24000) == 2400


def test_the_constants_of_the_rule_are_used() -> None:
    quiet = joined(silence(50), tone(200, level=0.01))
    assert first_audible_sample(quiet, 24000) is None
    assert first_audible_sample(quiet, 24000, AudibleRule(threshold=0.001)) == 50 * 24
    short = joined(silence(50), tone(40), silence(200))
    assert first_audible_sample(short, 24000, AudibleRule(min_ms=60)) is None


def test_sound_late_in_a_long_signal_is_found_in_spite_of_a_large_offset() -> None:
    pcm = joined(silence(59_000, 48000), tone(1000, 48000, level=0.03)) + np.float32(0.9)
    found = first_audible_sample(pcm, 48000)
    assert found == 59_000 * 48


@pytest.mark.slow
@given(st.integers(0, 400), st.sampled_from(RATES), st.floats(0.1, 1.0))
def test_the_answer_does_not_depend_on_what_comes_after_the_run(
    lead_ms: int, rate: int, level: float
) -> None:
    head = joined(silence(lead_ms, rate), tone(60, rate, level=level))
    alone = first_audible_sample(head, rate)
    followed = first_audible_sample(joined(head, np.ones(rate, dtype=np.float32)), rate)
    assert alone == followed


def test_peak_and_rms_of_a_full_sine() -> None:
    full = tone(1000, hz=1000, level=1.0)
    assert peak(full) == pytest.approx(1.0, abs=1e-6)
    assert rms(full) == pytest.approx(np.sqrt(0.5), abs=1e-4)
    assert peak(-full) == peak(full)


def test_peak_and_rms_of_no_samples_are_zero() -> None:
    nothing = np.zeros(0, dtype=np.float32)
    assert peak(nothing) == 0.0
    assert rms(nothing) == 0.0
    assert clipped_samples(nothing) == 0


def test_clipped_samples_are_those_at_either_rail() -> None:
    pcm = np.array([0.5, 1.0, -1.0, 1.5, 32767 / 32768, 32766 / 32768], dtype=np.float32)
    assert clipped_samples(pcm) == 4


def test_every_int16_value_survives_the_round_trip() -> None:
    values = np.arange(-32768, 32768, dtype=np.int16)
    assert np.array_equal(to_int16(from_int16(values)), values)
    assert from_int16(values).dtype == np.float32


def test_int16_clips_rounds_and_takes_no_number_as_silence() -> None:
    pcm = np.array([1.0, -1.0, 2.0, -2.0, np.nan, np.inf, -np.inf, 0.6 / 32768], dtype=np.float32)
    expected = [32767, -32768, 32767, -32768, 0, 32767, -32768, 1]
    assert to_int16(pcm).tolist() == expected


def test_mixing_down_is_the_mean_of_the_channels() -> None:
    frames = np.array([[0.5, 0.1], [1.0, -1.0], [0.2, 0.2]], dtype=np.float32)
    assert mix_down(frames) == pytest.approx([0.3, 0.0, 0.2])
    assert mix_down(frames).dtype == np.float32
    assert mix_down(frames[:, :1]) == pytest.approx([0.5, 1.0, 0.2])


@pytest.mark.parametrize("lead_ms", range(2028, 2060, 3))
def test_sound_across_the_seam_of_two_blocks_is_found_where_it_begins(lead_ms: int) -> None:
    assert first_audible_sample(joined(silence(lead_ms), tone(60)), 24000) == lead_ms * 24


def test_looking_for_the_first_sound_imports_nothing() -> None:
    """An import would take longer than the rest of a first turn's search."""
    program = (
        "import sys, numpy as np\n"
        "from voicebench.audio.pcm import first_audible_sample\n"
        "before = set(sys.modules)\n"
        "sound = np.concatenate((np.zeros(2400), np.tile([0.5, -0.5], 1200))).astype(np.float32)\n"
        "assert first_audible_sample(sound, 24000) is not None\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
