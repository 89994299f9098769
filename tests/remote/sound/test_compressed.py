"""Compressed sound: the same samples however the bytes are cut, and each with its last byte."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from encoded_sound import CODECS, encoded, voiced
from numpy.typing import NDArray

from voicebench.remote.failure import RemoteError
from voicebench.remote.sound.compressed import AacStream, FlacStream, Mp3Stream, OggOpusStream
from voicebench.remote.sound.framing import FlacFrames, Id3Skipper, OggPackets, mp3_frame_bytes
from voicebench.remote.sound.sound_stream import SoundDecoder

STREAMS: dict[str, Callable[[], SoundDecoder]] = {
    "mp3": Mp3Stream,
    "aac": AacStream,
    "flac": FlacStream,
    "opus": OggOpusStream,
}
KINDS = sorted(STREAMS)


def decoded(kind: str, data: bytes, step: int = 1 << 30) -> NDArray[np.float32]:
    stream = STREAMS[kind]()
    parts = [stream.feed(data[at : at + step]) for at in range(0, len(data), step)]
    return np.concatenate([*parts, stream.finish()])


def bytes_to_first_sample(kind: str, data: bytes) -> int:
    stream = STREAMS[kind]()
    return next(at + 1 for at in range(len(data)) if stream.feed(data[at : at + 1]).size)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_decoded_is_what_was_encoded(kind: str) -> None:
    sound = decoded(kind, encoded(kind))
    rate = CODECS[kind][2]
    original = voiced(1.0, rate)
    # Encoders shift the sound by their own delay; the best match over it is nearly perfect.
    match = np.correlate(sound, original[: rate // 2], "valid")
    at = int(np.argmax(match))
    piece = sound[at : at + rate // 2]
    assert np.corrcoef(piece, original[: rate // 2])[0, 1] > 0.99
    assert 0.98 < sound.size / rate < 1.11


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_where_the_reads_cut_changes_no_sample(kind: str, step: int) -> None:
    np.testing.assert_array_equal(decoded(kind, encoded(kind), step), decoded(kind, encoded(kind)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_rate_is_known_with_the_first_sample_and_not_before(kind: str) -> None:
    stream = STREAMS[kind]()
    assert stream.sample_rate is None
    stream.feed(encoded(kind))
    assert stream.sample_rate == CODECS[kind][2]


@pytest.mark.parametrize("kind", KINDS)
def test_two_channels_are_mixed_down_to_one(kind: str) -> None:
    mono, stereo = decoded(kind, encoded(kind)), decoded(kind, encoded(kind, 1.0, 2))
    assert abs(mono.size - stereo.size) <= CODECS[kind][2] * 0.1
    assert np.max(np.abs(stereo)) == pytest.approx(0.3, abs=0.06)


def test_flac_is_exact() -> None:
    np.testing.assert_allclose(decoded("flac", encoded("flac")), voiced(1.0), atol=1e-4)


# The first sample is out with the last byte of what it needs.


def test_the_first_mp3_frame_is_out_with_its_last_byte() -> None:
    data = encoded("mp3")
    tag = data.index(b"\xff\xf3")
    contents = data.index(b"\xff\xf3", tag + 4)
    second = data.index(data[contents : contents + 3], contents + 4)
    # The frame that carries the table of contents is no sound; the one after it is the first.
    assert b"Info" in data[tag:contents]
    assert bytes_to_first_sample("mp3", data) == second


def test_the_first_flac_frame_is_out_with_its_last_byte() -> None:
    data = encoded("flac")
    frames = FlacFrames(lambda frame: True)
    packets = [packet for packet in frames.feed(data) if not packet.stream_info]
    header = len(data) - sum(len(packet.data) for packet in packets)
    assert bytes_to_first_sample("flac", data) == header + len(packets[0].data)


def test_the_first_opus_page_with_sound_is_out_with_its_last_byte() -> None:
    data = encoded("opus")
    pages = [at for at in range(len(data)) if data[at : at + 4] == b"OggS"]
    assert bytes_to_first_sample("opus", data) == (pages[3] if len(pages) > 3 else len(data))


# Faults.


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_cut_in_a_frame_is_an_error(kind: str) -> None:
    data = encoded(kind)
    with pytest.raises(RemoteError, match=r"middle of a (frame|page)") as caught:
        decoded(kind, data[: len(data) * 2 // 3 + 5])
    assert caught.value.fault == "audio"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_such_sound_is_an_error(kind: str) -> None:
    with pytest.raises(RemoteError) as caught:
        decoded(kind, b"<html><body>Welcome to nginx!</body></html>" * 40)
    assert caught.value.fault == "audio"


def test_a_broken_flac_frame_is_an_error_and_not_silence() -> None:
    data = bytearray(encoded("flac"))
    middle = len(data) - 300
    data[middle : middle + 200] = bytes(range(200))
    with pytest.raises(RemoteError):
        decoded("flac", bytes(data))


def test_ogg_of_another_kind_is_said_so() -> None:
    head = encoded("opus").replace(b"OpusHead", b"\x01vorbis\x00")
    with pytest.raises(RemoteError, match="that is not Opus"):
        decoded("opus", head)


@pytest.mark.parametrize("kind", KINDS)
def test_one_file_after_the_other_on_one_connection_is_one_sound(kind: str) -> None:
    once = decoded(kind, encoded(kind))
    twice = decoded(kind, encoded(kind) * 2, 999)
    assert twice.size == pytest.approx(2 * once.size, abs=CODECS[kind][2] * 0.1)


# Framing.


def test_an_ogg_packet_may_go_on_over_several_pages() -> None:
    def page(flags: int, lacing: list[int], body: bytes) -> bytes:
        return b"OggS\x00" + bytes([flags]) + bytes(20) + bytes([len(lacing), *lacing]) + body

    long = bytes(range(256)) * 2
    stream = page(2, [255], long[:255]) + page(1, [255, 2, 3], long[255:512] + b"abc")
    for step in (1, 5, 10_000):
        packets = OggPackets()
        found = [
            packet
            for at in range(0, len(stream), step)
            for packet in packets.feed(stream[at : at + step])
        ]
        assert found == [long, b"abc"]


def test_a_packet_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebench.remote.sound.framing.MAX_PACKET_BYTES", 1000)
    packets = OggPackets()
    page = b"OggS\x00\x01" + bytes(20) + bytes([4, 255, 255, 255, 255]) + bytes(1020)
    with pytest.raises(RemoteError, match="without end"):
        list(packets.feed(page))
    frames = FlacFrames(lambda frame: True)
    with pytest.raises(RemoteError, match="without end"):
        list(frames.feed(b"fLaC\x80\x00\x00\x00" + b"\xff\xf8" + b"\x01" * 2000))


@pytest.mark.parametrize("step", [1, 4, 1000])
def test_an_id3_tag_is_skipped_by_its_length(step: int) -> None:
    tagged = b"ID3\x04\x00\x00\x00\x00\x01\x02" + b"t" * 130 + b"\xff\xf3 sound"
    skipper = Id3Skipper()
    given = b"".join(skipper.feed(tagged[at : at + step]) for at in range(0, len(tagged), step))
    assert given == b"\xff\xf3 sound"


@pytest.mark.parametrize(
    ("head", "length"),
    [
        ("fffb9064", 417),  # MPEG 1, 128 kbit/s, 44.1 kHz
        ("fffb9264", 418),  # the same with padding
        ("fff384c0", 192),  # MPEG 2, 64 kbit/s, 24 kHz
        ("ffe31800", 72),  # MPEG 2.5, 8 kbit/s, 8 kHz
        ("fffbf064", None),  # no such bit rate
        ("fffb0064", None),  # free format
        ("fff15840", None),  # AAC
        ("ffeb9064", None),  # a reserved version
        ("494433", None),
    ],
)
def test_an_mp3_frames_head_gives_its_length(head: str, length: int | None) -> None:
    assert mp3_frame_bytes(bytes.fromhex(head)) == length


@pytest.mark.parametrize("data", [b"\xff\xf3 sound", b"I am", b"ID", b""])
def test_without_an_id3_tag_nothing_is_skipped(data: bytes) -> None:
    skipper = Id3Skipper()
    given = b"".join(skipper.feed(data[at : at + 1]) for at in range(len(data)))
    assert given == (b"" if data == b"ID" else data)


def test_the_decoder_is_loaded_only_where_sound_has_to_be_decoded() -> None:
    program = "import sys, voicebench.remote.clients.openai_speech; sys.exit('av' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert run.returncode == 0
