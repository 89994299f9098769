"""The head of an answer, with its transfer coding said once, however its bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import Peer, serving

from voicebench.remote.connection.access import Access
from voicebench.remote.connection.http import HttpService
from voicebench.remote.connection.response_heads import ResponseHeads
from voicebench.remote.failure import RemoteError

TWICE = (
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\n"
    b"transfer-encoding:chunked\r\nTransfer-Encoding: Chunked\r\nX: 1\r\n\r\n"
    b"3\r\nTra\r\n0\r\n\r\n"
)
ONCE = (
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\n"
    b"X: 1\r\n\r\n"
    b"3\r\nTra\r\n0\r\n\r\n"
)


def fed(data: bytes, cuts: list[int] = []) -> bytes:  # noqa: B006
    lines = ResponseHeads()
    lines.expect()
    edges = [0, *sorted(cuts), len(data)]
    return b"".join(lines.feed(data[start:end]) for start, end in pairwise(edges))


@given(st.lists(st.integers(0, len(TWICE)), max_size=12))
def test_a_repeated_coding_is_taken_out_wherever_the_reads_cut(cuts: list[int]) -> None:
    assert fed(TWICE, cuts) == ONCE


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nVia: a\r\nVia: a\r\nContent-Length: 1\r\n\r\nx",
        b"SSH-2.0-OpenSSH_9.2\r\n" + ONCE[ONCE.index(b"Transfer") :],
        b"\x00\x00\x00\x04\x00\n\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding:"
        + b" " * 99
        + b"\r\n\r\n",
    ],
)
def test_all_else_is_given_back_as_it_came(data: bytes) -> None:
    assert fed(data) == data
    assert fed(data, list(range(len(data)))) == data


def test_a_body_is_no_head() -> None:
    body = b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert fed(ONCE + body) == ONCE + body


def test_bytes_that_nobody_asked_for_are_given_back() -> None:
    assert ResponseHeads().feed(TWICE) == TWICE


def coded(*codings: bytes) -> bytes:
    lines = b"".join(b"Transfer-Encoding: %s\r\n" % coding for coding in codings)
    return b"HTTP/1.1 200 OK\r\n%s\r\n2\r\nhi\r\n0\r\n\r\n" % lines


def test_an_answer_that_names_its_coding_twice_is_read_and_the_connection_kept() -> None:
    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.send(coded(b"chunked", b"chunked"))

    with serving(script) as server:
        service = HttpService(server.url, Access(), "tts")
        for _ in range(2):
            with service.exchange("GET", server.url) as answer:
                assert answer.whole(100) == b"hi"
        service.close()
        assert server.connections == 1


def test_two_codings_that_differ_are_still_refused() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(coded(b"chunked", b"gzip"))

    with serving(script) as server:
        service = HttpService(server.url, Access(), "tts")
        with pytest.raises(RemoteError, match="rules of HTTP"), service.exchange("GET", server.url):
            pass
        service.close()
