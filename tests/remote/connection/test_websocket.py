"""The WebSocket: opened before the turn, read as it arrives, never waited for in vain."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from loopback import (
    GIVEN_UP_S,
    LONGEST_S,
    Loopback,
    Peer,
    Script,
    closed_port,
    failure_in_time,
    serving,
    until,
)
from loopback_ws import SocketPeer, socket_script

from voicebench.errors import CannotMeasure, UsageError
from voicebench.remote.connection import websocket
from voicebench.remote.connection.access import Access, ApiKey
from voicebench.remote.connection.open_socket import OpenSocket
from voicebench.remote.connection.socket_messages import Incoming
from voicebench.remote.connection.timeouts import Timeouts, TurnDeadline, WaitBudget
from voicebench.remote.connection.websocket import SocketService
from voicebench.remote.failure import RemoteError

CERTIFICATE = Path(__file__).with_name("data") / "loopback.pem"


def echo(peer: SocketPeer) -> None:
    while True:
        peer.send(peer.receive())


@contextmanager
def line_to(
    script: Script, wrap: Callable[[socket.socket], socket.socket] | None = None, **access: Any
) -> Iterator[tuple[SocketService, Loopback]]:
    with serving(script, wrap) as server:
        scheme, host = ("wss", "localhost") if wrap else ("ws", "127.0.0.1")
        line = SocketService(f"{scheme}://{host}:{server.port}/voice", Access(**access), "turn")
        try:
            yield line, server
        finally:
            line.drop()


def open_of(line: SocketService) -> OpenSocket:
    connected = line._open
    assert connected is not None
    return connected


def take_greeting(line: SocketService, budget: WaitBudget) -> None:
    line.receive(budget)


def ask(line: SocketService, message: str | bytes = "hello") -> str | bytes:
    _, budget = line.begin()
    line.send(message, budget)
    answer = line.receive(budget).data
    line.end()
    return answer


def take_all(line: SocketService) -> None:
    _, budget = line.begin()
    line.send("hello", budget)
    while True:
        line.receive(budget)


def failure_of(script: Callable[[SocketPeer], object], **limits: float) -> RemoteError:
    """Return the failure of a turn whose server goes on with ``script`` once it is asked.

    Of the limits only the one under test is small, so that no other can run out before it.
    """

    def asked(peer: SocketPeer) -> None:
        peer.receive()
        script(peer)

    with line_to(socket_script(asked), timeouts=Timeouts(**limits)) as (line, _):
        line.prepare()
        failure = failure_in_time(lambda: take_all(line))
    assert "ws://127.0.0.1" in str(failure)
    assert failure.stage == "turn"
    return failure


# Messages.


@pytest.mark.parametrize("message", ["héllo 🕰", b"\x00\xff" * 40_000, "", "x" * 200_000])
def test_messages_of_both_kinds_go_and_come_whole(message: str | bytes) -> None:
    with line_to(socket_script(echo)) as (line, _):
        assert ask(line, message) == message


def test_a_message_in_fragments_comes_whole_with_a_ping_between_them() -> None:
    def script(peer: SocketPeer) -> None:
        peer.receive()
        for data, fin in ((b"\xc3", False), (b"\xa9t", False)):
            peer.protocol.send_text(data, fin) if data == b"\xc3" else (
                peer.protocol.send_continuation(data, fin)
            )
            peer.ping()
            peer.await_pong()
        peer.protocol.send_continuation(b"\xc3\xa9", True)
        peer.send()

    with line_to(socket_script(script)) as (line, _):
        assert ask(line) == "été"


def test_messages_that_were_there_together_have_one_arrival_and_later_ones_another() -> None:
    def script(peer: SocketPeer) -> None:
        peer.receive()
        peer.send("a", "b")
        # The client has both and waits for more.
        until(lambda: len(taken) == 2 and open_of(line).connection.arrivals > taken[1].arrival)
        peer.send("c")

    taken: list[Incoming] = []
    with line_to(socket_script(script)) as (line, _):
        _, budget = line.begin()
        line.send("hello", budget)
        while len(taken) < 3:
            taken.append(line.receive(budget))
    first, second, third = taken
    assert first.arrival == second.arrival < third.arrival


def test_over_tls_too() -> None:
    def tls(sock: socket.socket) -> socket.socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        return context.wrap_socket(sock, server_side=True)

    with line_to(socket_script(echo), tls, ca_file=CERTIFICATE) as (line, _):
        assert ask(line, "x" * 100_000) == "x" * 100_000


# The connection.


def test_the_connection_is_opened_before_the_turn_and_reused() -> None:
    with line_to(socket_script(echo)) as (line, server):
        line.check()
        line.prepare()
        connections = []
        for _ in range(2):
            connected, budget = line.begin()
            line.send("x", budget)
            line.receive(budget)
            line.end()
            connections.append(connected)
            line.prepare()
    assert [connected.reused for connected in connections] == [False, True]
    assert connections[0].number == connections[1].number
    assert server.connections == 1


def test_connect_ms_holds_the_greeting_too() -> None:
    def script(peer: SocketPeer) -> None:
        time.sleep(0.2)
        peer.send("welcome")
        echo(peer)

    with serving(socket_script(script)) as server:
        greeted = []
        line = SocketService(
            f"ws://127.0.0.1:{server.port}",
            Access(),
            "turn",
            set_up=lambda line, budget: greeted.append(line.receive(budget).data),
        )
        line.check()
        connected, _ = line.begin()
        line.drop()
    assert greeted == ["welcome"]
    assert connected.connect_ms >= 200


def test_cold_connects_anew_in_every_turn() -> None:
    with line_to(socket_script(echo), cold=True) as (line, server):
        for _ in range(2):
            line.prepare()
            connected, budget = line.begin()
            line.send("x", budget)
            line.receive(budget)
            line.end()
            assert connected.reused is False
    assert server.connections == 2


@pytest.mark.parametrize("farewell", [True, False])
def test_a_connection_that_the_server_closed_between_turns_is_opened_again(farewell: bool) -> None:
    def one_answer(peer: SocketPeer) -> None:
        peer.send(peer.receive())
        if farewell:
            peer.close()
            peer.peer.wait_for_hangup()

    with line_to(socket_script(one_answer)) as (line, server):
        for _ in range(2):
            line.prepare()
            assert ask(line) == "hello"
            until(open_of(line).lapsed)
    assert server.connections == 2


def test_pings_are_answered_between_turns() -> None:
    answered = threading.Event()

    def script(peer: SocketPeer) -> None:
        peer.send(peer.receive())
        peer.ping()
        peer.await_pong()
        answered.set()
        echo(peer)

    with line_to(socket_script(script)) as (line, _):
        assert ask(line) == "hello"
        assert answered.wait(5)
        assert ask(line, "again") == "again"


def test_what_comes_unasked_between_turns_is_not_the_next_turns() -> None:
    def script(peer: SocketPeer) -> None:
        peer.send(peer.receive(), "late")
        echo(peer)

    with line_to(socket_script(script)) as (line, _):
        assert ask(line) == "hello"
        time.sleep(0.1)
        assert ask(line, "again") == "again"


def test_the_key_goes_into_the_handshake_and_into_no_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    seen = []

    def script(peer: SocketPeer) -> None:
        assert peer.request is not None
        seen.append(peer.request.headers["Authorization"])
        echo(peer)

    with caplog.at_level(1), line_to(socket_script(script), key=ApiKey("SOME_KEY")) as (line, _):
        ask(line)
    assert seen == ["Bearer sk-secret"]
    own = [record for record in caplog.records if record.name != "websockets.server"]
    assert not any("sk-secret" in record.getMessage() for record in own)


# The handshake fails.


def test_a_server_that_is_down_is_named_at_once() -> None:
    line = SocketService(f"ws://127.0.0.1:{closed_port()}/voice", Access(), "turn")
    with pytest.raises(CannotMeasure, match=r"ws://127\.0\.0\.1:\d+/voice cannot be reached"):
        line.check()


def answers(text: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(text)
        peer.wait_for_hangup()

    return script


@pytest.mark.parametrize(
    ("answer", "said", "fault"),
    [
        (b"HTTP/1.1 401 No\r\ncontent-length: 18\r\n\r\n" + b'{"error": "sk-bad"}'[:18],
         "answers 401", "refused"),
        (b'HTTP/1.1 403 No\r\ncontent-length: 20\r\n\r\n{"error": "no quota"}',
         "answers 403", "refused"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "answers 404", "refused"),
        (b"HTTP/1.1 307 Go\r\nlocation: ws://elsewhere/x\r\ncontent-length: 0\r\n\r\n",
         "redirects to ws://elsewhere/x", "refused"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "answers 200", "refused"),
        (b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
         b"sec-websocket-accept: wrong\r\n\r\n", "opens no WebSocket", "protocol"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "opens no WebSocket", "protocol"),
    ],
)  # fmt: skip
def test_a_handshake_refused_is_a_failure_with_its_reason(
    answer: bytes, said: str, fault: str
) -> None:
    with (
        line_to(answers(answer)) as (line, _),
        pytest.raises(RemoteError) as caught,
    ):
        line.check()
    assert said in str(caught.value)
    assert (caught.value.fault, caught.value.stage) == (fault, "connect")


def test_a_handshake_that_drips_is_given_up_in_time() -> None:
    def drip(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 101 Switching\r\n")
        while True:
            peer.send(b"x: y\r\n")
            time.sleep(0.05)

    with line_to(drip, timeouts=Timeouts(connect_s=0.5)) as (line, _):
        began = time.monotonic()
        with pytest.raises(RemoteError) as caught:
            line.check()
        assert time.monotonic() - began < GIVEN_UP_S
    assert (caught.value.fault, caught.value.stage) == ("timeout", "connect")


def mute(peer: Peer) -> None:
    peer.request()
    peer.wait_for_hangup()


def test_a_handshake_that_is_not_answered_names_its_limit() -> None:
    with (
        line_to(mute, timeouts=Timeouts(connect_s=1.5)) as (line, _),
        pytest.raises(RemoteError, match=r"WebSocket handshake within 1\.5 s"),
    ):
        line.check()


def test_a_handshake_inside_the_turn_ends_with_the_turn() -> None:
    with line_to(mute, timeouts=Timeouts(connect_s=20, turn_s=1.5)) as (line, _):
        began = time.monotonic()
        with pytest.raises(RemoteError, match=r"within what was left of the turn's 1\.5 s"):
            line.begin()
        assert time.monotonic() - began < GIVEN_UP_S


def greeted(script: Callable[[SocketPeer], object], access: Access) -> RemoteError:
    """Return the failure of a turn that waits for the greeting of a new connection."""
    with serving(socket_script(script)) as server:
        line = SocketService(
            f"ws://127.0.0.1:{server.port}",
            access,
            "turn",
            set_up=take_greeting,
        )
        return failure_in_time(line.begin)


def test_a_greeting_inside_the_turn_ends_with_the_turn() -> None:
    failure = greeted(lambda peer: peer.peer.wait_for_hangup(), Access(Timeouts(turn_s=1.5)))
    assert "not done within the turn's 1.5 s" in str(failure)


def test_a_greeting_between_turns_does_not_end_with_the_turn_before() -> None:
    deadline = TurnDeadline(0.001)
    deadline.start()
    time.sleep(0.01)

    def script(peer: SocketPeer) -> None:
        peer.send("welcome")
        echo(peer)

    with serving(socket_script(script)) as server:
        line = SocketService(
            f"ws://127.0.0.1:{server.port}",
            Access(deadline=deadline),
            "tts",
            set_up=take_greeting,
        )
        line.prepare()
        line.drop()


def test_the_wait_for_a_greeting_begins_when_the_connection_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(websocket, "WaitBudget", partial(WaitBudget, clock=lambda: now[0]))

    def slow_by_the_clock(sock: socket.socket) -> socket.socket:
        now[0] += 30
        return sock

    def greet(line: SocketService, budget: WaitBudget) -> None:
        line.send("hello", budget)
        line.receive(budget)

    with serving(socket_script(echo), slow_by_the_clock) as server:
        line = SocketService(
            f"ws://127.0.0.1:{server.port}",
            Access(Timeouts(first_byte_s=20, turn_s=60)),
            "tts",
            set_up=greet,
        )
        connected, _ = line.begin()
        line.drop()
    assert connected.in_turn is True
    assert now == [1030.0]


def test_a_connection_says_whether_the_turn_waited_for_it() -> None:
    with line_to(socket_script(echo)) as (line, _):
        said = []
        for _ in range(2):
            connected, _ = line.begin()
            line.end()
            said.append(connected.in_turn)
    assert said == [True, False]
    with line_to(socket_script(echo)) as (line, _):
        line.prepare()
        assert line.begin()[0].in_turn is False


@pytest.mark.parametrize("setting", [{"http2": True}, {"proxy": "http://proxy:3128"}])
def test_what_a_websocket_cannot_use_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="neither a proxy nor HTTP/2"):
        SocketService("ws://127.0.0.1:1", Access(**setting), "turn")


# The turn fails: each within its time, with its fault.


def test_silence_is_given_up_in_time() -> None:
    failure = failure_of(lambda peer: peer.peer.wait_for_hangup(), first_byte_s=0.4)
    assert "no byte of an answer within 0.4 s" in str(failure)
    assert failure.fault == "timeout"


def test_a_stall_is_given_up_in_time() -> None:
    def script(peer: SocketPeer) -> None:
        peer.send("one")
        peer.peer.wait_for_hangup()

    assert "sent nothing for 0.3 s" in str(failure_of(script, between_bytes_s=0.3))


def test_a_message_that_drips_without_end_ends_with_its_limit() -> None:
    def script(peer: SocketPeer) -> None:
        peer.peer.send(b"\x82\x7e\xff\xff")
        while True:
            peer.peer.send(b"x")
            time.sleep(0.03)

    failure = failure_of(script, first_byte_s=0.4)
    assert failure.fault == "timeout"


def test_pings_without_end_are_no_answer() -> None:
    def script(peer: SocketPeer) -> None:
        while True:
            peer.ping()
            time.sleep(0.03)

    assert "no byte of an answer within 0.4 s" in str(failure_of(script, first_byte_s=0.4))


def test_messages_without_end_end_with_the_turns_limit() -> None:
    def script(peer: SocketPeer) -> None:
        while True:
            peer.send("more")
            time.sleep(0.03)

    assert "not done within the turn's 0.6 s" in str(failure_of(script, turn_s=0.6))


def test_a_reset_is_a_failure() -> None:
    def script(peer: SocketPeer) -> None:
        peer.peer.reset()

    failure = failure_of(script)
    assert "closed the connection early" in str(failure)
    assert failure.fault == "protocol"


def test_an_end_without_farewell_is_a_failure() -> None:
    assert "closed the connection early" in str(failure_of(lambda peer: None))


def test_a_farewell_in_mid_turn_is_a_failure_with_its_code_and_reason() -> None:
    def script(peer: SocketPeer) -> None:
        peer.close(1011, "model crashed")
        peer.peer.wait_for_hangup()

    assert "with code 1011: model crashed" in str(failure_of(script))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\x81\x01\xff", "not UTF-8"),
        (b"\x83\x01x", "violated the rules of WebSocket"),
        (b"\x82\x7f" + (1 << 40).to_bytes(8), "violated the rules of WebSocket"),
        (b"\x80\x01x", "violated the rules of WebSocket"),
    ],
    ids=["bad UTF-8", "reserved opcode", "endless message", "continuation of nothing"],
)
def test_bytes_that_break_the_protocol_are_a_failure(raw: bytes, said: str) -> None:
    def script(peer: SocketPeer) -> None:
        peer.peer.send(raw)
        peer.peer.wait_for_hangup()

    failure = failure_of(script)
    assert said in str(failure)
    assert failure.fault == "protocol"


def test_a_message_that_is_too_long_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 1000)

    def script(peer: SocketPeer) -> None:
        peer.protocol.send_text(b"x" * 600, False)
        peer.protocol.send_continuation(b"x" * 600, True)
        peer.send()
        peer.peer.wait_for_hangup()

    assert "violated the rules of WebSocket" in str(failure_of(script))


def test_a_peer_that_reads_nothing_cannot_hold_up_who_sends() -> None:
    over = threading.Event()

    def script(peer: SocketPeer) -> None:
        over.wait(LONGEST_S)

    with line_to(socket_script(script), timeouts=Timeouts(first_byte_s=0.4)) as (line, _):
        line.prepare()
        _, budget = line.begin()
        began = time.monotonic()
        with pytest.raises(RemoteError) as caught:
            line.send(b"x" * (64 << 20), budget)
        took = time.monotonic() - began
        over.set()
    assert took < GIVEN_UP_S
    assert caught.value.fault == "timeout"


def test_whoever_receives_can_be_interrupted_from_another_thread() -> None:
    with line_to(socket_script(lambda peer: peer.peer.wait_for_hangup())) as (line, _):
        _, budget = line.begin()
        threading.Timer(0.1, line.interrupt).start()
        began = time.monotonic()
        with pytest.raises(RemoteError):
            line.receive(budget)
        assert time.monotonic() - began < GIVEN_UP_S


# The end.


def test_a_closing_handshake_that_never_comes_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket, "CLOSE_S", 0.2)
    over = threading.Event()

    def deaf(peer: SocketPeer) -> None:
        peer.send(peer.receive())
        over.wait(LONGEST_S)

    with line_to(socket_script(deaf)) as (line, _):
        ask(line)
        began = time.monotonic()
        line.close()
        took = time.monotonic() - began
        over.set()
    assert 0.2 <= took < GIVEN_UP_S


def test_a_closing_handshake_is_waited_for_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "CLOSE_S", LONGEST_S)
    seen = []

    def polite(peer: SocketPeer) -> None:
        peer.send(peer.receive())
        with pytest.raises(EOFError):
            peer.receive()
        assert peer.protocol.close_rcvd is not None
        seen.append(peer.protocol.close_rcvd.code)

    with line_to(socket_script(polite)) as (line, _):
        ask(line)
        began = time.monotonic()
        line.close()
        assert time.monotonic() - began < GIVEN_UP_S
    assert seen == [1000]
