"""A line to a WebSocket server: opened, kept open, and named errors where it is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
from loopback import Peer, serving
from loopback_ws import SocketPeer, socket_script
from replayed_socket import accepted

from voicebench.audio.pcm import AudibleRule
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.events import AudioChunk, TextChunk, Token, TurnFinished
from voicebench.load.reading.reading_loop import ReadingLoop
from voicebench.load.reading.socket_line import SocketLine
from voicebench.load.reading.socket_turn import SocketTurn
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.targets.realtime import Realtime
from voicebench.targets.remote_turn import SocketTarget
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.turn import wire

RULE = AudibleRule()
SHORT = Access(timeouts=Timeouts(connect_s=0.3, first_byte_s=0.4, between_bytes_s=0.4, turn_s=5.0))
LONGEST_S = 20.0
VOICE = synthetic_voice(4800, 24_000)


def http(status: str, *fields: str, body: str = "") -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        peer.request()
        head = [f"HTTP/1.1 {status}", *fields, f"content-length: {len(body)}"]
        peer.send(("\r\n".join(head) + "\r\n\r\n" + body).encode())

    return script


def silent(peer: Peer) -> None:
    peer.request()
    time.sleep(1.0)


def hangs_up(peer: Peer) -> None:
    peer.request()
    raise EOFError


def extension(peer: Peer) -> None:
    request = peer.request()
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    answer = accepted(("\r\n".join(lines) + "\r\n\r\n").encode())
    named = b"\r\nsec-websocket-extensions: permessage-deflate\r\n"
    peer.send(answer.replace(b"\r\n", named, 1))


def turn_at(port: int, new_target: Callable[[str], SocketTarget]) -> SocketTurn:
    loop = ReadingLoop()
    target = new_target(f"ws://127.0.0.1:{port}/v1/voice")
    ended: list[SocketTurn] = []
    try:
        line = SocketLine(loop, (2, ("127.0.0.1", port)), target)
        turn = SocketTurn(line, "Hi", None, RULE, ended.append)
        limit_ns = time.perf_counter_ns() + round(LONGEST_S * 1e9)
        loop.run_until(lambda: turn.has_ended, limit_ns)
    finally:
        loop.close()
    assert ended == [turn]
    return turn


def reason_of(turn: SocketTurn) -> str:
    timeline = turn.read.seal(
        1, "load", RULE, clients=VoiceSocket("ws://127.0.0.1:1/v1/voice", SHORT)
    ).timeline
    assert timeline.failure is not None
    assert turn.has_failed
    return timeline.failure.reason


def says_nothing(_peer: SocketPeer) -> None:
    time.sleep(1.0)


def restarts(peer: SocketPeer) -> None:
    peer.receive()
    peer.close(1012, "restart")


NO_KEY = http("401 Unauthorized", body='{"error": "no key"}')
ELSEWHERE = http("302 Found", "location: ws://127.0.0.1:9/x")
REFUSALS: dict[str, tuple[Callable[[Peer], object], str]] = {
    "401": (NO_KEY, "answers 401 instead of opening a WebSocket: no key"),
    "404": (http("404 Not Found"), "answers 404 instead of opening a WebSocket"),
    "redirect": (ELSEWHERE, "redirects to ws://127.0.0.1:9/x"),
    "no answer": (silent, "did not end the WebSocket handshake within 0.3 s"),
    "hung up": (hangs_up, "opens no WebSocket"),
    "an extension": (extension, "opens no WebSocket"),
    "silence": (socket_script(says_nothing, [wire.SUBPROTOCOL]), "no byte of an answer within 0.4"),
    "restart": (socket_script(restarts, [wire.SUBPROTOCOL]), "with code 1012: restart"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_server_that_does_not_answer_as_it_should_is_a_named_failure(name: str) -> None:
    script, said = REFUSALS[name]
    with serving(script) as server:
        turn = turn_at(server.port, lambda url: VoiceSocket(url, SHORT))
    assert said in reason_of(turn)


def test_a_server_that_is_not_there_is_named() -> None:
    with serving(silent) as server:
        port = server.port
    assert "cannot be reached" in reason_of(turn_at(port, lambda url: VoiceSocket(url, SHORT)))


def test_a_session_that_is_refused_fails_the_turn() -> None:
    def script(peer: SocketPeer) -> None:
        peer.send({"type": "error", "error": {"message": "no such model"}})
        time.sleep(0.2)

    with serving(socket_script(script)) as server:
        turn = turn_at(server.port, lambda url: Realtime(url, access=SHORT))
    assert turn.read.error is not None
    assert "refuses the session: no such model" in turn.read.error.message


def test_pings_between_turns_are_answered_and_the_connection_is_used_again() -> None:
    answered = threading.Event()

    def script(peer: SocketPeer) -> None:
        for _ in range(2):
            number = peer.receive_json()["turn"]
            for event in (Token("It"), TextChunk("It"), AudioChunk(VOICE, 24_000), TurnFinished()):
                peer.send(wire.encode(event, number))
            peer.ping()
            peer.await_pong()
            answered.set()

    loop = ReadingLoop()
    with serving(socket_script(script, [wire.SUBPROTOCOL])) as server:
        target = VoiceSocket(f"ws://127.0.0.1:{server.port}/v1/voice", SHORT)
        line = SocketLine(loop, (2, ("127.0.0.1", server.port)), target)
        line.open()
        for number in (1, 2):
            turn = SocketTurn(line, "Hi", None, RULE, lambda _turn: None)
            limit_ns = time.perf_counter_ns() + round(LONGEST_S * 1e9)
            until = partial(_is_over, turn, answered)
            loop.run_until(until, limit_ns)
            answered.clear()
            assert not turn.has_failed
            assert turn.read.before.turns == number - 1
            assert turn.read.connected is not None
            assert turn.read.connected.reused == (number == 2)
    loop.close()


def _is_over(turn: SocketTurn, answered: threading.Event) -> bool:
    return turn.has_ended and answered.is_set()
