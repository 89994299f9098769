"""The synthesizer behind OpenAI's speech API: what is asked for, and sound in events."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from encoded_sound import RATE, encoded, pcm16, voiced
from loopback import Loopback, Peer, Script, serving
from read_moments import moments_of

from voicebench.audio.wav_writer import wav_header
from voicebench.events import AudioChunk, FirstByte, Remark
from voicebench.remote.clients.openai_speech import OpenAiSpeech, SpeechOptions
from voicebench.remote.connection.access import Access, ApiKey
from voicebench.remote.failure import RemoteError

SAMPLES = voiced(0.2)
BODY = pcm16(SAMPLES)
WAV = wav_header(RATE, SAMPLES.size) + BODY
DONE = {"type": "speech.audio.done", "usage": {"output_tokens": 9}}


def sends(content_type: str, *parts: bytes) -> Script:
    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.answer(content_type, *parts)

    return script


def sse(*events: object) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def delta(sound: bytes) -> dict[str, str]:
    return {"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode()}


@contextmanager
def voice(
    script: Script, options: SpeechOptions | None = None, **access: Any
) -> Iterator[tuple[OpenAiSpeech, Loopback]]:
    with serving(script) as server:
        made = OpenAiSpeech(f"{server.url}/v1/", "tts-1", "alloy", options, Access(**access))
        try:
            yield made, server
        finally:
            made.close()


def heard(script: Script, options: SpeechOptions | None = None) -> np.ndarray:
    with voice(script, options) as (made, _):
        events = list(made.speak("Good evening."))
    assert sum(isinstance(event, FirstByte) for event in events) == 1
    return np.concatenate([event.pcm for event in events if isinstance(event, AudioChunk)])


RAW = SpeechOptions(sample_rate=RATE)


def test_the_request_holds_what_is_set_and_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    options = SpeechOptions("wav", extra={"speed": 1.2, "lang": "en"})
    with voice(sends("audio/wav", WAV), options, key=ApiKey("SOME_KEY")) as (made, server):
        list(made.speak(" Good evening. "))
        assert "sk-secret" not in repr(made.describe())
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/v1/audio/speech")
    assert request.headers["authorization"] == "Bearer sk-secret"
    assert request.json == {
        "model": "tts-1",
        "input": "Good evening.",
        "voice": "alloy",
        "response_format": "wav",
        "speed": 1.2,
        "lang": "en",
    }


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (sends("audio/pcm", BODY), RAW),
        (sends("application/octet-stream", BODY), RAW),
        (sends("audio/wav", WAV), SpeechOptions("wav")),
        # A server that answers in another format than was asked for, and says so.
        (sends("audio/wav", WAV), RAW),
        (sends("audio/flac", encoded("flac", 0.2)), SpeechOptions("flac")),
        (sends("text/event-stream", sse(delta(BODY[:999]), delta(BODY[999:]), DONE)), RAW),
        (sends("text/event-stream", sse(delta(BODY)), sse(DONE)), RAW),
        (sends("text/event-stream", sse(delta(WAV[:50])), sse(delta(WAV[50:]), DONE)),
         SpeechOptions("wav", stream_format="sse")),
        (sends("text/event-stream", sse({"audio": delta(BODY)["audio"]}), b"data: [DONE]\n\n"),
         RAW),
    ],
)  # fmt: skip
def test_sound_is_the_same_plain_and_in_events(script: Script, options: SpeechOptions) -> None:
    np.testing.assert_allclose(heard(script, options), SAMPLES, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "body", "has_moment"),
    [
        ("audio/pcm", BODY, True),
        ("audio/wav", WAV, True),
        ("text/event-stream", sse(delta(BODY), DONE), True),
        # Samples have to be made of it first.
        ("audio/flac", encoded("flac", 0.2), False),
    ],
)
def test_sound_is_in_hand_when_it_is_read_unless_it_is_compressed(
    kind: str, body: bytes, has_moment: bool
) -> None:
    asked = SpeechOptions("flac") if "flac" in kind else RAW
    with voice(sends(kind, body), asked) as (made, _):
        made.prepare()
        if has_moment:
            assert len(moments_of(lambda: made.speak("Good evening."))) >= 2
            return
        events = list(made.speak("Good evening."))
    assert {event.read_ns for event in events if isinstance(event, AudioChunk)} == {None}
    assert None not in {event.read_ns for event in events if isinstance(event, FirstByte)}


@pytest.mark.parametrize(
    ("body", "said", "fault"),
    [
        (sse(delta(BODY)), "before the speech was complete", "audio"),
        (sse(DONE), "an event stream without sound", "audio"),
        (b"<html><body>It works!</body></html>", "an event stream without sound", "audio"),
        (b'{"error": {"message": "voice crashed"}}', "without sound: voice crashed", "audio"),
        (sse({"type": "speech.audio.delta", "audio": "not base64!"}), "not base64", "protocol"),
        (sse(delta(BODY), {"error": {"message": "voice crashed"}}), "voice crashed", "engine"),
        (sse(delta(BODY), delta(BODY), {"type": "speech.audio.error", "message": "voice crashed"})
         + b"data: [DONE]\n\n", "voice crashed", "engine"),
        (sse(delta(BODY), {"object": "error", "message": "voice crashed"}, DONE),
         "voice crashed", "engine"),
        (sse(delta(BODY), {"message": "voice crashed"}, DONE), "voice crashed", "engine"),
        (sse(delta(BODY), DONE, {"error": "voice crashed"}), "voice crashed", "engine"),
        (sse(delta(BODY)) + b"event: error\ndata: voice crashed\n\n" + sse(DONE),
         "voice crashed", "engine"),
        (sse(delta(BODY)) + b"event: error\ndata:\n\n" + sse(DONE), "without a word", "engine"),
        (sse(delta(BODY), DONE, delta(BODY)), "before the speech was complete", "audio"),
        (sse({"type": "error", "message": "overloaded"}), "overloaded", "engine"),
        (b"data: {broken\n\n", "not JSON", "protocol"),
        (sse(delta(BODY[:999]), DONE), "middle of a sample", "audio"),
    ],
)  # fmt: skip
def test_broken_events_are_a_failure_with_its_reason(body: bytes, said: str, fault: str) -> None:
    with (
        voice(sends("text/event-stream", body), RAW) as (made, _),
        pytest.raises(RemoteError) as caught,
    ):
        list(made.speak("Good evening."))
    assert said in str(caught.value)
    assert (caught.value.fault, caught.value.stage) == (fault, "tts")


@pytest.mark.parametrize(
    "events",
    [
        [delta(BODY[:999]), DONE, delta(BODY[999:]), DONE],
        [{"audio": ""}, delta(BODY), DONE],
        [{"type": "speech.text.delta", "delta": "Good"}, delta(BODY), DONE],
    ],
)
def test_all_sound_of_the_events_counts_and_nothing_else(events: list[object]) -> None:
    sound = heard(sends("text/event-stream", sse(*events)), RAW)
    np.testing.assert_allclose(sound, SAMPLES, atol=1e-4)


def test_a_keep_alive_is_nothing() -> None:
    alive = b"data:\n\n: still here\n\ndata: \n\n"
    body = alive + sse(delta(BODY)) + alive + sse(DONE) + alive
    sound = heard(sends("text/event-stream", body), RAW)
    np.testing.assert_allclose(sound, SAMPLES, atol=1e-4)


def test_an_event_that_is_not_known_is_remarked_with_the_servers_words() -> None:
    body = sse({"type": "ping"}, delta(BODY), {"type": "queue", "place": 3}, DONE)
    with voice(sends("text/event-stream", body), RAW) as (made, _):
        events = list(made.speak("Good evening."))
    found = [event for event in events if isinstance(event, Remark)]
    assert found == [Remark("unknown", '{"type": "ping"}')]


def test_raw_sound_without_a_rate_is_an_error_that_says_what_to_set() -> None:
    with (
        voice(sends("audio/pcm", BODY)) as (made, _),
        pytest.raises(RemoteError, match="set the sample rate"),
    ):
        list(made.speak("Good evening."))


def test_a_text_with_nothing_to_pronounce_is_not_sent() -> None:
    with voice(sends("audio/wav", WAV)) as (made, server):
        assert list(made.speak("…")) == []
    assert server.requests == []
