"""Speech is told from noise, from a tone, and from bytes that were read in another encoding."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from misread import Samples, as_16_bit, in_base64, stored

from voicebench.audio.encodings import PcmEncoding, decode_pcm
from voicebench.audio.hearing import Hearing, hear, unlike_speech
from voicebench.audio.misreading import in_words
from voicebench.audio.pcm import first_audible_sample, peak
from voicebench.audio.synthetic_voice import synthetic_voice

RATE = 16_000
VOICE = synthetic_voice(2 * RATE, RATE)
RATES = (4000, 8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000)


def heard(pcm: Samples, rate: int = RATE) -> Hearing:
    return hear(pcm, rate, first_audible_sample(pcm, rate))


def fault(pcm: Samples, rate: int = RATE) -> str | None:
    return unlike_speech(heard(pcm, rate), peak(pcm))


def noise(seconds: float, slope: float = 0.0, rate: int = RATE, level: float = 0.1) -> Samples:
    """Return noise whose power falls with the frequency by ``slope``: 0 white, 1 pink, 2 brown."""
    drawn = np.fft.rfft(np.random.default_rng(7).standard_normal(round(seconds * rate)))
    hertz = np.maximum(np.fft.rfftfreq(round(seconds * rate), 1 / rate), 20)
    colored = np.fft.irfft(drawn * hertz ** (-slope / 2), round(seconds * rate))
    return np.asarray(colored * level / colored.std(), np.float32)


def tone(seconds: float, hertz: float, overtones: int = 1, rate: int = RATE) -> Samples:
    at = np.arange(round(seconds * rate)) / rate
    waves = [np.sin(2 * np.pi * hertz * k * at) / k for k in range(1, overtones + 1)]
    return np.asarray(0.2 * np.sum(waves, axis=0), np.float32)


# What speaks.


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [0.1, 0.3, 1.0, 4.0])
def test_a_voice_is_speech_at_every_rate(rate: int, seconds: float) -> None:
    assert fault(synthetic_voice(round(seconds * rate), rate), rate) is None


HARM: dict[str, Callable[[Samples], Samples]] = {
    "quiet": lambda voice: voice / np.float32(8),
    "loud": lambda voice: voice / voice.max(),
    "clipped by 30 dB": lambda voice: np.clip(100 * voice, -1, 1),
    "of 8 bits": lambda voice: np.rint(voice * np.float32(127)) / np.float32(128),
    "over the telephone": lambda voice: decode_pcm(stored(voice, "mulaw"), "mulaw"),
    "over a European telephone": lambda voice: decode_pcm(stored(voice, "alaw"), "alaw"),
    "with a chord behind it": lambda voice: voice + tone(2, 220, 5) / np.float32(3),
    "in pink noise 10 dB below": lambda voice: voice + noise(2, 1, level=0.02),
    "in white noise 10 dB below": lambda voice: voice + noise(2, 0, level=0.02),
    "after a second of silence": lambda voice: np.concatenate([0 * voice[:RATE], voice]),
    "with long pauses": lambda voice: np.concatenate([voice[:9000], 0 * voice, voice[:9000]]),
    "with an offset": lambda voice: voice + np.float32(0.2),
    "whose samples were doubled": lambda voice: np.repeat(voice, 2),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
@pytest.mark.parametrize("in_16_bits", [True, False])
def test_a_voice_stays_speech(harm: Callable[[Samples], Samples], in_16_bits: bool) -> None:
    voice = harm(VOICE).astype(np.float32)
    pcm = as_16_bit(stored(np.clip(voice, -1, 1), "s16le")) if in_16_bits else voice
    assert fault(pcm) is None


@settings(max_examples=40, deadline=None)
@given(
    gain=st.floats(0.1, 30),
    begin=st.integers(0, 30_000),
    length=st.integers(100, 32_000),
    hiss=st.floats(0, 0.02),
    rate=st.sampled_from(RATES),
)
def test_a_voice_is_speech_however_loud_and_wherever_it_is_cut(
    gain: float, begin: int, length: int, hiss: float, rate: int
) -> None:
    voice = synthetic_voice(begin + length, rate)[begin:]
    drawn = np.random.default_rng(1).standard_normal(voice.size)
    pcm = np.clip(gain * (voice + hiss * drawn * voice.std()), -1, 1).astype(np.float32)
    assert fault(as_16_bit(stored(pcm, "s16le")), rate) is None


# What does not speak.


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("slope", [-1, 0, 1, 2])
def test_noise_of_any_colour_is_no_speech(slope: float, rate: int) -> None:
    assert "not speech" in (fault(noise(1.0, slope, rate), rate) or "")


@pytest.mark.parametrize("level", [0.03, 0.3, 0.9])
def test_white_noise_is_called_noise_however_loud(level: float) -> None:
    said = fault(np.clip(noise(0.5, level=level), -1, 1))
    assert said is not None
    assert said.startswith("the audio is noise, not speech (spectral flatness -1.")


SOUNDS = {
    "a tone": tone(1, 440),
    "a high tone": tone(1, 3000),
    "a hum": tone(1, 50, 10),
    "a square wave": np.sign(tone(1, 300)) / np.float32(4),
    "a chord": tone(1, 220, 4) + tone(1, 277, 4) + tone(1, 330, 4),
    "a hum in noise": tone(1, 50, 10) + noise(1.0, 1, level=0.05),
    "a buzz": np.where(np.arange(RATE) % 80 < 4, 0.8, 0).astype(np.float32),
}


@pytest.mark.parametrize("sound", SOUNDS.values(), ids=SOUNDS)
def test_one_unchanging_sound_is_no_speech(sound: Samples) -> None:
    assert "one unchanging sound, not speech" in (fault(sound) or "")


@pytest.mark.parametrize("sound", [noise(0.15), tone(0.5, 440)])
def test_of_too_little_sound_nothing_is_said(sound: Samples) -> None:
    assert fault(sound) is None


def test_a_stream_that_turns_into_noise_half_way_is_no_speech() -> None:
    raw = stored(synthetic_voice(4 * RATE, RATE), "s16le")
    lost = 2 * RATE * 2  # the byte that is lost, after two seconds
    pcm = as_16_bit(raw[:lost] + raw[lost + 1 :])
    assert "noise, not speech" in (fault(pcm) or "")
    assert heard(pcm).noise_s > 1.9
    assert fault(pcm[: 2 * RATE + RATE // 8]) is None
    quiet_noise = np.concatenate([VOICE, noise(2, level=0.05)])
    assert fault(quiet_noise) == "a part of the audio is noise, not speech"


def test_hiss_between_the_words_is_no_stretch_of_noise() -> None:
    pcm = np.concatenate([VOICE, 0 * VOICE, VOICE]) + noise(6, level=0.015)
    assert heard(pcm).noise_s == 0


# What was read in another encoding.

OTHERS = [encoding for encoding in get_args(PcmEncoding) if encoding != "s16le"]
SAID = {
    "s24be": ("24-bit",),
    "s32le": ("more than 16 bits",),
    "s32be": ("more than 16 bits", "noise"),
    "f32be": ("more than 16 bits", "noise"),
}
"""What is said of encodings that are not looked for by name; of all others: their own words."""


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000])
@pytest.mark.parametrize("encoding", OTHERS)
def test_samples_of_another_encoding_are_named(encoding: PcmEncoding, rate: int) -> None:
    pcm = as_16_bit(stored(synthetic_voice(rate, rate), encoding))
    said = fault(pcm, rate)
    assert said is not None
    assert any(words in said for words in SAID.get(encoding, (in_words(encoding),)))


@pytest.mark.parametrize("read_as", ["s16be", "u8", "mulaw", "alaw"])
def test_16_bit_samples_that_are_read_as_something_else_are_named(read_as: PcmEncoding) -> None:
    said = fault(decode_pcm(stored(VOICE, "s16le"), read_as))
    assert said is not None
    assert "16-bit integers" in said


@pytest.mark.parametrize(
    ("stored_as", "read_as", "said"),
    [
        ("s16le", "s32le", "16-bit integers"),
        ("f32le", "s32le", "32-bit floats"),
    ],
)
def test_samples_that_are_read_as_wider_ones_are_named(
    stored_as: PcmEncoding, read_as: PcmEncoding, said: str
) -> None:
    raw = stored(VOICE, stored_as)
    read = decode_pcm(raw[: len(raw) // 12 * 12], read_as)
    assert said in (fault(read) or "")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (((VOICE + 1) * 32767).astype("<u2").tobytes(), "unsigned 16-bit integers"),
        (VOICE.astype("<f2").tobytes(), "16-bit floats"),
        ((VOICE * 32767).astype("<f4").tobytes(), "32-bit floats"),
        ((VOICE * 32767).astype("<i4").tobytes(), "two channels"),
    ],
    ids=["unsigned", "half floats", "floats of the scale of integers", "short integers in 32 bits"],
)
def test_samples_of_no_usual_encoding_are_no_speech(raw: bytes, said: str) -> None:
    assert said in (fault(as_16_bit(raw)) or "")


def test_a_stream_that_is_off_by_a_byte_is_named() -> None:
    assert "other byte order" in (fault(as_16_bit(b"\x00" + stored(VOICE, "s16le"))) or "")


@pytest.mark.parametrize(
    "raw",
    [in_base64(VOICE), stored(VOICE, "s16le").hex().encode(), b'{"pcm": [0.1, 0.2]}' * 900],
    ids=["base64", "hexadecimal", "JSON"],
)
def test_text_is_named(raw: bytes) -> None:
    assert "look like text" in (fault(as_16_bit(raw)) or "")


def test_compressed_bytes_are_noise() -> None:
    assert "noise, not speech" in (fault(as_16_bit(zlib.compress(stored(VOICE, "s16le")))) or "")


def test_32_bit_integers_that_hold_16_bits_are_no_speech_though_they_sound_like_it() -> None:
    halves = np.stack([0 * VOICE, VOICE], axis=1).reshape(-1)
    assert "more than 16 bits" in (fault(as_16_bit(stored(halves, "s16le"))) or "")


@pytest.mark.parametrize(
    "other",
    [VOICE * 0.6, VOICE * 0.3, VOICE + noise(2, level=0.002), 0 * VOICE],
    ids=["quieter", "much quieter", "a little different", "silent"],
)
def test_two_channels_in_turn_are_no_speech_though_they_sound_like_it(other: Samples) -> None:
    both = np.stack([VOICE, other], axis=1).reshape(-1)
    assert fault(as_16_bit(stored(both, "s16le"))) is not None


def test_of_samples_that_come_twice_there_is_a_remark_and_no_verdict() -> None:
    doubled = np.repeat(VOICE, 2)
    assert fault(doubled) is None
    assert heard(doubled).doubled
    assert not heard(VOICE).doubled
    assert not heard(0 * VOICE + noise(0.5)[:1].repeat(VOICE.size)).doubled


def test_a_rate_that_was_raised_by_interpolation_leaves_speech() -> None:
    at = np.arange(2 * VOICE.size - 1) / 2
    smooth = np.interp(at, np.arange(VOICE.size), VOICE).astype(np.float32)
    assert fault(smooth, 2 * RATE) is None


@pytest.mark.parametrize("scale", [32_768, 100])
def test_samples_far_beyond_full_scale_are_no_speech(scale: float) -> None:
    assert "times full scale" in (fault((VOICE * scale).astype(np.float32)) or "")


def test_16_bit_samples_that_are_read_as_floats_are_no_speech() -> None:
    with np.errstate(all="ignore"):
        pcm = np.nan_to_num(decode_pcm(stored(VOICE, "s16le"), "f32le"), nan=0, posinf=9, neginf=9)
        assert fault(pcm) is not None


@pytest.mark.parametrize("wild", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_no_speech(wild: float) -> None:
    pcm = VOICE.copy()
    pcm[5000] = wild
    assert fault(pcm) is not None


def test_every_form_has_words() -> None:
    assert all(in_words(form) for form in (*get_args(PcmEncoding), "text", "stereo", "wide"))


@pytest.mark.parametrize("samples", [0, 1, 15, 100, 2000])
def test_next_to_nothing_is_nothing(samples: int) -> None:
    assert unlike_speech(hear(VOICE[:samples], RATE, 0), 0.3) is None
    assert hear(VOICE, RATE, None) == Hearing()
