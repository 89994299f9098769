"""Format and rate: from the container, the content type or the settings; else an error."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from encoded_sound import RATE, encoded, pcm16, voiced
from numpy.typing import NDArray

from voicebench.audio.encodings import PcmEncoding
from voicebench.audio.wav_writer import wav_header
from voicebench.errors import UsageError
from voicebench.remote.failure import RemoteError
from voicebench.remote.sound.signatures import SoundKind
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.remote.sound.sound_stream import PcmStream, SoundDecoder, SoundStream

AUTO = SoundFormat()
SAMPLES = voiced(0.1)
WAV = wav_header(RATE, SAMPLES.size) + pcm16(SAMPLES)


def heard(stream: SoundDecoder, data: bytes, step: int = 1 << 30) -> NDArray[np.float32]:
    parts = [stream.feed(data[at : at + step]) for at in range(0, len(data), step)]
    return np.concatenate([*parts, stream.finish()])


# Raw PCM.


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize(
    ("encoding", "stored"),
    [("s16le", "<i2"), ("s16be", ">i2"), ("f32le", "<f4")],
)
def test_raw_samples_are_whole_however_the_bytes_are_cut(
    encoding: PcmEncoding, stored: str, step: int
) -> None:
    scaled = SAMPLES if stored == "<f4" else np.rint(SAMPLES * 32767)
    stream = PcmStream(encoding, RATE, 1)
    np.testing.assert_allclose(
        heard(stream, scaled.astype(stored).tobytes(), step), SAMPLES, atol=1e-4
    )


def test_a_sample_is_given_back_with_its_last_byte() -> None:
    stream = PcmStream("s16le", RATE, 2)
    assert [stream.feed(bytes([byte])).size for byte in (0, 0, 0, 0, 0)] == [0, 0, 0, 1, 0]


def test_two_raw_channels_are_mixed_down() -> None:
    frames = np.array([[16384, 0], [0, -16384]], dtype="<i2")
    assert heard(PcmStream("s16le", RATE, 2), frames.tobytes()).tolist() == [0.25, -0.25]


def test_raw_sound_that_ends_in_a_sample_is_an_error() -> None:
    stream = PcmStream("s16le", RATE, 1)
    assert stream.feed(b"\x01\x00\x02").size == 1
    with pytest.raises(RemoteError, match="middle of a sample") as caught:
        stream.finish()
    assert caught.value.fault == "audio"


# Where the rate comes from.


@pytest.mark.parametrize(
    ("declared", "parameters", "headers"),
    [
        (SoundFormat(sample_rate=22050), {}, {}),
        (AUTO, {"rate": "22050"}, {}),
        (AUTO, {}, {"x-sample-rate": "22050"}),
        (SoundFormat(sample_rate=22050), {"rate": "22050"}, {"x-audio-sample-rate": "22050"}),
    ],
)
def test_the_rate_of_raw_sound_comes_from_whoever_says_it(
    declared: SoundFormat, parameters: dict[str, str], headers: dict[str, str]
) -> None:
    stream = SoundStream(declared, "audio/pcm", parameters, headers)
    stream.feed(bytes(4))
    assert stream.sample_rate == 22050


def test_raw_sound_whose_rate_nobody_says_is_an_error_and_never_guessed() -> None:
    with pytest.raises(RemoteError, match="nothing says its sample rate"):
        SoundStream(AUTO, "audio/pcm")
    with pytest.raises(RemoteError, match="nothing says its sample rate"):
        SoundStream(AUTO, "application/octet-stream", asked="pcm")


def test_two_rates_that_disagree_are_an_error_that_names_both() -> None:
    with pytest.raises(RemoteError, match="the settings: 24000, the content type: 22050"):
        SoundStream(SoundFormat(sample_rate=24000), "audio/pcm", {"rate": "22050"})


@pytest.mark.parametrize("rate", ["0", "-5", "1e4", "abc", "", "99999999999999999999", "²4000"])
def test_a_rate_that_is_none_is_an_error(rate: str) -> None:
    with pytest.raises(RemoteError, match="declares rate="):
        SoundStream(AUTO, "audio/pcm", {"rate": rate})


def test_l16_is_big_endian_unless_the_settings_say_otherwise() -> None:
    data = np.array([1000, -1000], dtype=">i2").tobytes()
    stream = SoundStream(AUTO, "audio/l16", {"rate": "16000"})
    assert np.rint(heard(stream, data) * 32768).tolist() == [1000, -1000]
    little = SoundFormat(encoding="s16le")
    swapped = heard(SoundStream(little, "audio/l16", {"rate": "16000"}), data)
    assert np.rint(swapped * 32768).tolist() != [1000, -1000]


@pytest.mark.parametrize("encoding", ["s16le", "s16be", "f32le"])
def test_a_content_type_that_names_the_encoding_is_believed(encoding: str) -> None:
    stored = {"s16le": "<i2", "s16be": ">i2", "f32le": "<f4"}[encoding]
    values = SAMPLES if stored == "<f4" else np.rint(SAMPLES * 32767)
    stream = SoundStream(AUTO, f"audio/pcm_{encoding}", headers={"x-sample-rate": str(RATE)})
    data = values.astype(stored).tobytes()
    np.testing.assert_allclose(heard(stream, data), SAMPLES, atol=1e-4)


def test_the_channels_of_raw_sound_come_from_the_content_type() -> None:
    stream = SoundStream(AUTO, "audio/pcm", {"rate": "16000", "channels": "2"})
    assert heard(stream, bytes(16)).size == 4


def test_the_channels_of_raw_sound_come_from_the_settings() -> None:
    stream = SoundStream(SoundFormat(channels=2), "audio/pcm", {"rate": "16000"})
    assert heard(stream, bytes(16)).size == 4


def test_two_numbers_of_channels_that_disagree_are_an_error() -> None:
    with pytest.raises(RemoteError, match="the settings: 2, the content type: 1"):
        SoundStream(SoundFormat(channels=2), "audio/pcm", {"rate": "16000", "channels": "1"})


# Where the format comes from.


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("audio/mpeg", "mp3"),
        ("audio/aac", "aac"),
        ("audio/flac", "flac"),
        ("audio/ogg", "opus"),
        ("audio/opus", "opus"),
    ],
)
def test_a_content_type_that_names_a_format_is_believed(content_type: str, kind: str) -> None:
    assert heard(SoundStream(AUTO, content_type), encoded(kind, 0.3)).size > 0.25 * RATE


def test_the_settings_go_before_the_content_type() -> None:
    stream = SoundStream(SoundFormat(kind="pcm", sample_rate=RATE), "audio/mpeg")
    np.testing.assert_allclose(heard(stream, pcm16(SAMPLES)), SAMPLES, atol=1e-4)


def test_an_unspecific_content_type_leaves_it_to_what_was_asked_for() -> None:
    stream = SoundStream(AUTO, "application/octet-stream", asked="mp3")
    data = encoded("mp3", 0.3)
    assert heard(stream, data[data.index(b"\xff\xf3") :]).size > 0


@pytest.mark.parametrize("kind", ["flac", "opus", "mp3"])
def test_without_any_word_of_it_a_containers_own_mark_says_what_it_is(kind: str) -> None:
    assert heard(SoundStream(AUTO, ""), encoded(kind, 0.3), 3).size > 0


def test_without_any_word_and_mark_there_is_an_error() -> None:
    with pytest.raises(RemoteError, match="nothing says the format"):
        heard(SoundStream(AUTO, ""), pcm16(SAMPLES))


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_wav_that_is_called_raw_is_a_wav_and_its_header_is_no_sound(step: int) -> None:
    stream = SoundStream(SoundFormat(sample_rate=RATE), "audio/pcm")
    np.testing.assert_allclose(heard(stream, WAV, step), SAMPLES, atol=1e-4)
    assert stream.sample_rate == RATE


@pytest.mark.parametrize("said", ["audio/pcm", "audio/wav", "application/octet-stream"])
@pytest.mark.parametrize("step", [1, 700, 1 << 20])
@pytest.mark.parametrize("kind", ["mp3", "aac"])
def test_frames_without_a_tag_are_known_by_their_heads(kind: str, step: int, said: str) -> None:
    data = encoded(kind, 0.5)
    if kind == "mp3":
        data = data[data.index(b"\xff\xf3") :]
    parameters = {"rate": str(RATE)} if said == "audio/pcm" else {}
    decoded = heard(SoundStream(AUTO, said, parameters), data, step)
    assert decoded.size > 0.45 * RATE
    assert np.abs(decoded).max() < 0.5


@pytest.mark.parametrize(
    "head", [b"\xff\xff", b"\xff\xfb", b"\xff\xf1", b"\xff\xf3\x84\xc4", b"\xff\xf1\x50\x80"]
)
def test_samples_that_begin_like_a_frame_are_samples(head: bytes) -> None:
    data = head + pcm16(voiced(0.5))
    stream = SoundStream(SoundFormat(kind="pcm", sample_rate=RATE))
    assert heard(stream, data, 100).size == len(data) // 2


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x1aE\xdf\xa3\x01\x00", "WebM"),
        (b"\x00\x00\x00\x20ftypM4A ", "MP4"),
        (b"FORM\x00\x00\x10\x00AIFF", "AIFF"),
        (b".snd\x00\x00\x00\x18", "AU"),
        (b"RF64\xff\xff\xff\xffWAVE", "RF64"),
        (b"\x1f\x8b\x08\x00" + bytes(8), "gzip"),
    ],
)
@pytest.mark.parametrize("said", ["audio/pcm", "audio/wav", "audio/mpeg", ""])
@pytest.mark.parametrize("step", [1, 100])
def test_a_container_that_cannot_be_decoded_is_named(
    data: bytes, name: str, said: str, step: int
) -> None:
    with pytest.raises(RemoteError, match=f"sends .*{name}.*, which cannot be decoded") as caught:
        heard(SoundStream(AUTO, said, {"rate": "24000"}), data + bytes(100), step)
    assert caught.value.fault == "protocol"


@pytest.mark.parametrize("size", [2, 3, 4, 6, 7, 8, 100])
def test_silence_is_samples_from_its_first_on(size: int) -> None:
    stream = SoundStream(SoundFormat(kind="pcm", encoding="u8", sample_rate=RATE))
    data = (bytes(3) + bytes([32, 200]) * 50)[:size]
    assert heard(stream, data).size == size


@pytest.mark.parametrize("kind", ["auto", "wav", "pcm"])
def test_a_container_that_has_another_rate_than_the_settings_is_an_error(
    kind: SoundKind | Literal["auto"],
) -> None:
    stream = SoundStream(SoundFormat(kind=kind, sample_rate=16_000), "audio/wav")
    with pytest.raises(RemoteError, match=f"the settings: 16000, the sound's own header: {RATE}"):
        heard(stream, WAV)


def test_opus_is_decoded_at_its_one_rate_whatever_was_encoded() -> None:
    declared = SoundFormat(sample_rate=24_000)
    assert heard(SoundStream(declared, "audio/ogg"), encoded("opus", 0.3)).size > 0.25 * 48_000


# What is called raw sound and is text.

TEXTS = {
    "a page": b"<!DOCTYPE html><html><head><title>Sign in</title></head>",
    "a page of an old encoding": b"<html><title>Entr\xe9e interdite</title>",
    "JSON": b'{"error": {"message": "out of memory"}}',
    "JSON beyond ASCII": '{"fehler": "Stimme ungültig"}'.encode(),
    "plain words": b"quota exceeded",
}


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("times", [1, 100])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_is_no_raw_sound(text: bytes, times: int, step: int) -> None:
    stream = SoundStream(SoundFormat(kind="pcm", sample_rate=RATE))
    with pytest.raises(RemoteError, match="text instead of sound") as caught:
        heard(stream, text * times, step)
    assert caught.value.fault == "protocol"


def test_what_the_text_says_is_in_the_reason() -> None:
    stream = SoundStream(AUTO, "audio/pcm", {"rate": "16000"})
    with pytest.raises(RemoteError, match="instead of sound: out of memory"):
        heard(stream, TEXTS["JSON"])


@pytest.mark.parametrize("encoding", ["s16le", "s16be", "f32le"])
def test_sound_is_not_held_back_to_find_out_whether_it_is_text(encoding: PcmEncoding) -> None:
    stored = {"s16le": "<i2", "s16be": ">i2", "f32le": "<f4"}[encoding]
    loud = 0.9 * np.sin(np.arange(1, 400) / 3)
    data = (loud if stored == "<f4" else loud * 32767).astype(stored).tobytes()
    stream = SoundStream(SoundFormat(kind="pcm", encoding=encoding, sample_rate=RATE))
    assert stream.feed(data[:24]).size == 24 // np.dtype(stored).itemsize


def test_letters_among_samples_are_samples() -> None:
    stream = SoundStream(SoundFormat(kind="pcm", sample_rate=RATE))
    assert heard(stream, b"\x00\x01" + b"sound and no text at all " * 20, 3).size == 251


def test_what_is_called_a_wav_and_is_none_is_an_error() -> None:
    with pytest.raises(Exception, match="not a WAV"):
        heard(SoundStream(AUTO, "audio/wav"), b"<html>nothing here</html>")


def test_a_sound_that_cannot_be_decoded_is_named() -> None:
    with pytest.raises(RemoteError, match="audio/webm, which cannot be decoded"):
        SoundStream(AUTO, "audio/webm")


def test_less_than_a_mark_can_still_be_a_sample() -> None:
    stream = SoundStream(SoundFormat(sample_rate=RATE), "audio/pcm")
    assert stream.feed(b"\x00\x40").size == 0
    assert stream.finish().tolist() == [0.5]


@pytest.mark.parametrize("settings", [{"sample_rate": 10}, {"sample_rate": 10**6}, {"channels": 0}])
def test_settings_that_no_sound_can_have_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        SoundFormat(**settings)
