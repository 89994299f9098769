"""Connections: opened before the turn, reused, timed, and told apart."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import Queue
from select import select
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from loopback import GIVEN_UP_S, LONGEST_S, Loopback, Peer, Script, closed_port, serving, until
from loopback_h2 import Http2Peer, over_http2

from voicebench.errors import UsageError
from voicebench.remote.connection.access import Access, ApiKey
from voicebench.remote.connection.answer import Answer, Piece
from voicebench.remote.connection.http import HttpService
from voicebench.remote.connection.timeouts import Timeouts, TurnDeadline, WaitBudget
from voicebench.remote.failure import RemoteError

CERTIFICATE = Path(__file__).with_name("data") / "loopback.pem"
SLOW_CONNECT_S = 0.3


def hello(peer: Peer) -> None:
    while True:
        peer.request()
        peer.answer("text/plain", b"hello")


def tls_server(sock: socket.socket) -> socket.socket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context.wrap_socket(sock, server_side=True)


def slow_tls_server(sock: socket.socket) -> socket.socket:
    time.sleep(SLOW_CONNECT_S)
    return tls_server(sock)


@contextmanager
def service_at(url: str, **access: Any) -> Iterator[HttpService]:
    service = HttpService(url, Access(**access), "tts")
    try:
        yield service
    finally:
        service.close()


@contextmanager
def service(script: Script = hello, **access: object) -> Iterator[tuple[HttpService, Loopback]]:
    with serving(script) as server, service_at(server.url, **access) as made:
        yield made, server


def take(made: HttpService, path: str = "/") -> Answer:
    with made.exchange("GET", made.shown_url + path) as answer:
        answer.require_success()
        assert answer.whole(100) == b"hello"
    return answer


def until_lapsed(made: HttpService) -> None:
    """Wait until the server has hung up, which it does some time after its answer."""
    until(lambda: all(connection.lapsed() for connection in made._pool._made))


# Opened before, reused, timed.


def test_a_connection_opened_before_the_turn_serves_it_and_the_ones_after() -> None:
    with service() as (made, server):
        made.check()
        made.prepare()
        first, second = take(made).connected, take(made).connected
    assert (first.reused, second.reused) == (False, True)
    assert first.number == second.number
    assert first.connect_ms == second.connect_ms > 0
    assert server.connections == 1


def test_without_being_prepared_the_first_turn_connects_by_itself() -> None:
    with service() as (made, _):
        assert take(made).connected.reused is False
        assert take(made).connected.reused is True


def test_cold_connects_anew_in_every_turn() -> None:
    with service(cold=True) as (made, server):
        made.check()
        numbers = set()
        for _ in range(2):
            made.prepare()
            connected = take(made).connected
            assert connected.reused is False
            numbers.add(connected.number)
        assert len(numbers) == 2
    assert server.connections == 3


def closing_after_one(peer: Peer) -> None:
    peer.request()
    peer.answer("text/plain", b"hello")


def test_a_connection_that_lapsed_is_opened_again_before_the_turn() -> None:
    with service(closing_after_one) as (made, server):
        for _ in range(3):
            made.prepare()
            assert take(made).connected.reused is False
            until_lapsed(made)
    assert server.connections == 3


def test_a_waiting_connection_that_lapsed_before_its_turn_is_replaced() -> None:
    def impatient(peer: Peer) -> None:
        if server.connections == 1:
            return
        hello(peer)

    with serving(impatient) as server, service_at(server.url) as made:
        made.check()
        until_lapsed(made)
        made.prepare()
        assert take(made).connected.reused is False
    assert server.connections == 2


def test_after_a_silent_gap_a_lapsed_connection_is_opened_inside_the_turn_and_said_to_be_new() -> (
    None
):
    with service(closing_after_one) as (made, server):
        made.prepare()
        take(made)
        until_lapsed(made)
        assert take(made).connected.reused is False
    assert server.connections == 2


def test_an_answer_left_half_read_costs_the_connection_and_not_the_next_turn() -> None:
    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.head(content_type="text/plain", transfer_encoding="chunked")
            peer.chunk(b"hello")
            time.sleep(0.05)
            peer.chunk(b"")

    with service(script) as (made, server):
        with made.exchange("GET", server.url) as answer:
            next(answer.pieces())
        made.prepare()
        assert take(made).connected.reused is False
    assert server.connections == 2


def test_connect_ms_holds_name_tcp_and_tls_and_is_outside_the_turn() -> None:
    with serving(hello, slow_tls_server) as server:
        url = f"https://localhost:{server.port}"
        with service_at(url, ca_file=CERTIFICATE) as made:
            made.prepare()
            assert server.connections == 1
            connected = take(made).connected
            assert server.connections == 1
    assert connected.connect_ms >= SLOW_CONNECT_S * 1000
    assert (connected.reused, connected.in_turn) == (False, False)


def test_the_rest_of_a_tls_record_is_waited_for_and_the_wait_is_an_arrival() -> None:
    asked_at: Queue[int] = Queue()

    def has_waited_since(arrival: int) -> bool:
        return answer._connection.arrivals > arrival

    def script(peer: Peer) -> None:
        records = TlsRecords(peer)
        records.read_until(b"\r\n\r\n")
        records.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for text in (b"one", b"two"):
            record = records.sealed(b"3\r\n%s\r\n" % text)
            peer.send(record[:9])
            until(partial(has_waited_since, asked_at.get(timeout=LONGEST_S)))
            peer.send(record[9:] + records.sealed(b"1\r\n!\r\n"))
        peer.wait_for_hangup()

    with (
        serving(script) as server,
        service_at(f"https://localhost:{server.port}", ca_file=CERTIFICATE) as made,
        made.exchange("GET", made.shown_url) as answer,
    ):
        pieces: list[Piece] = []
        while len(pieces) < 4:
            # A part of the next record is there.
            assert select([answer._connection.socket], [], [], LONGEST_S)[0]
            asked_at.put(answer._connection.arrivals)
            pieces.append(next(answer.pieces()))
            pieces.append(next(answer.pieces()))
    assert [piece.data for piece in pieces] == [b"one", b"!", b"two", b"!"]
    first, same, second, _ = [piece.arrival for piece in pieces]
    assert first == same < second


class TlsRecords:
    """The server's end of TLS that gives each record out as bytes, to be sent in parts."""

    def __init__(self, peer: Peer) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        self._peer = peer
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._pumped(self._shake_hands)

    def _shake_hands(self) -> bytes:
        self._tls.do_handshake()
        return b""

    def read_until(self, end: bytes) -> None:
        got = b""
        while end not in got:
            got += self._pumped(self._tls.read)

    def sealed(self, data: bytes) -> bytes:
        self._tls.write(data)
        return self._out.read()

    def send(self, data: bytes) -> None:
        self._peer.send(self.sealed(data))

    def _pumped(self, step: Callable[[], bytes]) -> bytes:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                self._in.write(self._peer.socket.recv(65536))
            finally:
                self._flush()

    def _flush(self) -> None:
        if data := self._out.read():
            self._peer.send(data)


