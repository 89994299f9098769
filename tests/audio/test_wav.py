"""WAVs as servers send them: cut anywhere, mislabelled, joined, broken."""

from __future__ import annotations

import io
import itertools
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from wav_files import read_wav

from voicebench.audio.wav import MAX_HEADER_BYTES, WavStream
from voicebench.audio.wav_format import WavError, WavFormat
from voicebench.audio.wav_writer import WavWriter, wav_header, write_wav
from voicebench.errors import EngineError, UsageError

RAMP = np.array([0, 8192, -8192, 16384, -16384, 32767, -32768, 1], dtype="<i2")
RAMP_FLOAT = RAMP.astype(np.float32) / np.float32(32768)


def chunk(name: bytes, body: bytes, *, size: int | None = None, pad: bool = True) -> bytes:
    declared = len(body) if size is None else size
    padding = b"\0" if pad and len(body) % 2 else b""
    return name + struct.pack("<I", declared) + body + padding


def fmt(tag: int = 1, channels: int = 1, rate: int = 24000, bits: int = 16) -> bytes:
    frame = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits))


def riff(*chunks: bytes) -> bytes:
    body = b"".join(chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def simple(
    samples: NDArray[np.int16] = RAMP, *, size: int | None = None, rate: int = 24000
) -> bytes:
    return riff(fmt(rate=rate), chunk(b"data", samples.tobytes(), size=size))


def decoded(data: bytes, step: int | None = None) -> NDArray[np.float32]:
    stream = WavStream()
    step = step or max(1, len(data))
    parts = [stream.feed(data[at : at + step]) for at in range(0, len(data), step)]
    return np.concatenate([*parts, stream.finish()])


def test_a_header_alone_is_no_audio_and_the_first_frame_is_given_at_once() -> None:
    data = simple()
    stream = WavStream()
    assert stream.feed(data[:44]).size == 0
    assert stream.sample_rate == 24000
    assert stream.feed(data[44:45]).size == 0
    assert stream.feed(data[45:46]).tolist() == [RAMP_FLOAT[0]]
    assert stream.feed(data[46:51]).tolist() == RAMP_FLOAT[1:3].tolist()
    assert stream.feed(data[51:]).tolist() == RAMP_FLOAT[3:].tolist()
    assert stream.finish().size == 0


def test_rate_and_format_are_unknown_until_the_header_says_them() -> None:
    data = simple(rate=22050)
    stream = WavStream()
    stream.feed(data[:35])
    assert stream.sample_rate is None
    assert stream.format is None
    stream.feed(data[35:36])
    assert stream.sample_rate == 22050
    assert stream.format == WavFormat("int", 16, 1, 22050)


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 11, 44, 45])
def test_every_step_gives_the_same_samples(step: int) -> None:
    assert np.array_equal(decoded(simple(), step), RAMP_FLOAT)


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFF0000, 0xFFFFFFFF - 44])
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_size_that_nobody_could_know_means_until_the_end(size: int, step: int) -> None:
    assert np.array_equal(decoded(simple(size=size), step), RAMP_FLOAT)


