"""Servers that repeat the key which they were sent, between escape sequences, wherever they can.

Each script is one misdeed. A route plays one after the other, one a turn, and breaks off whatever
the misdeed leaves open.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

import numpy as np
from loopback import HttpRequest, Peer
from loopback_ws import SocketPeer

from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.audio.wav_writer import wav_header
from voicebench.events import AudioChunk, Token, TurnFailed, TurnFinished
from voicebench.turn import wire

KEY = "Sk-Live-9f8A7b6C5d4E3f2A1b0C-end"
"""Capitals too: a content type is read in small letters."""
OBEYED = "\x1b]0;owned\x07\x1b[31mred\x1b[2J \x9b1m \u202egnp.exe\u2066 \x7f"
"""What a terminal obeys, and what turns the writing direction."""
BASIC = base64.b64encode(b"me:" + KEY.encode()).decode()
WORDS = f"no {KEY} {OBEYED} {quote(KEY, safe='')} {BASIC}"
RATE = 16_000
SOUND = (synthetic_voice(RATE, RATE) * 32767).astype("<i2").tobytes()
JSON_WORDS = json.dumps(WORDS)


def event(content: object) -> bytes:
    return f"data: {content if isinstance(content, str) else json.dumps(content)}\n\n".encode()


def delta(text: str) -> bytes:
    return event({"choices": [{"delta": {"content": text}}]})


STOP = event({"choices": [{"delta": {}, "finish_reason": "stop"}]}) + b"data: [DONE]\n\n"
HttpMisdeed = Callable[[Peer], object]


def raw(head: str, body: bytes = b"") -> HttpMisdeed:
    """Send these bytes, whatever they are, and hang up."""
    return lambda peer: peer.send(head.encode("latin-1", "replace") + body)


def answer(content_type: str, *parts: bytes, **more: str) -> HttpMisdeed:
    return lambda peer: peer.answer(content_type, *parts, **more)


HEADS: tuple[HttpMisdeed, ...] = (
    raw(f"HTTP/1.1 \x1b[31m{KEY}\r\n\r\n"),
    raw(f"HTTP/1.1 200 {KEY}\x1b[2J\r\ncontent-length: 0\r\n\r\n"),
    raw(f"{KEY} {OBEYED}\r\n\r\n"),
    raw(f"HTTP/1.1 200 OK\r\n{KEY}\x1b: x\r\n\r\n"),
    raw(f"HTTP/1.1 200 OK\r\ncontent-type: {KEY}\x1b[31m\r\ncontent-length: 1\r\n\r\nx"),
    raw(f"HTTP/1.1 200 OK\r\ncontent-encoding: {KEY}\r\ncontent-length: 1\r\n\r\nx"),
    raw(f"HTTP/1.1 200 OK\r\ncontent-encoding: \x9b1m{KEY}\r\ncontent-length: 1\r\n\r\nx"),
    raw(f"HTTP/1.1 200 OK\r\ncontent-length: {KEY}\r\n\r\nx"),
    raw(f"HTTP/1.1 200 OK\r\ntransfer-encoding: {KEY}\r\n\r\nx"),
    raw(f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{KEY}\x1b[31m\r\nx"),
    raw(f"HTTP/1.1 302 Found\r\nlocation: /{KEY}/x?{KEY}\r\ncontent-length: 0\r\n\r\n"),
    raw(f"HTTP/1.1 307 Moved\r\nlocation: http://{KEY}/\x9b1m\r\ncontent-length: 0\r\n\r\n"),
    raw(f"HTTP/1.1 302 Found\r\nlocation: http://[{KEY}\r\ncontent-length: 0\r\n\r\n"),
    answer(
        "application/json", b'{"error":{"message":', JSON_WORDS.encode(), b"}}", status="401 No"
    ),
    answer("application/json", b'{"detail":[{"msg":', JSON_WORDS.encode(), b"}]}", status="422 No"),
    answer("text/html", f"<title>{WORDS}</title>".encode(), status="502 Bad"),
    answer("text/plain", ("x" * 290 + WORDS).encode(), status="500 Oops"),
    answer(f"text/{KEY}", WORDS.encode()),
    answer("text/plain", WORDS.encode()),
)
CHAT: tuple[HttpMisdeed, ...] = (
    *HEADS,
    answer("text/event-stream", event({"error": {"message": WORDS}})),
    answer("text/event-stream", event({"object": "error", "message": WORDS})),
    answer("text/event-stream", f"event: error\ndata: {JSON_WORDS}\n\n".encode()),
    answer("text/event-stream", event(f"{KEY} {OBEYED}".replace("\n", " "))),
    answer("text/event-stream", b"data: \xff" + KEY.encode() + b"\n\n"),
    answer("text/event-stream", delta("Well."), event({KEY: WORDS, "choices": WORDS}), STOP),
    answer("application/json", b'{"choices":[],"message":', JSON_WORDS.encode(), b"}"),
    answer("application/json", KEY.encode()),
)
SPEECH: tuple[HttpMisdeed, ...] = (
    *HEADS,
    answer(f"audio/{KEY}", SOUND),
    answer(f"audio/pcm; rate={KEY}", SOUND),
    answer("audio/pcm", SOUND, x_sample_rate=KEY),
    answer("audio/ogg", b"OggS" + KEY.encode() * 4),
    answer("audio/flac", b"fLaC" + KEY.encode() * 4),
    answer("audio/wav", b"RIFF" + KEY.encode() * 4),
    answer("text/event-stream", event({"type": "error", "message": WORDS})),
    answer("text/event-stream", event({"type": "speech.audio.error", "message": WORDS})),
    answer("text/event-stream", event({"type": "speech.audio.delta", "audio": WORDS})),
    answer("text/event-stream", event({"type": KEY, "x": WORDS})),
)


def spoken(peer: Peer) -> None:
    peer.answer("audio/wav", wav_header(RATE, len(SOUND) // 2), SOUND, server_timing=f"{KEY};dur=3")


def written(peer: Peer) -> None:
    """Give a whole reply that holds the key, in several tokens, and what a terminal obeys."""
    tokens = ["Your ", "key is ", KEY[:5], KEY[5:9], KEY[9:], ", =1+1 ", *OBEYED, " Bye now."]
    peer.answer("text/event-stream", *map(delta, tokens), STOP)


def http_script(
    chat: Sequence[HttpMisdeed], speech: Sequence[HttpMisdeed]
) -> Callable[[Peer], object]:
    """Return a server of both routes; when a route's misdeeds are done, it answers as it should."""
    chats, speeches = (
        itertools.chain(chat, itertools.repeat(written)),
        iter(itertools.chain(speech, itertools.repeat(spoken))),
    )

    def script(peer: Peer) -> None:
        while True:
            request: HttpRequest = peer.request()
            misdeeds: Iterator[HttpMisdeed] = chats if "chat" in request.target else speeches
            misdeed = next(misdeeds)
            misdeed(peer)
            if misdeed not in (written, spoken):
                return

    return script