def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    with (
        serving(hello, tls_server) as server,
        service_at(f"https://localhost:{server.port}") as made,
        pytest.raises(
            RemoteError, match=r"https://localhost:.* has a certificate that is not trusted"
        ) as caught,
    ):
        made.check()
    assert caught.value.stage == "connect"


def test_tls_with_a_server_that_speaks_none_is_said_so() -> None:
    def in_the_clear(peer: Peer) -> None:
        peer.socket.recv(65536)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.wait_for_hangup()

    with (
        serving(in_the_clear) as server,
        service_at(f"https://127.0.0.1:{server.port}") as made,
        pytest.raises(RemoteError, match="fails the TLS handshake") as caught,
    ):
        made.check()
    assert caught.value.stage == "connect"
    assert f"https://127.0.0.1:{server.port}" in str(caught.value)


def test_a_server_that_never_finishes_its_tls_handshake_is_given_up_in_time() -> None:
    def mute(peer: Peer) -> None:
        peer.wait_for_hangup()

    with (
        serving(mute) as server,
        service_at(f"https://127.0.0.1:{server.port}", timeouts=Timeouts(connect_s=1.5)) as made,
    ):
        began = time.monotonic()
        with pytest.raises(RemoteError, match=r"TLS handshake within 1\.5 s") as caught:
            made.check()
        assert 1.4 < time.monotonic() - began < GIVEN_UP_S
    assert (caught.value.fault, caught.value.stage) == ("timeout", "connect")


