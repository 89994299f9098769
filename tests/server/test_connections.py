"""What a client may hold up by sending half of something, or by reading nothing."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from scripted_engines import PATIENCE_S, sound, words
from served_somewhere import engines, prepared, server

from voicebench.events import TtsEvent, TurnStarted
from voicebench.server import request_gate as gate
from voicebench.server.connections import (
    MAX_HEAD_BYTES,
    MOST_CONNECTIONS,
    SLOWEST,
    Arrears,
    ClientConnection,
    Connections,
    Limits,
    limits_for,
)
from voicebench.server.served import ServedCascade
from voicebench.turn import wire

SOON = Limits(head_s=0.3, idle_s=1)
HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"


class EndlessVoice:
    """A voice that goes on for ever; tells when it is made to stop."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def speak(self, text: str) -> Iterator[TtsEvent]:
        try:
            while True:
                yield sound(20_000)
        finally:
            self.closed.set()

    def describe(self) -> dict[str, object]:
        return {"engine": "endless"}

    def close(self) -> None: ...


@contextmanager
def connected(url: str, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.socket() as sock:
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE_S)
        sock.connect((parts.hostname, parts.port))
        yield sock


def read_to_end(sock: socket.socket) -> bytes:
    data = b""
    try:
        while more := sock.recv(65536):
            data += more
    except ConnectionError:
        pass
    return data