def test_a_wav_of_the_standard_library_is_read() -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((2, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.repeat(RAMP, 2).tobytes())
    assert np.array_equal(decoded(buffer.getvalue()), RAMP_FLOAT)


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("body", [b"INFOISFT\x04\0\0\0odd", b"x", b"", b"even"])
@pytest.mark.parametrize("step", [1, 1000])
def test_chunks_before_and_after_the_samples_are_skipped(pad: bool, body: bytes, step: int) -> None:
    extra = chunk(b"LIST", body, pad=pad)
    data = riff(extra, fmt(), extra, chunk(b"data", RAMP.tobytes()), extra, extra)
    assert np.array_equal(decoded(data, step), RAMP_FLOAT)


def integers(bits: int, values: NDArray[np.float64]) -> bytes:
    if bits == 8:
        return (np.rint(values * 128) + 128).astype(np.uint8).tobytes()
    wide = np.rint(values * 2.0 ** (bits - 1)).astype("<i4")
    if bits == 24:
        return wide.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return wide.astype(f"<i{bits // 8}").tobytes()


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("step", [1, 1000])
def test_integers_of_every_width_are_scaled_to_full_scale(bits: int, step: int) -> None:
    values = np.array([0, 0.5, -0.5, 0.25, -1.0])
    data = riff(fmt(bits=bits), chunk(b"data", integers(bits, values)))
    assert decoded(data, step).tolist() == values.tolist()


def test_the_lowest_bit_of_24_and_32_bits_is_kept() -> None:
    data = riff(fmt(bits=24), chunk(b"data", b"\x01\0\0\xff\xff\xff"))
    assert decoded(data).tolist() == [2.0**-23, -(2.0**-23)]
    data = riff(fmt(bits=32), chunk(b"data", b"\x01\0\0\0\xff\xff\xff\xff"))
    assert decoded(data).tolist() == [2.0**-31, -(2.0**-31)]


@pytest.mark.parametrize("bits", [32, 64])
def test_floats_are_taken_as_they_are(bits: int) -> None:
    values = np.array([0.0, 0.5, -1.0, 1.25], dtype=f"<f{bits // 8}")
    data = riff(fmt(tag=3, bits=bits), chunk(b"data", values.tobytes()))
    assert decoded(data).tolist() == values.tolist()


def test_a_double_that_no_float_can_hold_gives_no_warning() -> None:
    values = np.array([1e300, np.nan, -1e300, 0.5])
    data = riff(fmt(tag=3, bits=64, channels=2), chunk(b"data", values.tobytes()))
    assert decoded(data).size == 2


def extensible(
    subtag: int, bits: int, valid: int, tail: str = "000000001000800000aa00389b71"
) -> bytes:
    frame = bits // 8
    body = struct.pack("<HHIIHH", 0xFFFE, 1, 24000, 24000 * frame, frame, bits)
    body += struct.pack("<HHIH", 22, valid, 4, subtag) + bytes.fromhex(tail)
    return chunk(b"fmt ", body)


def test_the_extensible_format_is_read_by_its_subtype() -> None:
    assert decoded(riff(extensible(1, 16, 16), chunk(b"data", RAMP.tobytes()))).tolist() == (
        RAMP_FLOAT.tolist()
    )
    body = RAMP_FLOAT.astype("<f4").tobytes()
    assert decoded(riff(extensible(3, 32, 32), chunk(b"data", body))).tolist() == (
        RAMP_FLOAT.tolist()
    )


def test_an_unknown_subtype_of_the_extensible_format_is_refused() -> None:
    data = riff(extensible(1, 16, 16, tail="00" * 14), chunk(b"data", RAMP.tobytes()))
    with pytest.raises(WavError, match="subtype"):
        decoded(data)


def test_narrow_samples_in_a_wide_container_are_read_by_the_container() -> None:
    body = struct.pack("<HHIIHH", 1, 1, 24000, 96000, 4, 24)
    data = riff(chunk(b"fmt ", body), chunk(b"data", struct.pack("<ii", 1 << 30, -(1 << 31))))
    assert decoded(data).tolist() == [0.5, -1.0]


def test_channels_are_mixed_down_and_a_frame_is_whole_only_with_all_of_them() -> None:
    frames = np.array([[8192, 24576], [-16384, 16384]], dtype="<i2")
    data = riff(fmt(channels=2), chunk(b"data", frames.tobytes()))
    stream = WavStream()
    assert stream.feed(data[:47]).size == 0
    assert stream.feed(data[47:]).tolist() == [0.5, 0.0]


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF])
def test_a_second_header_in_mid_stream_begins_the_next_wav(step: int, size: int | None) -> None:
    data = simple(size=size) + simple(size=size) + simple(size=size)
    assert np.array_equal(decoded(data, step), np.tile(RAMP_FLOAT, 3))


@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize("pad", [True, False])
def test_a_second_header_follows_an_odd_number_of_bytes_with_or_without_padding(
    step: int, pad: bool
) -> None:
    one = riff(fmt(bits=8), chunk(b"data", b"\x80\xc0\x40", pad=pad))
    assert decoded(one + one, step).tolist() == [0.0, 0.5, -0.5] * 2


