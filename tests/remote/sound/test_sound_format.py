"""What an answer's head says of raw samples, in the words of real servers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from encoded_sound import voiced
from misread import stored

from voicebench.audio.encodings import PcmEncoding
from voicebench.remote.failure import RemoteError
from voicebench.remote.sound.sound_format import RawSound, SoundFormat, describe_raw
from voicebench.remote.sound.sound_stream import SoundStream

AUTO = SoundFormat()


def described(head: str, declared: SoundFormat = AUTO, **headers: str) -> RawSound:
    """Read a content type with its parameters, and headers written with underscores."""
    kind, *rest = (part.strip() for part in head.split(";"))
    parameters = dict(part.lower().split("=") for part in rest)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return describe_raw(declared, kind.lower(), parameters, named)


@pytest.mark.parametrize(
    ("head", "raw"),
    [
        ("audio/pcm; rate=24000", ("s16le", 24_000, 1)),
        ("audio/L16;rate=24000;channels=2", ("s16be", 24_000, 2)),
        ("audio/L16;codec=pcm;rate=24000", ("s16be", 24_000, 1)),
        ("audio/l16;rate=24000;endianness=little-endian", ("s16le", 24_000, 1)),
        ("audio/x-l16; sample-rate=16000; channel-count=1", ("s16be", 16_000, 1)),
        ("audio/L8; rate=11025", ("u8", 11_025, 1)),
        ("audio/L24; rate=48000; channels=2", ("s24be", 48_000, 2)),
        ("audio/basic", ("mulaw", 8000, 1)),
        ("audio/basic; rate=16000", ("mulaw", 16_000, 1)),
        ("audio/PCMA", ("alaw", 8000, 1)),
        ("audio/mulaw; rate=8000", ("mulaw", 8000, 1)),
        ("audio/pcm_f32le; rate=24000", ("f32le", 24_000, 1)),
        ("audio/pcm;encoding=alaw;rate=8000", ("alaw", 8000, 1)),
        ("audio/pcm;encoding=s16le;rate=48000", ("s16le", 48_000, 1)),
        (
            "audio/pcm;encoding=float;bits=32;channels=1;big-endian=false;rate=44100",
            ("f32le", 44_100, 1),
        ),
        ("audio/pcm;encoding=signed-integer;bits=16;rate=16000", ("s16le", 16_000, 1)),
        (
            "audio/lpcm; sample-rate=8000; sample-size-bits=16; channel-count=1; "
            "is-big-endian=false",
            ("s16le", 8000, 1),
        ),
        ("audio/pcm; rate=24000; bits=24", ("s24le", 24_000, 1)),
        ("audio/pcm; rate=24000; encoding=float", ("f32le", 24_000, 1)),
        ("audio/pcm; rate=24000; encoding=float; bits=64", ("f64le", 24_000, 1)),
        ("audio/pcm; rate=24000; bits=16; endianness=big-endian", ("s16be", 24_000, 1)),
        ("audio/pcm; rate=24000; sample_format=f32le", ("f32le", 24_000, 1)),
        ("audio/pcm; Sample-Rate=24000; dtype=float32; num_channels=2", ("f32le", 24_000, 2)),
    ],
)
def test_a_content_type_says_what_the_samples_are(
    head: str, raw: tuple[PcmEncoding, int, int]
) -> None:
    assert described(head) == RawSound(*raw)


@pytest.mark.parametrize(
    ("headers", "raw"),
    [
        ({"x_sample_rate": "22050", "x_channels": "2"}, ("s16le", 22_050, 2)),
        (
            {"x_audio_sample_rate": "24000", "x_audio_channels": "1", "x_audio_bit_depth": "16"},
            ("s16le", 24_000, 1),
        ),
        ({"sample_rate": "16000", "x_bits_per_sample": "24"}, ("s24le", 16_000, 1)),
        ({"x_sample_rate": "24000", "x_sample_width": "2"}, ("s16le", 24_000, 1)),
        ({"x_sample_rate": "16000", "x_pcm_format": "s16be"}, ("s16be", 16_000, 1)),
        (
            {
                "x_audio_codec": "pcm_f32le",
                "x_audio_sample_rate": "24000",
                "x_audio_endian": "little",
            },
            ("f32le", 24_000, 1),
        ),
        ({"x_sample_rate": "24000", "x_audio_format": "wav"}, ("s16le", 24_000, 1)),
        ({"x_samplerate": "24000", "channels": "2"}, ("s16le", 24_000, 2)),
        ({"x_audio_rate": "24000", "x_audio_channel_count": "2"}, ("s16le", 24_000, 2)),
        ({"audio_sample_rate": "24000", "x_number_of_channels": "2"}, ("s16le", 24_000, 2)),
        ({"x_tts_sample_rate": "24000", "x_bits": "24"}, ("s24le", 24_000, 1)),
        ({"x_sampling_rate": "24000", "x_sample_format": "f32le"}, ("f32le", 24_000, 1)),
        # What is about something else.
        (
            {"sample_rate": "24000", "x_rate": "slow", "rate": "2", "bits": "9", "format": "f32le"},
            ("s16le", 24_000, 1),
        ),
        (
            {"sample_rate": "24000", "content_encoding": "alaw", "transfer_encoding": "f32le"},
            ("s16le", 24_000, 1),
        ),
    ],
)
def test_headers_say_what_the_samples_are(
    headers: dict[str, Any], raw: tuple[PcmEncoding, int, int]
) -> None:
    assert described("audio/pcm", **headers) == RawSound(*raw)
    assert described("application/octet-stream", **headers) == RawSound(*raw)


def test_the_encoding_of_the_settings_goes_before_all_others() -> None:
    declared = SoundFormat(encoding="s16le")
    assert described("audio/L16; rate=24000; bits=24", declared).encoding == "s16le"


@pytest.mark.parametrize(
    ("head", "headers", "said"),
    [
        ("audio/pcm; rate=24000; channels=1", {"x_channels": "2"},
         "channels is contradictory: the content type: 1, x-channels: 2"),
        ("audio/pcm; rate=24000; sample-rate=16000", {},
         "the content type: 24000, the content type's sample-rate: 16000"),
        ("audio/L16; rate=24000", {"x_bit_depth": "32"},
         "the content type's name: 16, x-bit-depth: 32"),
        ("audio/pcm; rate=24000; encoding=s16be; endianness=little", {},
         "byte order is contradictory"),
        ("audio/pcm; rate=24000; encoding=s24le; bits=16", {},
         "the content type, s24le: 24, the content type: 16"),
        ("audio/pcm; rate=24000; encoding=mulaw", {"x_audio_encoding": "alaw"},
         "encoding is contradictory"),
        ("audio/pcm; rate=24000; channels=99", {}, "declares channels=99, not a number from 1"),
        ("audio/pcm; rate=24000", {"x_channels": "two"}, "declares x-channels=two"),
        ("audio/pcm; rate=24000; bits=12", {}, "samples of 12 bits"),
        ("audio/pcm; rate=24000; bits=8", {}, "8 bits but not their encoding"),
        ("audio/pcm; rate=24000; bits=32", {}, "32 bits but not their encoding"),
        ("audio/pcm; rate=24000; encoding=float; bits=16", {}, "samples of f16le"),
        ("audio/pcm", {"x_channels": "1"}, "nothing says its sample rate"),
    ],
)  # fmt: skip
def test_what_is_contradictory_or_not_said_is_an_error(
    head: str, headers: dict[str, Any], said: str
) -> None:
    with pytest.raises(RemoteError, match=said) as caught:
        described(head, **headers)
    assert caught.value.fault == "audio"


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [("audio/basic", "mulaw"), ("audio/pcma", "alaw"), ("audio/l8", "u8"), ("audio/l24", "s24be")],
)
def test_such_samples_are_heard(content_type: str, encoding: PcmEncoding) -> None:
    voice = voiced(0.2, 8000)
    stream = SoundStream(AUTO, content_type, {"rate": "8000"})
    heard = np.concatenate([stream.feed(stored(voice, encoding)), stream.finish()])
    np.testing.assert_allclose(heard, voice, atol=0.02)
