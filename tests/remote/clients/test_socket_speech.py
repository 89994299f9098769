"""The synthesizer behind a WebSocket, in several dialects, chunk by chunk and as a stream."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from encoded_sound import RATE, pcm16, voiced
from loopback import LONGEST_S, Loopback, closed_port, failure_in_time, serving, until
from loopback_ws import SocketPeer, socket_script
from read_moments import moments_of

from voicebench.audio.wav_writer import wav_header
from voicebench.errors import CannotMeasure
from voicebench.events import AudioChunk, Connected, Event, FirstByte, TextChunk, TtsEvent
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.clients.socket_speech import SocketSpeech
from voicebench.remote.connection.access import Access, ApiKey
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.remote.failure import RemoteError
from voicebench.remote.sound.sound_format import SoundFormat

SOUND = voiced(0.1)
BODY = pcm16(SOUND)
RAW = SoundFormat(kind="pcm", sample_rate=RATE)

BINARY = SocketDialect(
    chunk=({"type": "Speak", "text": "{text}"}, {"type": "Flush"}),
    done={"type": "Flushed"},
)
BASE64 = SocketDialect(
    chunk=({"transcript": "{text}", "context_id": "c{id}", "voice": {"speed": 1.5}},),
    done={"type": "done"},
    sound=("audio", "data"),
    in_order=False,
)

ODD = SocketDialect(chunk=("{text}",), done={"event": "end"}, failed={"event": "failed"})


def flushes(peer: SocketPeer) -> None:
    """Speak in binary messages, two for each text, once a flush comes."""
    while True:
        if peer.receive_json()["type"] == "Flush":
            peer.send({"type": "Metadata", "model": "x"}, BODY[:1001], BODY[1001:])
            peer.send({"type": "Flushed"})


def contexts(peer: SocketPeer) -> None:
    """Speak in base64 within JSON."""
    while True:
        peer.receive_json()
        data = base64.b64encode(BODY).decode()
        peer.send({"type": "chunk", "audio": {"data": data}}, {"type": "done"})


@contextmanager
def voice(
    script: Callable[[SocketPeer], object],
    dialect: SocketDialect = BINARY,
    sound: SoundFormat = RAW,
    **access: Any,
) -> Iterator[tuple[SocketSpeech, Loopback]]:
    with serving(socket_script(script)) as server:
        made = SocketSpeech(f"ws://127.0.0.1:{server.port}/tts", dialect, sound, Access(**access))
        try:
            yield made, server
        finally:
            made.close()


def samples_of(events: list[TtsEvent] | list[Event]) -> np.ndarray:
    return np.concatenate([event.pcm for event in events if isinstance(event, AudioChunk)])


@pytest.mark.parametrize(("script", "dialect"), [(flushes, BINARY), (contexts, BASE64)])
def test_a_text_goes_in_and_its_sound_comes_out(
    script: Callable[[SocketPeer], object], dialect: SocketDialect
) -> None:
    with voice(script, dialect) as (made, server):
        made.prepare()
        for _ in range(2):
            events = list(made.speak("Good evening."))
            assert [type(event) for event in events[:2]] == [Connected, FirstByte]
            np.testing.assert_allclose(samples_of(events), SOUND, atol=1e-4)
    assert server.connections == 1


@pytest.mark.parametrize(("script", "dialect"), [(flushes, BINARY), (contexts, BASE64)])
def test_its_sound_is_in_hand_when_it_is_read(
    script: Callable[[SocketPeer], object], dialect: SocketDialect
) -> None:
    with voice(script, dialect) as (made, _):
        made.prepare()
        assert len(moments_of(lambda: made.speak("Good evening."))) >= 2


def test_the_templates_are_filled_at_every_depth_and_chunks_are_numbered() -> None:
    seen = []

    def script(peer: SocketPeer) -> None:
        while True:
            seen.append(peer.receive_json())
            peer.send({"audio": {"data": base64.b64encode(BODY).decode()}}, {"type": "done"})

    with voice(script, BASE64) as (made, _):
        for text in ('He said "{id}". ', "Yes."):
            list(made.speak(text))
    assert seen == [
        {"transcript": 'He said "{id}". ', "context_id": "c1", "voice": {"speed": 1.5}},
        {"transcript": "Yes.", "context_id": "c2", "voice": {"speed": 1.5}},
    ]


def test_a_template_of_text_is_sent_as_it_is() -> None:
    def script(peer: SocketPeer) -> None:
        assert peer.receive() == "Good evening."
        peer.send(wav_header(RATE, SOUND.size) + BODY, {"end": True})

    dialect = SocketDialect(chunk=("{text}",), done={"end": True})
    with voice(script, dialect, SoundFormat()) as (made, _):
        np.testing.assert_allclose(samples_of(list(made.speak("Good evening."))), SOUND, atol=1e-4)


def test_the_opening_is_sent_and_its_answer_awaited_before_the_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")

    def script(peer: SocketPeer) -> None:
        assert peer.request is not None
        assert peer.request.headers["xi-api-key"] == "sk-secret"
        assert peer.receive_json() == {"voice": "a"}
        time.sleep(0.2)
        peer.send({"note": "loading"}, b"", {"type": "ready"})
        flushes(peer)

    dialect = SocketDialect(
        BINARY.chunk, BINARY.done, opening=({"voice": "a"},), ready={"type": "ready"}
    )
    key = ApiKey("SOME_KEY", header="xi-api-key", scheme="")
    with voice(script, dialect, key=key) as (made, _):
        made.check()
        connected = next(iter(made.speak("Good evening.")))
        assert "sk-secret" not in json.dumps(made.describe())
    assert isinstance(connected, Connected)
    assert connected.connect_ms >= 200


def test_a_text_with_nothing_to_pronounce_is_not_sent() -> None:
    with voice(flushes) as (made, server):
        assert list(made.speak(" — ")) == []
    assert server.connections == 0


# Failures.


def failure_of(
    messages: list[dict[str, object] | bytes], dialect: SocketDialect, **limits: float
) -> RemoteError:
    """Return the failure of a text that the server answers with ``messages`` and no more."""

    def script(peer: SocketPeer) -> None:
        peer.receive()
        peer.send(*messages)
        peer.peer.wait_for_hangup()

    with voice(script, dialect, timeouts=Timeouts(**limits)) as (made, _):
        made.prepare()
        failure = failure_in_time(lambda: list(made.speak("Good evening.")))
    assert "ws://127.0.0.1" in str(failure)
    assert failure.stage == "tts"
    return failure


@pytest.mark.parametrize(
    ("messages", "dialect", "said", "fault"),
    [
        ([{"type": "Flushed"}], BINARY, "no sound for a text", "audio"),
        ([BODY[:1001], {"type": "Flushed"}], BINARY, "middle of a sample", "audio"),
        ([{"error": {"message": "no such voice"}}], BINARY, "no such voice", "engine"),
        ([{"type": "error", "done": True, "error_code": None, "message": "no such voice"}],
         BINARY, "answers with an error: no such voice", "engine"),
        ([{"type": "Error", "description": "too fast"}], BASE64, "too fast", "engine"),
        ([{"event": "failed", "why": "quota"}], ODD, "quota", "engine"),
        (["hello"], BINARY, "not JSON", "protocol"),
        ([b'{"error": "out of quota"}' * 20], BINARY, "text instead of sound", "protocol"),
        ([{"audio": {"data": "?"}}], BASE64, "not base64", "protocol"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_a_failure_with_its_reason(
    messages: list[dict[str, object] | bytes], dialect: SocketDialect, said: str, fault: str
) -> None:
    failure = failure_of(messages, dialect)
    assert said in str(failure)
    assert failure.fault == fault


@pytest.mark.parametrize(
    ("messages", "dialect", "limits", "said"),
    [
        ([BODY[:1000]], BINARY, {"between_bytes_s": 0.3}, "sent nothing for 0.3 s"),
        ([], BINARY, {"first_byte_s": 0.4}, "no byte of an answer within 0.4 s"),
        ([{"event": "metadata"}, {"event": "over"}], ODD, {"between_bytes_s": 0.3},
         "sent nothing for 0.3 s within an answer; its last message that is neither sound nor the "
         'end: {"event": "over"}'),
    ],
)  # fmt: skip
def test_a_server_that_does_not_go_on_is_a_failure_within_its_time(
    messages: list[dict[str, object] | bytes],
    dialect: SocketDialect,
    limits: dict[str, float],
    said: str,
) -> None:
    failure = failure_of(messages, dialect, **limits)
    assert said in str(failure)
    assert failure.fault == "timeout"


def test_after_a_failure_the_next_text_has_a_new_connection() -> None:
    def script(peer: SocketPeer) -> None:
        if server.connections == 1:
            peer.receive()
            peer.send({"error": "busy"}, BODY, {"type": "Flushed"})
            peer.peer.wait_for_hangup()
        flushes(peer)

    with voice(script) as (made, server):
        with pytest.raises(RemoteError, match="busy"):
            list(made.speak("One."))
        assert samples_of(list(made.speak("Two."))).size == SOUND.size


def test_giving_up_hangs_up_so_that_the_server_can_stop() -> None:
    hung_up = []

    def script(peer: SocketPeer) -> None:
        peer.receive()
        peer.send(BODY)
        hung_up.append(peer.peer.wait_for_hangup())

    with voice(script) as (made, _):
        speech = made.speak("Good evening.")
        next(event for event in speech if isinstance(event, AudioChunk))
        assert isinstance(speech, Generator)
        speech.close()
        until(lambda: hung_up)
    assert hung_up == [True]


def test_a_server_that_is_down_is_named_at_once() -> None:
    made = SocketSpeech(f"ws://127.0.0.1:{closed_port()}/tts", BINARY, RAW)
    with pytest.raises(CannotMeasure, match=r"ws://127\.0\.0\.1:\d+/tts cannot be reached"):
        made.check()


# As a stream of text.


def streamed(made: SocketSpeech, chunks: Iterator[str]) -> list[tuple[float, Event]]:
    began = time.monotonic()
    events: list[tuple[float, Event]] = []
    made.speak_stream(chunks, lambda event: events.append((time.monotonic() - began, event)))
    return events


def test_a_text_is_sent_when_it_comes_and_not_when_the_one_before_is_spoken() -> None:
    got_second = threading.Event()

    def script(peer: SocketPeer) -> None:
        assert peer.receive_json() == {"type": "Speak", "text": "One."}
        assert peer.receive_json() == {"type": "Flush"}
        peer.send(BODY)
        # The first is still being spoken.
        assert peer.receive_json() == {"type": "Speak", "text": "Two."}
        got_second.set()
        assert peer.receive_json() == {"type": "Flush"}
        peer.send(BODY, {"type": "Flushed"}, BODY, {"type": "Flushed"})

    def chunks() -> Iterator[str]:
        yield "One."
        time.sleep(0.1)
        yield " … "
        yield "Two."

    with voice(script) as (made, _):
        events = [event for _, event in streamed(made, chunks())]
    assert got_second.is_set()
    assert [event for event in events if isinstance(event, TextChunk)] == [
        TextChunk("One."),
        TextChunk("Two."),
    ]
    np.testing.assert_allclose(samples_of(events), np.tile(SOUND, 3), atol=1e-4)


def test_waiting_for_the_next_text_is_not_waiting_for_the_server() -> None:
    def chunks() -> Iterator[str]:
        yield "One."
        time.sleep(1.7)
        yield "Two."

    limits = Timeouts(first_byte_s=1.5, between_bytes_s=1.5)
    with voice(flushes, timeouts=limits) as (made, _):
        events = streamed(made, chunks())
    assert samples_of([event for _, event in events]).size == 2 * SOUND.size


def test_a_server_that_would_speak_two_texts_at_once_gets_one_after_the_other() -> None:
    with voice(contexts, BASE64) as (made, _):
        events = [event for _, event in streamed(made, iter(["One.", "Two."]))]
    kinds = [type(event) for event in events]
    one = [TextChunk, Connected, FirstByte, AudioChunk]
    assert kinds == one * 2


def test_no_text_at_all_is_no_sound_and_no_wait() -> None:
    with voice(flushes) as (made, _):
        events = [event for _, event in streamed(made, iter([]))]
    assert [type(event) for event in events] == [Connected]


def test_a_failing_server_ends_the_stream_and_no_text_comes_after_it() -> None:
    released = threading.Event()

    def script(peer: SocketPeer) -> None:
        peer.receive()
        peer.send({"error": "voice crashed"})
        peer.peer.wait_for_hangup()

    def chunks() -> Iterator[str]:
        yield "One."
        released.wait(LONGEST_S)
        yield "Two."

    events: list[Event] = []
    with voice(script) as (made, _):
        with pytest.raises(RemoteError, match="voice crashed"):
            made.speak_stream(chunks(), events.append)
        released.set()
        time.sleep(0.1)
    assert [event for event in events if isinstance(event, TextChunk)] == [TextChunk("One.")]


def test_what_breaks_the_text_breaks_the_speech() -> None:
    def chunks() -> Iterator[str]:
        yield "One."
        raise LookupError("no more words")

    with voice(flushes) as (made, _), pytest.raises(LookupError, match="no more words"):
        streamed(made, chunks())
