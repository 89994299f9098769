"""HTTP/1.1 on one connection: sent in one piece, and ready for the next request or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import h11
import httpcore
import pytest
from loopback import LONGEST_S, Peer, Script, serving, until

from voicebench.remote.connection.access import Access, address_of
from voicebench.remote.connection.connecting import ConnectionAttempt
from voicebench.remote.connection.connection import Connection, connect
from voicebench.remote.connection.http1 import Http1Connection, RequestHead
from voicebench.remote.connection.peer import Peer as RemotePeer
from voicebench.remote.connection.timeouts import BudgetedTimeout

HEAD = RequestHead(b"POST", b"/v1?a=b", ((b"host", b"there"), (b"accept", b"*/*")))


@contextmanager
def line_to(script: Script) -> Iterator[tuple[Http1Connection, BudgetedTimeout]]:
    with serving(script) as server:
        peer = RemotePeer(server.url, Access(), "tts")
        opened = connect(address_of(server.url, "http"), ConnectionAttempt(peer))
        try:
            yield Http1Connection(opened), BudgetedTimeout(peer.wait_budget(), LONGEST_S)
        finally:
            opened.close()


def exchange(
    line: Http1Connection, timeout: BudgetedTimeout, content: bytes | None = b"x"
) -> bytes:
    response = line.send(HEAD, content, timeout)
    body = b"".join(response.iter_stream())
    response.close()
    return body


@pytest.mark.parametrize("content", [None, b"", b'{"a":1}'])
def test_the_bytes_are_those_that_h11_would_send(content: bytes | None) -> None:
    theirs = h11.Connection(h11.CLIENT)
    sent = theirs.send(HEAD.event(content)) or b""
    sent += theirs.send(h11.Data(data=content or b"")) or b""
    sent += theirs.send(h11.EndOfMessage()) or b""
    assert HEAD.bytes_with(content) == sent


def test_head_and_content_leave_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = Connection.write

    def note(self: Connection, data: bytes, timeout: float | None = None) -> None:
        written.append(data)
        write(self, data, timeout)

    monkeypatch.setattr(Connection, "write", note)
    with line_to(answers(b"hello")) as (line, timeout):
        assert exchange(line, timeout) == b"hello"
    assert written == [HEAD.bytes_with(b"x")]


def answers(body: bytes, **headers: str) -> Script:
    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.answer("text/plain", body, **headers)

    return script


def test_one_exchange_after_the_other() -> None:
    with line_to(answers(b"hello")) as (line, timeout):
        for content in (b"x", None, b"yz"):
            assert line.can_serve()
            assert exchange(line, timeout, content) == b"hello"
        assert line.can_serve()


def test_interim_answers_are_passed_over() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.head("103 Early Hints", link="</a>")
        peer.answer("text/plain", b"hello")
        peer.wait_for_hangup()

    with line_to(script) as (line, timeout):
        assert exchange(line, timeout) == b"hello"


def test_an_answer_that_is_not_read_to_its_end_costs_the_connection() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="text/plain", content_length="100")
        peer.send(b"hello")
        peer.wait_for_hangup()

    with line_to(script) as (line, timeout):
        response = line.send(HEAD, b"x", timeout)
        assert next(response.iter_stream()) == b"hello"
        assert not line.can_serve()
        response.close()
        assert line.connection.closed
        assert not line.can_serve()


def test_a_server_that_ends_the_connection_with_its_answer_is_asked_no_more() -> None:
    with line_to(answers(b"hello", connection="close")) as (line, timeout):
        assert exchange(line, timeout) == b"hello"
        assert not line.can_serve()


@pytest.mark.parametrize("apart", [True, False])
def test_more_than_the_answer_makes_the_connection_useless(apart: bool) -> None:
    stale = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstale"

    def script(peer: Peer) -> None:
        peer.request()
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
        peer.send(answer if apart else answer + stale)
        if apart:
            until(lambda: taken)
            peer.send(stale)
        peer.wait_for_hangup()

    taken: list[bytes] = []
    with line_to(script) as (line, timeout):
        taken.append(exchange(line, timeout))
        assert taken == [b"hello"]
        until(lambda: not line.can_serve())


def test_an_answer_that_came_before_the_request_was_taken_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server may refuse a large request by its head, and hang up in the middle of it."""
    write = Connection.write

    def breaks(self: Connection, data: bytes, timeout: float | None = None) -> None:
        write(self, data, timeout)
        raise httpcore.WriteError("Broken pipe")

    monkeypatch.setattr(Connection, "write", breaks)
    with line_to(answers(b"too large")) as (line, timeout):
        assert exchange(line, timeout) == b"too large"
        assert not line.can_serve()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "Server disconnected without sending a response."),
        (b"HTTP/1.1 200\r\nno colon\r\n\r\n", "illegal header line"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "illegal status line"),
    ],
)
def test_what_is_no_answer_is_an_error_and_costs_the_connection(answer: bytes, said: str) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer)

    with line_to(script) as (line, timeout):
        with pytest.raises(httpcore.RemoteProtocolError, match=said):
            line.send(HEAD, b"x", timeout)
        assert line.connection.closed


def test_a_head_that_breaks_the_rules_is_never_sent() -> None:
    with pytest.raises(httpcore.LocalProtocolError, match="Illegal header value"):
        RequestHead(b"GET", b"/", ((b"host", b"there"), (b"x-key", b"a\r\nb: c")))
