"""The speech socket: sound of one text is not taken for another's."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from loopback import LONGEST_S, until
from loopback_ws import SocketPeer
from test_socket_speech import BASE64, BINARY, BODY, SOUND, failure_of, samples_of, streamed, voice

from voicebench.events import AudioChunk, Event, FirstByte, Remark
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.clients.socket_speech import SocketSpeech
from voicebench.remote.failure import RemoteError

MADE_AFTER_S = 0.15
"""How long the server takes to the first sound of a text."""
NAMED = SocketDialect(
    chunk=({"text": "{text}", "id": "{id}"},), done={"done": True}, own={"id": "{id}"}
)
NAMED_BASE64 = replace(BASE64, own={"context_id": "c{id}"})


def named(peer: SocketPeer) -> None:
    """Name the text before its sound and at its end; sound of the one before comes first."""
    before = None
    while True:
        text_id = peer.receive_json()["id"]
        if before is not None:
            peer.send({"begin": True, "id": before}, BODY, {"done": True, "id": before})
        time.sleep(MADE_AFTER_S)
        peer.send({"begin": True, "id": text_id}, BODY, {"done": True, "id": text_id})
        before = text_id


def in_base64(peer: SocketPeer) -> None:
    """Name the text in each message, as Cartesia does."""
    before = None
    while True:
        context = peer.receive_json()["context_id"]
        sound = {"type": "chunk", "audio": {"data": base64.b64encode(BODY).decode()}}
        if before is not None:
            peer.send(sound | {"context_id": before}, {"type": "done", "context_id": before})
        time.sleep(MADE_AFTER_S)
        peer.send(sound | {"context_id": context}, {"type": "done", "context_id": context})
        before = context


def late_after_the_end(peer: SocketPeer) -> None:
    """Name nothing, and send sound after the end of each text."""
    while True:
        if peer.receive_json()["type"] == "Flush":
            time.sleep(MADE_AFTER_S)
            peer.send(BODY, {"type": "Flushed"})
            time.sleep(0.02)
            peer.send(BODY)


def first_moments_s(made: SocketSpeech, *, is_first: bool) -> tuple[float, float]:
    """Speak a text; return when its first byte and its first sound came."""
    made.prepare()
    began = time.monotonic()
    moments: dict[type, float] = {}
    heard, late = 0, False
    for event in made.speak("Good evening."):
        late |= event == Remark("late sound")
        if isinstance(event, FirstByte) and AudioChunk not in moments:
            moments[FirstByte] = time.monotonic() - began
        if isinstance(event, AudioChunk):
            moments.setdefault(AudioChunk, time.monotonic() - began)
            heard += event.pcm.size
    assert heard == SOUND.size
    assert late is not is_first
    return moments[FirstByte], moments[AudioChunk]


@pytest.mark.parametrize(
    ("script", "dialect", "connections"),
    [(named, NAMED, 1), (in_base64, NAMED_BASE64, 1), (late_after_the_end, BINARY, 3)],
)
def test_sound_of_the_text_before_moves_no_figure(
    script: Callable[[SocketPeer], object], dialect: SocketDialect, connections: int
) -> None:
    with voice(script, dialect) as (made, server):
        made.check()
        for number in range(3):
            assert min(first_moments_s(made, is_first=number == 0)) >= MADE_AFTER_S
            if connections > 1:
                # However late it is: between two turns somebody looks after the connection.
                until(lambda: len(made.set_aside))
        assert server.connections == connections


def test_a_stream_of_texts_is_told_apart_too() -> None:
    with voice(named, NAMED) as (made, _):
        events = [event for _, event in streamed(made, iter(["One.", "Two."]))]
    np.testing.assert_allclose(samples_of(events), np.tile(SOUND, 2), atol=1e-4)


def test_what_comes_before_the_first_text_of_a_stream_is_no_sound_of_it() -> None:
    taken_by_the_client = threading.Event()

    def script(peer: SocketPeer) -> None:
        peer.send(BODY)
        taken_by_the_client.set()
        while True:
            if peer.receive_json()["type"] == "Flush":
                peer.send(BODY[:400], {"type": "Flushed"})

    def chunks() -> Iterator[str]:
        assert taken_by_the_client.wait(LONGEST_S)
        time.sleep(0.05)
        yield "One."

    with voice(script) as (made, _):
        events = [event for _, event in streamed(made, chunks())]
    assert samples_of(events).size == 200
    assert Remark("late sound") in events


def test_a_server_that_does_not_name_its_texts_as_told_is_said_so() -> None:
    failure = failure_of([{"begin": True}, BODY, {"done": True}], NAMED)
    assert "ends a text's speech without the number of the text" in str(failure)
    assert "tts.socket.own" in str(failure)


@pytest.mark.parametrize(
    ("dialect", "messages"),
    [
        (BINARY, [BODY, {"type": "Flushed"}, BODY]),
        (NAMED, [{"id": "1"}, BODY, {"done": True, "id": "1"}, {"id": "1"}, BODY]),
        (NAMED, [{"id": "1"}, BODY, {"done": True, "id": "1"}, BODY]),
    ],
)
def test_an_end_that_later_sound_disproves_is_none(
    dialect: SocketDialect, messages: list[dict[str, object] | bytes]
) -> None:
    assert "sends sound after the end of it" in str(failure_of(messages, dialect))


def test_a_failure_after_the_end_is_one() -> None:
    failure = failure_of([BODY, {"type": "Flushed"}, {"error": "voice lost"}], BINARY)
    assert "voice lost" in str(failure)


def test_an_end_in_a_stream_that_later_sound_disproves_is_none() -> None:
    def script(peer: SocketPeer) -> None:
        peer.receive()
        peer.receive()
        peer.send(BODY, {"type": "Flushed"}, BODY)
        peer.peer.wait_for_hangup()

    events: list[Event] = []
    with voice(script) as (made, _), pytest.raises(RemoteError, match="after the end of it"):
        made.speak_stream(iter(["One."]), events.append)