def test_a_connect_inside_the_turn_ends_with_the_turn() -> None:
    def mute(peer: Peer) -> None:
        peer.wait_for_hangup()

    deadline = TurnDeadline(1.5)
    limits = Timeouts(connect_s=20, turn_s=1.5)
    with (
        serving(mute) as server,
        service_at(
            f"https://127.0.0.1:{server.port}", timeouts=limits, deadline=deadline, cold=True
        ) as made,
    ):
        began = time.monotonic()
        deadline.start()
        with pytest.raises(RemoteError, match=r"left of the turn's 1\.5 s") as caught:
            take(made)
        assert 1.4 < time.monotonic() - began < GIVEN_UP_S
    assert (caught.value.fault, caught.value.stage) == ("timeout", "connect")


def test_a_turn_that_is_over_connects_no_more() -> None:
    deadline = TurnDeadline(0.001)
    with service(deadline=deadline, timeouts=Timeouts(turn_s=0.001)) as (made, server):
        deadline.start()
        time.sleep(0.01)
        with pytest.raises(RemoteError, match=r"not done within the turn's 0\.001 s"):
            take(made)
    assert server.connections == 0


def test_the_wait_for_the_first_byte_begins_when_the_connection_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(
        "voicebench.remote.connection.http.WaitBudget", partial(WaitBudget, clock=lambda: now[0])
    )

    def slow_by_the_clock(sock: socket.socket) -> socket.socket:
        now[0] += 30
        return tls_server(sock)

    with (
        serving(hello, slow_by_the_clock) as server,
        service_at(
            f"https://localhost:{server.port}",
            ca_file=CERTIFICATE,
            timeouts=Timeouts(first_byte_s=20, turn_s=60),
        ) as made,
    ):
        assert take(made).connected.in_turn is True
    assert now == [1030.0]


def test_a_connection_says_whether_the_turn_waited_for_it() -> None:
    with service(closing_after_one) as (made, _):
        made.prepare()
        assert take(made).connected.in_turn is False
        until_lapsed(made)
        assert take(made).connected.in_turn is True
    with service() as (made, _):
        assert [take(made).connected.in_turn for _ in range(2)] == [True, False]


def test_a_name_lookup_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*args: object, **kwargs: object) -> list[object]:
        released.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with (
        service_at("http://slow.example", timeouts=Timeouts(connect_s=0.2)) as made,
        pytest.raises(RemoteError, match=r"http://slow\.example did not take a connection"),
    ):
        made.check()
    released.set()


def test_an_unknown_name_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with (
        service_at("http://no-such-host.invalid") as made,
        pytest.raises(RemoteError, match="its name is not known") as caught,
    ):
        made.check()
    assert caught.value.stage == "connect"


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("step", ["socket", "getaddrinfo"])
def test_without_a_file_descriptor_the_remedy_is_not_the_servers(
    step: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*args: object, **kwargs: object) -> object:
        raise OSError(code, os.strerror(code))

    with serving(hello) as server, service_at(server.url) as made:
        monkeypatch.setattr(socket, step, none_left)
        with pytest.raises(RemoteError) as caught:
            made.check()
        monkeypatch.undo()
    assert f"cannot be reached ({os.strerror(code)})" in caught.value.message
    assert "ulimit -n" in caught.value.remedy
    assert "server" not in caught.value.remedy
    assert (caught.value.fault, caught.value.stage) == ("refused", "connect")


def test_a_host_with_a_dead_and_a_living_address_is_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def both(host: str, port: int, **kwargs: object) -> list[object]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("127.0.0.1", dead)), (*kind, ("127.0.0.1", port))]

    dead = closed_port()
    monkeypatch.setattr(socket, "getaddrinfo", both)
    with serving(hello) as server, service_at(f"http://two.example:{server.port}") as made:
        made.check()


# Redirects, proxies, the environment.


def redirecting_to(where: str) -> Script:
    def script(peer: Peer) -> None:
        while True:
            if peer.request().target == "/":
                peer.head("307 Temporary Redirect", location=where, content_length="0")
            else:
                peer.answer("text/plain", b"hello")

    return script


