"""Framing of HTTP: the body is the same however the bytes are cut into reads."""

from __future__ import annotations

import random

import pytest

from voicebench.load.reading.http_framing import AnswerFraming, BrokenFraming

CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n3;x=1\r\nefg\r\n0\r\nX-Late: 1\r\n\r\n"
)
SIZED = b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy"
OPEN = b"HTTP/1.0 200 OK\r\n\r\nabcdefg"


def read(pieces: list[bytes]) -> tuple[AnswerFraming, bytes]:
    framing, body = AnswerFraming(), b""
    for piece in pieces:
        data, spans = framing.feed(piece)
        body += b"".join(data[begin:end] for begin, end in spans)
    return framing, body


def cut(data: bytes, seed: int) -> list[bytes]:
    places = sorted(random.Random(seed).sample(range(1, len(data)), 9))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("answer", [CHUNKED, SIZED, OPEN])
def test_the_body_does_not_depend_on_the_reads(answer: bytes, seed: int) -> None:
    whole, body = read([answer])
    framing, again = read(cut(answer, seed))
    assert (framing.head, framing.ended, again) == (whole.head, whole.ended, body)


def test_a_chunked_body_ends_with_its_last_chunk() -> None:
    framing, body = read([CHUNKED])
    assert (body, framing.ended) == (b"abcdefg", True)
    assert framing.head is not None
    assert framing.head.status == 200
    assert framing.head.field(b"content-type") == b"audio/pcm"
    assert framing.head.keeps_open


def test_each_chunk_of_one_read_is_a_piece() -> None:
    _, spans = AnswerFraming().feed(CHUNKED)
    assert len(spans) == 2


def test_a_sized_body_ends_with_its_size() -> None:
    framing, body = read([SIZED])
    assert (body, framing.ended) == (b"busy", True)
    assert framing.head is not None
    assert not framing.head.keeps_open


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    framing, body = read([OPEN])
    assert (body, framing.ended, framing.ends_with_connection) == (b"abcdefg", False, True)


@pytest.mark.parametrize(
    "broken",
    [
        b"SSH-2.0-x\r\n\r\n",
        CHUNKED.replace(b"4\r\nabcd", b"x\r\nabcd"),
        CHUNKED.replace(b"4\r\nabcd", b"3\r\nabcd"),
        SIZED + b"more",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000,
    ],
)
def test_bytes_that_keep_no_rule_are_refused(broken: bytes) -> None:
    with pytest.raises(BrokenFraming):
        AnswerFraming().feed(broken)
