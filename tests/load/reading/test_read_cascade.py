"""Turns of a cascade in the reader's loop are those of the usual clients."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from loopback import HttpRequest, Peer, serving
from paced_turns import cascade_settings
from read_turns import PROMPT, read_cascades
from replayed_bytes import RawAnswer, noting_reads, replayed
from replayed_socket import plain

from voicebench.audio.pcm import AudibleRule, to_int16
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.events import (
    Event,
    TextChunk,
    TurnFailed,
    TurnFinished,
)
from voicebench.load.reading.cascade_turn import CascadeTurn
from voicebench.load.reading.read_turn import CascadeClients

LATE_MS = 250.0
RULE = AudibleRule()
VOICE = to_int16(synthetic_voice(24_000, 24_000)).astype("<i2").tobytes()


def event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


WORDS = [event("It"), event(" is"), event(" late."), event(" Go"), event(" home now.")]
END = [event("", "stop"), b"data: [DONE]\n\n"]


def chat(*parts: bytes, pause_s: float = 0.003) -> Callable[[Peer], None]:
    def answer(peer: Peer) -> None:
        peer.head(content_type="text/event-stream", transfer_encoding="chunked")
        for part in parts:
            peer.chunk(part)
            time.sleep(pause_s)
        peer.chunk(b"")

    return answer


def pcm(*parts: bytes, kind: str = "audio/pcm;rate=24000") -> Callable[[Peer], None]:
    def answer(peer: Peer) -> None:
        peer.head(content_type=kind, transfer_encoding="chunked", server_timing="gen;dur=12")
        for part in parts:
            peer.chunk(part)
            time.sleep(0.003)
        peer.chunk(b"")

    return answer


def cut_pcm(peer: Peer) -> None:
    peer.head(content_type="audio/pcm;rate=24000", transfer_encoding="chunked")
    peer.chunk(VOICE[:4000])
    time.sleep(0.003)
    raise EOFError


def reset_chat(peer: Peer) -> None:
    peer.head(content_type="text/event-stream", transfer_encoding="chunked")
    peer.chunk(WORDS[0])
    time.sleep(0.02)
    peer.reset()
    raise EOFError


def busy(peer: Peer) -> None:
    body = b'{"error": {"message": "no room"}}'
    peer.head("503 Busy", content_type="application/json", content_length=str(len(body)))
    peer.send(body)


def whole_json(peer: Peer) -> None:
    message = {"message": {"content": "It is late. Go home."}, "finish_reason": "stop"}
    body = json.dumps({"choices": [message]}).encode()
    peer.head(content_type="application/json", content_length=str(len(body)))
    peer.send(body)


PIECES = [VOICE[begin : begin + 1921] for begin in range(0, 9605, 1921)] + [VOICE[9605:9610]]
STREAM = b"".join([*WORDS, *END])
Answer = Callable[[Peer], None]
CASES: dict[str, tuple[Answer, Answer]] = {
    "plain": (chat(*WORDS, *END), pcm(*PIECES)),
    "tokens in one read": (chat(b"".join(WORDS), *END), pcm(VOICE[:9600])),
    "events cut in two": (chat(STREAM[:77], STREAM[77:300], STREAM[300:]), pcm(*PIECES)),
    "reasoning": (chat(event("<think>hm</think>"), *WORDS, *END), pcm(*PIECES)),
    "no end": (chat(*WORDS), pcm(*PIECES)),
    "busy model": (busy, pcm(*PIECES)),
    "busy voice": (chat(*WORDS, *END), busy),
    "voice hangs up": (chat(*WORDS, *END), cut_pcm),
    "model is reset": (reset_chat, pcm(*PIECES)),
    "half a sample": (chat(*WORDS, *END), pcm(VOICE[:9601])),
    "no sound": (chat(*WORDS, *END), pcm()),
    "text as sound": (chat(*WORDS, *END), pcm(b"<html><title>oops</title></html>" * 9)),
    "a page": (chat(*WORDS, *END), pcm(b"<html>oops</html>", kind="text/html")),
    "one document": (whole_json, pcm(*PIECES)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_recorded_bytes_give_the_synchronous_clients_the_same_timeline(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_chat, answer_speech = CASES[name]

    def script(peer: Peer) -> None:
        while True:
            request: HttpRequest = peer.request()
            (answer_chat if "chat" in request.target else answer_speech)(peer)

    with serving(script) as server, noting_reads(monkeypatch) as noted:
        (turn,), clients = read_cascades(cascade_settings(f"127.0.0.1:{server.port}"), 1)
    events, later = turn.read.events(clients)
    assert not later
    expected = _expected(turn, clients, noted, monkeypatch)
    ours = [(one.at_ns, plain(one.event)) for one in events]
    assert ours[1:] == [(at_ns, plain(event)) for at_ns, event in expected]


def _expected(
    turn: CascadeTurn,
    clients: CascadeClients,
    noted: list[RawAnswer],
    patch: pytest.MonkeyPatch,
) -> list[tuple[int, Event]]:
    """Return the events after the turn's start, by clients with connections of their own."""
    llm, tts = clients.llm, clients.tts
    tts._speech.rate.known = None
    chat_answer, *speeches = noted
    found = replayed(llm, lambda: llm.reply(PROMPT), chat_answer, patch)
    end: tuple[int, Event] | None = None
    if isinstance(found[-1][1], TurnFailed):
        end = found.pop()
    for chunk, answer in zip(turn.read.chunks, speeches, strict=True):
        found.append((chunk.at_ns, TextChunk(chunk.text)))
        text = chunk.text
        spoken = replayed(tts, lambda text=text: tts.speak(text), answer, patch)  # type: ignore[misc]
        if isinstance(spoken[-1][1], TurnFailed):
            end = spoken.pop()
            found += spoken
            found = [one for one in found if one[0] <= end[0]]
            break
        found += spoken
    found.sort(key=lambda one: one[0])
    last_ns = max(at_ns for at_ns, _ in found) if found else 0
    if end is not None:
        return [*found, (max(end[0], last_ns), end[1])]
    return [*found, (turn.read.ended_ns, TurnFinished())]