def test_a_redirect_is_a_failure_unless_asked_for() -> None:
    with (
        service(redirecting_to("/there")) as (made, server),
        pytest.raises(RemoteError, match="redirects to /there") as caught,
    ):
        take(made)
    assert caught.value.fault == "refused"
    assert len(server.requests) == 1


def test_a_redirect_asked_for_is_followed_on_the_same_server() -> None:
    with service(redirecting_to("/there"), redirects=True) as (made, server):
        take(made)
    assert [request.target for request in server.requests] == ["/", "/there"]


def test_a_redirect_to_another_server_is_never_followed_for_the_key_would_go_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    with serving(hello) as other:
        access = {"redirects": True, "key": ApiKey("SOME_KEY", header="xi-api-key", scheme="")}
        with (
            service(redirecting_to(f"{other.url}/x"), **access) as (made, _),
            pytest.raises(RemoteError, match="redirects to another server"),
        ):
            take(made)
    assert other.connections == 0


def test_redirects_that_go_round_come_to_an_end() -> None:
    with (
        service(redirecting_to("/"), redirects=True) as (made, server),
        pytest.raises(RemoteError, match="more than 5 times"),
    ):
        take(made)
    assert len(server.requests) == 5


def test_the_environments_proxy_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with service() as (made, _):
        take(made)


def test_a_proxy_asked_for_is_used() -> None:
    with serving(hello) as proxy, service_at("http://somewhere.example", proxy=proxy.url) as made:
        made.check()
        connected = take(made, "/x").connected
    assert proxy.requests[0].target == "http://somewhere.example/x"
    assert proxy.connections == 1
    assert connected.reused is False


def test_a_proxy_with_a_password_in_its_url_is_refused() -> None:
    with pytest.raises(UsageError, match="a name or a password"):
        HttpService("http://host", Access(proxy="http://me:secret@proxy"), "tts")


# What comes in is bounded.


def test_an_answer_without_end_is_cut_off_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebench.remote.connection.answer.MAX_BODY_BYTES", 1000)

    def script(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="text/plain", transfer_encoding="chunked")
        while True:
            peer.chunk(b"x" * 300)

    with (
        service(script) as (made, server),
        made.exchange("GET", server.url) as answer,
        pytest.raises(RemoteError, match="sends without end"),
    ):
        for _ in answer.pieces():
            pass


def test_a_body_shorter_than_its_declared_length_is_a_failure() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="text/plain", content_length="100")
        peer.send(b"hello")

    with (
        service(script) as (made, server),
        made.exchange("GET", server.url) as answer,
        pytest.raises(RemoteError, match="violated the rules of HTTP") as caught,
    ):
        answer.whole(1000)
    assert (caught.value.fault, caught.value.stage) == ("protocol", "tts")


def test_a_long_error_page_is_read_to_a_bound_and_quoted_shortly() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.head("503 Busy", content_type="text/plain", transfer_encoding="chunked")
        while True:
            peer.chunk(b"\x1b[31mbusy " * 1000)

    with (
        service(script) as (made, _),
        pytest.raises(RemoteError, match="answers 503") as caught,
    ):
        take(made)
    assert len(str(caught.value)) < 500
    assert "\x1b" not in str(caught.value)


def test_the_content_type_is_read_with_its_parameters() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.answer('Audio/L16; Rate=24000; channels="1"', b"hello")

    with service(script) as (made, _):
        kind, parameters = take(made).content_type
    assert (kind, parameters) == ("audio/l16", {"rate": "24000", "channels": "1"})


# HTTP/2.