def test_a_second_wav_may_be_stored_another_way_but_not_at_another_rate() -> None:
    stereo = riff(fmt(channels=2), chunk(b"data", np.repeat(RAMP, 2).tobytes()))
    assert np.array_equal(decoded(simple() + stereo), np.tile(RAMP_FLOAT, 2))
    stream = WavStream()
    # The samples before the fault are not lost: the call after raises.
    assert np.array_equal(stream.feed(simple() + simple(rate=16000)), RAMP_FLOAT)
    with pytest.raises(WavError, match="24000 to 16000 Hz"):
        stream.feed(b"")
    with pytest.raises(WavError, match="24000 to 16000 Hz"):
        stream.finish()


def test_the_word_riff_in_endless_samples_is_sound() -> None:
    body = b"RIFF" + b"\0" * 8 + b"RIFRIF" + b"RIFFxxxxWAVy"
    data = riff(fmt(), chunk(b"data", body, size=0)) + b"\1\0" * 10
    expected = np.frombuffer(body + b"\1\0" * 10, "<i2") / np.float32(32768)
    for step in (1, 4, 1000):
        assert np.array_equal(decoded(data, step), expected)


def test_samples_that_could_be_the_next_header_are_given_at_the_end() -> None:
    data = riff(fmt(), chunk(b"data", b"\1\0RI", size=0))
    stream = WavStream()
    assert stream.feed(data).size == 1
    assert stream.finish().size == 1


@pytest.mark.parametrize("size", [None, 0])
def test_an_end_in_the_middle_of_a_sample_is_reported(size: int | None) -> None:
    data = simple(size=size)
    with pytest.raises(WavError, match="middle of a sample, at byte 59"):
        decoded(data[:-1])


@pytest.mark.parametrize("cuts", [[], [46], list(range(105))])
def test_a_sample_cut_by_the_next_header_is_reported_after_the_whole_ones(cuts: list[int]) -> None:
    samples, fault = outcome(simple(size=0) + b"\x7f" + simple(), cuts)
    assert samples == RAMP_FLOAT.tolist()
    assert fault == "a sample is cut by the next WAV header at byte 60"


HOUR = 3600 * 24000 * 2


