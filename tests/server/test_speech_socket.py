"""The speech socket: texts in, their sound out, by the client that measures others and by hand."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from typing import Any

import pytest
from scripted_engines import PATIENCE_S, RATE, Scripted, sound
from served_somewhere import engines, server
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from voicebench.errors import EngineError
from voicebench.events import AudioChunk, TtsEvent
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.clients.socket_speech import SocketSpeech
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.server.request_bodies import MAX_TEXT_CHARACTERS
from voicebench.targets.simulated import SAMPLE_RATE

DIALECT = SocketDialect(chunk=({"text": "{text}"},), done={"done": True})


def address_of(url: str) -> str:
    return url.replace("http", "ws", 1) + "/tts/socket"


def open_socket(url: str) -> ClientConnection:
    return connect(address_of(url), compression=None)


def until_done(client: ClientConnection) -> tuple[bytes, dict[str, Any]]:
    """Return a text's sound and the message that ends it."""
    heard = b""
    while isinstance(message := client.recv(PATIENCE_S), bytes):
        heard += message
    return heard, json.loads(message)


def seconds_in(events: list[TtsEvent]) -> float:
    return sum(event.pcm.size for event in events if isinstance(event, AudioChunk)) / SAMPLE_RATE


def test_the_speech_client_hears_each_text(url: str) -> None:
    form = SoundFormat("pcm", "s16le", SAMPLE_RATE)
    with closing(SocketSpeech(address_of(url), DIALECT, form)) as speech:
        speech.check()
        for text, words in (("The weather is fine.", 4), ("It is late.", 3)):
            speech.prepare()
            assert seconds_in(list(speech.speak(text))) == pytest.approx(0.3 * words, abs=0.01)


def test_texts_that_come_early_are_spoken_in_order() -> None:
    first_began = threading.Event()
    second_sent = threading.Event()

    def wait() -> None:
        first_began.set()
        assert second_sent.wait(PATIENCE_S)

    voice = Scripted([wait, sound(100)], [sound(200)])
    with server(engines(Scripted(), voice)) as url, open_socket(url) as client:
        client.send(json.dumps({"text": "One."}))
        assert first_began.wait(PATIENCE_S)
        client.send(json.dumps({"text": "Two."}))
        second_sent.set()
        for seconds in (0.1, 0.2):
            heard, last = until_done(client)
            assert len(heard) == 2 * round(seconds * RATE)
            assert (last["done"], last["sample_rate"]) == (True, RATE)
            assert last["timings"]["total_ms"] > 0
    assert voice.heard == ["One.", "Two."]


@pytest.mark.parametrize(
    "message",
    [
        "not JSON",
        "[]",
        '{"text": 7}',
        '{"text": "  "}',
        json.dumps({"text": "a" * (MAX_TEXT_CHARACTERS + 1)}),
        b"\xff",
    ],
)
def test_what_cannot_be_spoken_is_told_and_ends_the_connection(
    url: str, message: str | bytes
) -> None:
    with open_socket(url) as client:
        client.send(message)
        _, last = until_done(client)
        assert last["error"]["type"] == "invalid_request_error"
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE_S)


def test_a_voice_that_breaks_is_told() -> None:
    voice = Scripted([sound(), EngineError("out of memory")])
    with server(engines(Scripted(), voice)) as url, open_socket(url) as client:
        client.send(json.dumps({"text": "Hello."}))
        heard, last = until_done(client)
    assert heard
    assert "out of memory" in last["error"]["message"]


def test_a_client_that_leaves_stops_the_speech() -> None:
    began, gone = threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        assert gone.wait(PATIENCE_S)

    voice = Scripted([wait, sound(), *[sound()] * 50])
    with server(engines(Scripted(), voice)) as url:
        with open_socket(url) as client:
            client.send(json.dumps({"text": "Hello."}))
            assert began.wait(PATIENCE_S)
        gone.set()
        with open_socket(url) as other:  # the server goes on
            other.send("not JSON")
            assert "error" in until_done(other)[1]
    assert voice.unfinished == 0
