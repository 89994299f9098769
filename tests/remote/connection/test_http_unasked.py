"""HTTP: what a server sends besides its answer is no answer to the next request."""

from __future__ import annotations

import time

import pytest
from loopback import Peer, until
from test_http import service

from voicebench.remote.failure import RemoteError


@pytest.mark.parametrize("apart", [True, False], ids=["in a read of its own", "with the end"])
def test_more_than_the_answer_is_no_answer_to_the_next_request(apart: bool) -> None:
    def script(peer: Peer) -> None:
        while True:
            asked = peer.request().target.encode()
            stale = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstale"
            answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(asked), asked)
            peer.send(answer + (b"" if apart else stale))
            if apart:
                time.sleep(0.02)
                peer.send(stale)

    with service(script) as (made, server):
        for path in ("/one", "/two", "/three"):
            made.prepare()
            with made.exchange("GET", server.url + path) as answer:
                assert b"".join(piece.data for piece in answer.pieces()) == path.encode()
            time.sleep(0.1)
    assert server.connections == 3


def test_within_a_turn_too_the_next_request_connects_anew() -> None:
    def script(peer: Peer) -> None:
        while True:
            asked = peer.request().target.encode()
            answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(asked), asked)
            peer.send(2 * answer)

    with service(script) as (made, server):
        for path in ("/one", "/two"):
            with made.exchange("GET", server.url + path) as answer:
                assert b"".join(piece.data for piece in answer.pieces()) == path.encode()


def test_a_server_that_speaks_before_it_is_asked_is_refused() -> None:
    def script(peer: Peer) -> None:
        peer.answer("audio/pcm", b"early")
        peer.wait_for_hangup()

    with service(script) as (made, server):
        made.prepare()
        ready = made._pool._ready
        assert ready is not None
        until(lambda: ready.get_extra_info("is_readable"))
        with (
            pytest.raises(RemoteError, match="sends before anything was asked for"),
            made.exchange("GET", server.url),
        ):
            pass