@pytest.mark.parametrize(
    "size", [0, HOUR // 6, HOUR, 2_000_000_000, 0x7FFFFFFF - 36, 0x7FFFFFFF, 0xFFFFFFFF]
)
@pytest.mark.parametrize("step", [1, 1000])
def test_a_size_that_no_answer_has_is_a_placeholder(size: int, step: int) -> None:
    assert np.array_equal(decoded(simple(size=size), step), RAMP_FLOAT)


@pytest.mark.parametrize("size", [18, 100_000, HOUR // 6 - 2])
def test_a_size_that_an_answer_may_have_is_a_promise(size: int) -> None:
    with pytest.raises(WavError, match=f"{size - 16} bytes before its size"):
        decoded(simple(size=size))


def test_what_ten_minutes_are_depends_on_the_format() -> None:
    stereo = riff(fmt(channels=2), chunk(b"data", np.repeat(RAMP, 2).tobytes(), size=HOUR // 4))
    with pytest.raises(WavError, match="before its size"):
        decoded(stereo)


def test_a_long_wav_whose_size_is_true_may_be_followed_by_other_chunks() -> None:
    samples = np.arange(600 * 1000, dtype="<i2")
    data = riff(fmt(rate=1000), chunk(b"data", samples.tobytes()), chunk(b"LIST", b"some words"))
    assert np.array_equal(decoded(data, 100_001), samples / np.float32(32768))


def odd_fmt(bits: int, align: int, bytes_per_s: int, channels: int = 1) -> bytes:
    return chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, 24000, bytes_per_s, align, bits))


@pytest.mark.parametrize(
    ("bits", "align", "bytes_per_s", "channels"),
    [(16, 4, 96_000, 1), (16, 4, 0, 1), (16, 2, 48_000, 2), (8, 2, 48_000, 1), (24, 2, 48_000, 1)],
)
def test_a_header_with_two_voices_against_its_bits_is_refused(
    bits: int, align: int, bytes_per_s: int, channels: int
) -> None:
    data = riff(odd_fmt(bits, align, bytes_per_s, channels), chunk(b"data", RAMP.tobytes()))
    with pytest.raises(WavError, match=f"{bits}-bit .* its block align is {align}"):
        decoded(data)


@pytest.mark.parametrize(("align", "bytes_per_s"), [(4, 48_000), (2, 96_000), (2, 0), (0, 48_000)])
def test_one_wrong_field_of_a_header_changes_no_sample(align: int, bytes_per_s: int) -> None:
    data = riff(odd_fmt(16, align, bytes_per_s), chunk(b"data", RAMP.tobytes()))
    assert np.array_equal(decoded(data), RAMP_FLOAT)


def test_an_end_before_the_declared_size_is_reported() -> None:
    with pytest.raises(WavError, match="at byte 50, 10 bytes before its size"):
        decoded(simple()[:-10])


@pytest.mark.parametrize("length", [1, 4, 11, 12, 30, 43])
def test_an_end_in_the_header_is_reported(length: int) -> None:
    with pytest.raises(WavError, match=f"in its header, at byte {length}"):
        decoded(simple()[:length])


@pytest.mark.parametrize("length", [4, 11, 12, 30, 43])
@pytest.mark.parametrize("size", [None, 0])
def test_an_end_in_the_header_of_the_second_wav_is_reported(length: int, size: int | None) -> None:
    with pytest.raises(WavError, match=f"in its header, at byte {60 + length}"):
        decoded(simple(size=size) + simple()[:length])


def test_an_empty_answer_is_reported() -> None:
    with pytest.raises(WavError, match="not one byte"):
        WavStream().finish()


def test_a_wav_without_samples_is_whole_and_has_none() -> None:
    assert decoded(riff(fmt(), chunk(b"data", b""))).size == 0


@pytest.mark.parametrize(
    ("garbage", "named"),
    [
        (b"<html><body>502 Bad Gateway", "HTML"),
        (b'{"error": "no such voice"}', "JSON"),
        (b"OggS\0\0\0\0", "Ogg"),
        (b"ID3\4\0\0\0\0", "MP3"),
        (b"\0\0\0\0\0\0", "begins with"),
        (b"RIFX\0\0\0\0WAVE", "big-endian"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI"),
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
def test_what_is_no_wav_is_named(garbage: bytes, named: str, step: int) -> None:
    with pytest.raises(WavError, match=named):
        decoded(garbage, step)


def test_a_fault_is_raised_again_by_every_later_call() -> None:
    stream = WavStream()
    for _ in range(2):
        with pytest.raises(WavError, match="HTML"):
            stream.feed(b"<html>")
    with pytest.raises(WavError, match="HTML"):
        stream.finish()


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (fmt(tag=7, bits=8), "µ-law"),
        (fmt(tag=0x55, bits=16), "MP3"),
        (fmt(tag=0x1234), "0x1234"),
        (fmt(channels=0), "0 channels"),
        (fmt(channels=65, bits=8), "65 channels"),
        (fmt(rate=0), "0 Hz"),
        (fmt(rate=4_000_000_000 // 2), "2000000000 Hz"),
        (fmt(bits=12), "12-bit"),
        (fmt(tag=3, bits=16), "16-bit float"),
        (chunk(b"fmt ", b"\1\0\1\0"), "'fmt ' chunk of 4 bytes"),
        (chunk(b"fmt ", b"\0" * 5000), "'fmt ' chunk of 5000 bytes"),
        (b"", "without a 'fmt ' chunk"),
        (b"\0\1\2\3\4\5\6\7", "not a chunk of a WAV"),
    ],
)
def test_a_header_that_cannot_be_right_is_refused(header: bytes, named: str) -> None:
    with pytest.raises(WavError, match=named):
        decoded(riff(header, chunk(b"data", RAMP.tobytes())))


def test_a_second_header_without_a_format_is_refused() -> None:
    data = simple() + riff(chunk(b"data", RAMP.tobytes()))
    with pytest.raises(WavError, match="without a 'fmt '"):
        decoded(data)


def test_a_header_without_end_is_refused_as_soon_as_it_is_announced() -> None:
    stream = WavStream()
    with pytest.raises(WavError, match="header of more than"):
        stream.feed(riff(chunk(b"junk", b"", size=MAX_HEADER_BYTES)))
    with pytest.raises(WavError, match="header of more than"):
        WavStream().feed(riff(chunk(b"junk", b"\0" * 50_000) * 30))


def test_more_samples_than_declared_are_an_error_not_silence() -> None:
    stream = WavStream()
    assert stream.feed(simple(size=8)).size == 4
    with pytest.raises(WavError, match="more samples than the header declares"):
        stream.finish()


def test_a_declared_size_that_is_not_whole_frames_loses_no_frame() -> None:
    data = riff(fmt(), chunk(b"data", b"\0\x40\0\x40\x7f"), chunk(b"LIST", b"abcd"))
    for step in (1, 1000):
        assert decoded(data, step).tolist() == [0.5, 0.5]


def test_the_error_is_one_that_fails_a_turn_and_not_the_run() -> None:
    assert issubclass(WavError, EngineError)


PIECES = [
    riff(),
    fmt(),
    fmt(channels=2),
    fmt(bits=8),
    fmt(tag=3, bits=64),
    fmt(rate=16000),
    chunk(b"data", RAMP.tobytes()),
    chunk(b"data", RAMP.tobytes(), size=0),
    chunk(b"data", RAMP.tobytes(), size=0xFFFFFFFF),
    chunk(b"LIST", b"odd"),
    simple(),
    simple(size=0),
    b"RIFF",
    b"R",
    b"\0\0\0",
]


def outcome(data: bytes, cuts: list[int]) -> tuple[list[float], str]:
    """Return every sample that was given, and the fault that ended it, if any."""
    stream, samples = WavStream(), []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    try:
        for begin, end in itertools.pairwise(edges):
            samples.extend(stream.feed(data[begin:end]).tolist())
        samples.extend(stream.finish().tolist())
    except WavError as error:
        return samples, str(error)
    return samples, ""


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=8), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cut_of_any_bytes_gives_the_same_samples_and_the_same_fault(
    pieces: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(pieces)
    whole, fault = outcome(data, [])
    cut, cut_fault = outcome(data, cuts)
    assert repr(cut) == repr(whole)
    assert cut_fault == fault


@pytest.mark.slow
@settings(max_examples=300)
@given(
    st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(PIECES)), max_size=8),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    st.lists(st.integers(0, 10_000), max_size=4),
)
def test_broken_bytes_raise_the_documented_error_and_nothing_else(
    pieces: list[bytes], damage: list[tuple[int, int]], cuts: list[int]
) -> None:
    data = bytearray(b"".join(pieces))
    for at, value in damage:
        if data:
            data[at % len(data)] = value
    outcome(bytes(data), cuts)


def test_a_written_file_is_read_back_to_the_step(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, RAMP_FLOAT, 22050)
    pcm, rate = read_wav(path)
    assert rate == 22050
    assert np.array_equal(pcm, RAMP_FLOAT)
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (1, 2, 22050, RAMP.size)
        assert file.readframes(100) == RAMP.tobytes()


def test_a_file_that_is_still_being_written_is_a_whole_wav(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "growing.wav", 24000) as file:
        file.append(RAMP_FLOAT)
        assert read_wav(file.path)[0].size == RAMP.size
        file.append(RAMP_FLOAT)
        assert np.array_equal(read_wav(file.path)[0], np.tile(RAMP_FLOAT, 2))
        assert file.samples == 2 * RAMP.size


def test_the_header_of_a_stream_is_read_to_the_end() -> None:
    header = wav_header(24000)
    assert len(header) == 44
    assert np.array_equal(decoded(header + RAMP.tobytes()), RAMP_FLOAT)
    assert wav_header(24000, RAMP.size) + RAMP.tobytes() == simple()


def test_files_that_cannot_be_used_are_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write_wav(tmp_path / "no" / "folder.wav", RAMP_FLOAT, 24000)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, a disk that is full")
def test_a_full_disk_is_reported_and_leaves_no_open_file() -> None:
    with pytest.raises(UsageError, match="cannot write /dev/full: No space left"):
        write_wav("/dev/full", RAMP_FLOAT, 24000)