def http2(peer: Peer) -> None:
    """Answer requests over HTTP/2 in clear text: "hel" and "lo", 100 ms apart."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    peer.send(connection.data_to_send())
    while data := peer.socket.recv(65536):
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                stream = event.stream_id
                head = [(":status", "200"), ("content-type", "text/plain")]
                connection.send_headers(stream, head)
                connection.send_data(stream, b"hel")
                peer.send(connection.data_to_send())
                time.sleep(0.1)
                connection.send_data(stream, b"lo", end_stream=True)
        peer.send(connection.data_to_send())


@pytest.mark.parametrize(
    ("script", "said", "connect_s"),
    [
        (closing_after_one, "speaks HTTP/1.1", 10),
        (lambda peer: peer.send(b"HTTP/1.0 400 Bad Request\r\n\r\n"), "speaks HTTP/1.1", 10),
        (lambda peer: None, "speaks no HTTP/2", 10),
        (lambda peer: peer.socket.recv(9) and peer.reset(), "speaks no HTTP/2", 10),
        # Waited for to the end.
        (lambda peer: peer.socket.recv(9) and peer.wait_for_hangup(), "speaks no HTTP/2", 1.5),
    ],
)
def test_a_server_without_http2_is_found_out_before_any_turn(
    script: Script, said: str, connect_s: float
) -> None:
    with (
        service(script, http2=True, timeouts=Timeouts(connect_s=connect_s)) as (made, _),
        pytest.raises(RemoteError, match=said) as caught,
    ):
        made.check()
    assert "set wire.http2 = false" in str(caught.value)


def test_a_server_of_http2_is_found_out_and_the_turns_connection_is_another() -> None:
    with service(http2, http2=True) as (made, server):
        made.check()
        assert take(made).http_version == "HTTP/2"
    assert server.connections == 2


def test_http2_is_spoken_over_the_connection_opened_before_and_reused() -> None:
    with service(http2, http2=True) as (made, server):
        made.prepare()
        first = take(made)
        made.prepare()
        second = take(made)
    assert first.http_version == "HTTP/2"
    assert (first.connected.reused, second.connected.reused) == (False, True)
    assert server.connections == 1


@pytest.mark.parametrize("http2_too", [False, True])
def test_the_key_is_in_no_log_however_much_is_logged(
    http2_too: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    script = http2 if http2_too else hello
    with (
        caplog.at_level(1),
        service(script, http2=http2_too, key=ApiKey("SOME_KEY")) as (made, _),
    ):
        take(made)
    # HTTP/1.1 is spoken by h11, which logs nothing.
    assert bool(caplog.records) == http2_too
    assert not any("sk-secret" in record.getMessage() for record in caplog.records)


def test_pieces_over_http2_come_as_they_arrive() -> None:
    pieces: list[Piece] = []

    def script(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="text/plain")
        peer.chunk(b"hel")
        # The client has it and waits for more.
        until(lambda: pieces and answer._connection.arrivals > pieces[0].arrival)
        peer.chunk(b"lo")
        peer.chunk(b"")
        peer.wait_for_hangup()

    with (
        service(over_http2(script), http2=True) as (made, server),
        made.exchange("GET", server.url) as answer,
    ):
        stream = answer.pieces()
        pieces.append(next(stream))
        pieces.extend(stream)
    assert [piece.data for piece in pieces] == [b"hel", b"lo"]
    assert pieces[0].arrival < pieces[1].arrival


def test_an_http2_connection_that_lapsed_is_opened_again() -> None:
    def once(peer: Peer) -> None:
        closing_after_one(Http2Peer(peer))
        # Closed altogether with words of the client unread, the connection would be reset.
        peer.socket.shutdown(socket.SHUT_WR)
        peer.wait_for_hangup()

    with service(once, http2=True) as (made, server):
        take(made)
        until_lapsed(made)
        made.prepare()
        assert take(made).connected.reused is False
        until_lapsed(made)
        # After a silent gap, inside the turn.
        assert take(made).connected.reused is False
    assert server.connections == 3


def test_http2_over_tls_is_agreed_on_in_the_handshake() -> None:
    def tls_h2(sock: socket.socket) -> socket.socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        context.set_alpn_protocols(["h2"])
        return context.wrap_socket(sock, server_side=True)

    with serving(http2, tls_h2) as server:
        url = f"https://localhost:{server.port}"
        with service_at(url, http2=True, ca_file=CERTIFICATE) as made:
            made.prepare()
            assert take(made).http_version == "HTTP/2"
    assert server.connections == 1


def test_a_stalled_http2_stream_fails_within_its_time() -> None:
    def stall(peer: Peer) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        peer.send(connection.data_to_send())
        peer.wait_for_hangup()

    limits = Timeouts(first_byte_s=0.3)
    with service(stall, http2=True, timeouts=limits) as (made, _):
        began = time.monotonic()
        with pytest.raises(RemoteError, match=r"no byte of an answer within 0\.3 s") as caught:
            take(made)
        assert time.monotonic() - began < GIVEN_UP_S
    assert caught.value.fault == "timeout"