def answered(sock: socket.socket) -> bytes:
    """Return the head of one answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        assert more, data
        data += more
    return data


def is_served(url: str) -> bool:
    return httpx.get(f"{url}/health", trust_env=False, timeout=PATIENCE_S).status_code == 200


@pytest.mark.parametrize("beginning", [b"G", b"\r\n", b"GET /health HTTP/1.1\r\nhost: loc"])
def test_half_a_head_is_given_up_and_holds_nobody_up(beginning: bytes) -> None:
    with server(limits=SOON) as url, ExitStack() as stack:
        socks = [stack.enter_context(connected(url)) for _ in range(20)]
        for sock in socks:
            sock.sendall(beginning)
        assert is_served(url)
        for sock in socks:
            assert read_to_end(sock).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "drops", [b"GET /health HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 400, b"\r\n" * 200]
)
def test_a_head_that_drips_is_given_up_however_steadily_it_comes(drops: bytes) -> None:
    with server(limits=SOON) as url, connected(url) as sock:
        began = time.monotonic()
        with pytest.raises(ConnectionError):  # noqa: PT012
            for number in range(len(drops)):
                sock.sendall(drops[number : number + 1])
                time.sleep(0.02)
        assert time.monotonic() - began < 0.02 * len(drops)


def test_a_second_head_has_to_come_in_time_too() -> None:
    with server(limits=SOON) as url, connected(url) as sock:
        sock.sendall(HEALTH)
        assert answered(sock).startswith(b"HTTP/1.1 200 ")
        sock.sendall(HEALTH[:10])
        assert b"HTTP/1.1 408 " in read_to_end(sock)


@pytest.mark.parametrize("beginning", [b"", HEALTH])
def test_a_connection_without_a_request_is_closed_after_a_while(beginning: bytes) -> None:
    with server(limits=SOON) as url, connected(url) as sock:
        sock.sendall(beginning)
        assert read_to_end(sock).startswith(b"HTTP/1.1 200 " if beginning else b"")


def test_a_request_that_takes_longer_than_a_head_may_is_served() -> None:
    with server("sim:ttft=900ms,token=1ms,ttfb=900ms,speed=100x", limits=SOON) as url:
        answer = httpx.get(f"{url}/tts/stream?text=hi", trust_env=False, timeout=PATIENCE_S)
        assert answer.status_code == 200
        assert len(answer.content) > 1000


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\nx: " + b"y" * (3 * MAX_HEAD_BYTES),
        b"GET /" + b"y" * (3 * MAX_HEAD_BYTES),
        b"GET /health HTTP/1.1\r\n" + b"x: y\r\n" * 20_000,
        b"GET /health HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 200 + b"\r\n",
        b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: "
        + b"y" * (2 * MAX_HEAD_BYTES)
        + b"\r\n\r\n",
    ],
)
def test_a_head_that_is_too_large_is_refused(head: bytes) -> None:
    with server() as url, connected(url) as sock:
        try:
            sock.sendall(head)
        except ConnectionError:
            return
        assert read_to_end(sock).split()[1] in (b"400", b"431")
        assert is_served(url)


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n\r\n123456",
        b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"transfer-encoding: x\r\n\r\n",
        b"content-length: +5\r\n\r\n12345",
        b"content-length: 0x5\r\n\r\n12345",
        b"x : y\r\n\r\n",
        b"x\x00y: z\r\n\r\n",
        b"x: y\x00\r\n\r\n",
    ],
)
def test_a_head_that_two_servers_could_read_in_two_ways_is_refused(head: bytes) -> None:
    with server(limits=SOON) as url, connected(url) as sock:
        sock.sendall(b"POST /tts/stream HTTP/1.1\r\nhost: localhost\r\n" + head + HEALTH)
        answers = read_to_end(sock)
        assert answers.startswith(b"HTTP/1.1 400 "), answers
        assert answers.count(b"HTTP/1.1 ") == 1


def test_there_are_at_most_so_many_connections_and_the_one_that_waits_longest_goes() -> None:
    with server(limits=Limits(most=4)) as url, ExitStack() as stack:
        socks = [stack.enter_context(connected(url)) for _ in range(4)]
        for sock in socks:
            sock.sendall(HEALTH)
            answered(sock)
        for _ in range(3):
            newest = stack.enter_context(connected(url))
            newest.sendall(HEALTH)
            assert answered(newest).startswith(b"HTTP/1.1 200 ")
        for sock in socks[:3]:
            assert read_to_end(sock) == b""
        socks[3].sendall(HEALTH)
        assert answered(socks[3]).startswith(b"HTTP/1.1 200 ")


def test_whoever_is_being_answered_keeps_the_connection_and_the_newest_goes() -> None:
    voice = EndlessVoice()
    with (
        server(engines(prepared(), voice), limits=Limits(most=2)) as url,
        ExitStack() as stack,
    ):
        busy = [stack.enter_context(connected(url)) for _ in range(2)]
        for sock in busy:
            sock.sendall(b"GET /tts/stream?text=a HTTP/1.1\r\nhost: localhost\r\n\r\n")
            answered(sock)
        newest = stack.enter_context(connected(url))
        assert read_to_end(newest) == b""
        for sock in busy:
            assert sock.recv(1000)


def upgrade(url: str, path: str = "/v1/voice") -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nhost: {urlsplit(url).netloc}\r\nupgrade: websocket\r\n"
        "connection: upgrade\r\nsec-websocket-version: 13\r\n"
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def frame(opcode: int, data: bytes, *, fin: bool = True) -> bytes:
    """Return a client's frame: masked, by zeros."""
    head = bytes([opcode | (0x80 if fin else 0)])
    length = len(data)
    if length < 126:
        return head + bytes([0x80 | length]) + bytes(4) + data
    return head + b"\xfe" + struct.pack(">H", length) + bytes(4) + data


@contextmanager
def opened(url: str, path: str = "/v1/voice", **options: int) -> Iterator[socket.socket]:
    with connected(url, **options) as sock:
        sock.sendall(upgrade(url, path))
        assert answered(sock).startswith(b"HTTP/1.1 101 ")
        yield sock


def test_sockets_get_half_of_the_connections() -> None:
    with server(limits=Limits(most=4)) as url, opened(url), opened(url):
        with connected(url) as third:
            third.sendall(upgrade(url))
            assert read_to_end(third).startswith(b"HTTP/1.1 503 ")
        assert is_served(url)