MODELS: tuple[HttpMisdeed, ...] = (
    *HEADS,
    answer(
        "application/json", json.dumps({"data": [{"id": WORDS}, {"id": f"b {WORDS}"}]}).encode()
    ),
)
"""What ``GET /v1/models`` may answer."""


# WebSockets.

SocketMisdeed = Callable[[SocketPeer], object]


def say(*messages: str | bytes | dict[str, object]) -> SocketMisdeed:
    return lambda peer: peer.send(*messages)


def bytes_after_handshake(data: bytes) -> SocketMisdeed:
    return lambda peer: peer.peer.send(data)


ANY_SOCKET: tuple[SocketMisdeed, ...] = (
    say(f"{KEY} {OBEYED}"),
    say(json.dumps([WORDS])),
    say({"type": "error", "error": {"message": WORDS}}),
    say({"type": "error", "message": WORDS}),
    say(KEY.encode()),
    lambda peer: peer.close(1008, f"{KEY} \x1b[31m"),
    bytes_after_handshake(b"\x81\x82\xff" + KEY.encode()),
    bytes_after_handshake(b"\x81" + bytes([len(KEY) + 1]) + b"\xff" + KEY.encode()),
    bytes_after_handshake(b"\x83" + bytes([len(KEY)]) + KEY.encode()),
)
VOICE: tuple[SocketMisdeed, ...] = (
    *ANY_SOCKET,
    say(wire.encode(TurnFailed(WORDS, "engine", "llm"))),
    say({"type": KEY}),
    say({"type": "token", "text": 5, KEY: WORDS}),
    say(
        *(wire.encode(Token(text)) for text in ("Key ", KEY[:9], KEY[9:], OBEYED)),
        wire.encode(
            AudioChunk(np.frombuffer(SOUND, "<i2").astype(np.float32) / np.float32(32768), RATE)
        ),
        wire.encode(TurnFinished()),
    ),
)
REALTIME: tuple[SocketMisdeed, ...] = (
    *ANY_SOCKET,
    say({"type": "response.output_audio.delta", "delta": WORDS}),
    say({"type": KEY, "x": WORDS}, {"type": "response.done", "response": {"status": "completed"}}),
    say({"type": "response.done", "response": {"status": KEY, "status_details": WORDS}}),
    say(
        {
            "type": "response.done",
            "response": {"status": "failed", "status_details": {"error": {"message": WORDS}}},
        }
    ),
    say(
        {"type": "response.output_audio_transcript.delta", "delta": WORDS},
        {"type": "response.output_audio.delta", "delta": base64.b64encode(SOUND).decode()},
        {"type": "response.done", "response": {"status": "completed"}},
    ),
)
SPEECH_SOCKET: tuple[SocketMisdeed, ...] = (
    *ANY_SOCKET,
    say({"error": WORDS}),
    say({"what": WORDS}),
    say({"done": True, "x": WORDS}),
)


def socket_script(
    misdeeds: Sequence[SocketMisdeed],
    greet: Callable[[SocketPeer], object] = lambda _peer: None,
    subprotocols: list[str] | None = None,
) -> Callable[[Peer], object]:
    """Return a server that commits the next misdeed whenever a turn is asked of it."""
    left = iter(misdeeds)

    def script(peer: Peer) -> None:
        socket = SocketPeer(peer, subprotocols)
        greet(socket)
        while True:
            socket.receive()
            misdeed = next(left, None)
            if misdeed is None:
                return
            misdeed(socket)

    return script


def realtime_greeting(peer: SocketPeer) -> None:
    peer.send({"type": "session.created", "session": {"model": WORDS}})
    peer.receive()
    peer.send({"type": "session.updated", "session": {"model": f"model {WORDS}"}})


HANDSHAKES: tuple[HttpMisdeed, ...] = (
    *HEADS,
    raw(f"HTTP/1.1 101 {KEY}\r\nupgrade: {KEY}\r\nconnection: {KEY}\x1b[31m\r\n\r\n"),
    raw(
        "HTTP/1.1 101 OK\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        f"sec-websocket-accept: {KEY}\x9b1m\r\n\r\n"
    ),
    raw(f"HTTP/1.1 403 No\r\ncontent-length: {len(KEY)}\r\n\r\n{KEY}"),
)


def handshake_script(misdeed: HttpMisdeed) -> Callable[[Peer], object]:
    def script(peer: Peer) -> None:
        peer.request()
        misdeed(peer)

    return script