@pytest.fixture
def no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail where the server logs a traceback."""
    with caplog.at_level(logging.WARNING):
        yield
    assert not [record.getMessage() for record in caplog.records if record.exc_info]


@pytest.mark.usefixtures("no_traceback")
@pytest.mark.parametrize("path", ["/v1/voice", "/v1/realtime", "/tts/socket"])
@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (frame(1, b'{"text": "\xc3'), 1007),
        (frame(1, b"\xc3", fin=False) + frame(0, b"x"), 1007),
        (frame(1, b"a", fin=False) + frame(0, b"", fin=False) * 3000, 1009),
        (frame(1, b"a" * 60_000, fin=False) + frame(0, b"a" * 60_000, fin=False) * 5, 1009),
        (frame(3, b"a"), 1002),
        (frame(8, b"\x03"), 1002),
        (frame(8, b"\x03\xe8\xff"), 1007),
    ],
)
def test_what_is_no_message_ends_a_socket_with_its_code(
    path: str, frames: bytes, code: int
) -> None:
    with server() as url, opened(url, path) as sock:
        try:
            sock.sendall(frames)
        except ConnectionError:
            return
        data = read_to_end(sock)
        assert struct.pack(">H", code) in data
        assert is_served(url)


def test_a_letter_that_comes_in_two_frames_is_whole() -> None:
    with server() as url, opened(url, "/tts/socket") as sock:
        text = '{"text": "é"}'.encode()
        at = text.index(b"\xc3") + 1
        sock.sendall(frame(1, text[:at], fin=False) + frame(0, text[at:]))
        data = b""
        while b'"done": true' not in data:
            more = sock.recv(65536)
            assert more, data
            data += more


def ask_over_http(url: str) -> bytes:
    return f"GET /tts/stream?text=a HTTP/1.1\r\nhost: {urlsplit(url).netloc}\r\n\r\n".encode()


@contextmanager
def silent(url: str, path: str) -> Iterator[socket.socket]:
    """Ask for a turn that never ends, and read nothing of it but its beginning."""
    if path == "/tts/stream":
        with connected(url, receive_buffer=4096) as sock:
            sock.sendall(ask_over_http(url))
            assert sock.recv(1)
            yield sock
        return
    started = wire.encode(TurnStarted("hello"))
    assert isinstance(started, str)
    message = started if path == "/v1/voice" else '{"text": "hello"}'
    with opened(url, path, receive_buffer=4096) as sock:
        sock.sendall(frame(1, message.encode()))
        assert sock.recv(1)
        yield sock


def endless() -> tuple[ServedCascade, EndlessVoice]:
    voice = EndlessVoice()
    return engines(prepared(words("One two three.")), voice), voice


@pytest.mark.usefixtures("no_traceback")
@pytest.mark.parametrize("path", ["/tts/stream", "/v1/voice", "/tts/socket"])
def test_a_client_that_reads_nothing_loses_its_connection_and_its_turn(path: str) -> None:
    served, voice = endless()
    with server(served, limits=Limits(stall_s=1.0)) as url, silent(url, path) as sock:
        assert voice.closed.wait(PATIENCE_S)
        with pytest.raises(ConnectionError):  # noqa: PT012
            while sock.recv(65536):
                pass
            raise ConnectionError
        assert is_served(url)


@pytest.mark.parametrize("path", ["/tts/stream", "/v1/voice"])
def test_where_others_wait_it_loses_them_sooner(path: str) -> None:
    served, voice = endless()
    limits = Limits(stall_s=1000.0, stall_while_others_wait_s=1.0)
    with server(served, most_running=1, limits=limits) as url, silent(url, path):
        assert not voice.closed.wait(2.0)
        voice.closed.clear()
        with connected(url) as other:
            other.sendall(ask_over_http(url))
            assert answered(other).startswith(b"HTTP/1.1 200 ")
            assert voice.closed.is_set()


def test_a_client_that_reads_as_fast_as_it_listens_keeps_its_turn() -> None:
    served, voice = endless()
    limits = Limits(stall_s=1.5, stall_while_others_wait_s=1.5)
    with server(served, limits=limits) as url, silent(url, "/tts/stream") as sock:
        until = time.monotonic() + 5.0
        while time.monotonic() < until:
            assert sock.recv(4096)
            time.sleep(4096 / (4 * SLOWEST))
        assert not voice.closed.is_set()


def test_the_pings_of_a_client_that_reads_nothing_pile_nothing_up() -> None:
    served, _ = endless()
    with server(served, limits=Limits(stall_s=1000.0)) as url, silent(url, "/v1/voice") as sock:
        time.sleep(0.5)  # until nothing more is taken
        pings = b"".join(frame(9, b"%-120d" % number) for number in range(20_000))
        sock.sendall(pings)  # the server reads them all, or this would never end
        last = b"%-120d" % 19_999
        data, pongs = b"", 0
        while last not in data:
            more = sock.recv(1 << 20)
            assert more
            data = data[-200:] + more
            pongs += more.count(b"\x8a\x78")
        assert pongs < 2000


def test_a_body_has_to_come_as_a_whole_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "BODY_S", 0.5)
    with server() as url, connected(url) as sock:
        sock.sendall(
            b"POST /tts/stream HTTP/1.1\r\nhost: localhost\r\n"
            b"content-type: application/json\r\ncontent-length: 100\r\n\r\n"
        )
        began = time.monotonic()
        with pytest.raises(ConnectionError):  # noqa: PT012
            for _ in range(100):
                sock.sendall(b" ")
                time.sleep(0.1)
        assert time.monotonic() - began < 8


# On a clock of its own.


def test_a_listener_is_never_behind() -> None:
    arrears = Arrears(0.0, 0)
    for second in range(1, 100):
        arrears.update(float(second), second * SLOWEST)
        assert arrears.seconds == 0


def test_whoever_takes_nothing_is_behind_by_the_time_that_passed() -> None:
    arrears = Arrears(0.0, 500)
    arrears.update(4.0, 500)
    arrears.update(7.0, 500)
    assert arrears.seconds == 7
    arrears.update(7.0, 500 + 2 * SLOWEST)
    assert arrears.seconds == 5
    arrears.grow = False
    arrears.update(9.0, 500 + 2 * SLOWEST)
    assert arrears.seconds == 3


def test_half_of_a_listeners_pace_is_half_of_the_time_behind() -> None:
    arrears = Arrears(0.0, 0)
    for second in range(1, 61):
        arrears.update(float(second), second * SLOWEST // 2)
    assert arrears.seconds == pytest.approx(30)


@pytest.mark.parametrize("descriptors", [0, 10, 40, 100, 1000, 100_000])
def test_connections_fit_into_the_descriptors_that_are_left(descriptors: int) -> None:
    limits = limits_for(descriptors)
    assert 4 <= limits.most <= MOST_CONNECTIONS
    assert limits.most + limits.backlog <= max(8, descriptors)
    if descriptors > 1000:
        assert limits == Limits()


class Known(ClientConnection):
    """A connection of a test."""

    def __init__(self, idle_since: float | None) -> None:
        self.idle_since = idle_since
        self.is_closed = False

    def taken(self) -> int:
        return 0

    def break_off(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("idle", "goes"),
    [((3.0, 1.0, 2.0), 1), ((None, 5.0, 9.0), 1), ((None, None, 9.0), 2), ((1.0, None, 0.5), 0)],
)
def test_the_newest_goes_only_where_all_others_are_busy(
    idle: tuple[float | None, ...], goes: int
) -> None:
    connections = Connections(Limits(most=2))
    known = [Known(since) for since in idle]
    for one in known:
        connections.opened(one)
    assert [one.is_closed for one in known] == [index == goes for index in range(3)]
    assert len(connections) == 2
