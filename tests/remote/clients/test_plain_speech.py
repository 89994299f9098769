"""The synthesizer behind a plain route, against servers that keep their word and that do not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
from encoded_sound import RATE, encoded, pcm16, voiced
from loopback import (
    LONGEST_S,
    Loopback,
    Peer,
    Script,
    closed_port,
    failure_in_time,
    send_in_step,
    serving,
    until,
)
from numpy.typing import NDArray

from voicebench.audio.wav_writer import wav_header
from voicebench.errors import CannotMeasure, UsageError
from voicebench.events import AudioChunk, Connected, FirstByte, ServerTiming, TtsEvent
from voicebench.remote.clients.plain_speech import PlainSpeech, SpeechRoute
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.remote.failure import RemoteError
from voicebench.remote.sound.sound_format import SoundFormat

SAMPLES = voiced(0.2)
BODY = pcm16(SAMPLES)
WAV = wav_header(RATE, SAMPLES.size) + BODY
RAW = SoundFormat(sample_rate=RATE)


def sends(content_type: str, *parts: bytes, **headers: str) -> Script:
    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.answer(content_type, *parts, **headers)

    return script


@contextmanager
def voice(
    script: Script,
    sound: SoundFormat | None = None,
    path: str = "/tts/stream?text={text}",
    route: Mapping[str, Any] | None = None,
    **access: Any,
) -> Iterator[tuple[PlainSpeech, Loopback]]:
    with serving(script) as server:
        made = PlainSpeech(SpeechRoute(server.url + path, **(route or {})), sound, Access(**access))
        try:
            yield made, server
        finally:
            made.close()


def spoken(script: Script, sound: SoundFormat | None = None) -> list[TtsEvent]:
    with voice(script, sound) as (made, _):
        return list(made.speak("Good evening."))


def samples_of(events: list[TtsEvent]) -> NDArray[np.float32]:
    return np.concatenate([event.pcm for event in events if isinstance(event, AudioChunk)])


def failure_of(script: Script, sound: SoundFormat | None = RAW, **access: Any) -> RemoteError:
    with voice(script, sound, **access) as (made, _):
        made.prepare()
        return failure_in_time(lambda: list(made.speak("Good evening.")))


# What counts as audio.


def spoken_in_step(
    content_type: str, parts: list[bytes], sound: SoundFormat | None = None
) -> list[tuple[TtsEvent, int]]:
    """Return the events of an answer, each with how many of its ``parts`` were sent by then.

    Each part is sent when what the one before brings is out, and the client waits for more.
    """
    sent: list[bytes] = []

    def send(peer: Peer, part: bytes) -> None:
        sent.append(part)
        peer.chunk(part)

    def script(peer: Peer) -> None:
        peer.request()
        until(waits)
        head = {"content_type": content_type, "transfer_encoding": "chunked"}
        send_in_step(lambda: peer.head(**head), waits)
        for part in parts:
            send_in_step(partial(send, peer, part), waits)
        peer.chunk(b"")

    def waits() -> int:
        return made._pool._made[-1].arrivals

    with voice(script, sound) as (made, _):
        return [(event, len(sent)) for event in made.speak("Good evening.")]


def test_a_header_is_a_first_byte_and_the_first_sample_is_audio() -> None:
    events = spoken_in_step("audio/wav", [WAV[:20], WAV[20:44], WAV[44:45], WAV[45:]])
    # The header and one byte of a sample are no audio.
    kinds = [(type(event), sent) for event, sent in events]
    assert kinds == [(Connected, 0), (FirstByte, 1), (AudioChunk, 4)]


def test_each_piece_is_audio_when_it_comes_and_not_when_more_come() -> None:
    pieces = [BODY[at : at + 3200] for at in range(0, len(BODY), 3200)]
    events = spoken_in_step("audio/pcm", pieces, RAW)
    audio = [(event.pcm.size, sent) for event, sent in events if isinstance(event, AudioChunk)]
    assert audio == [(1600, 1), (1600, 2), (1600, 3)]


@pytest.mark.parametrize(
    ("script", "sound", "times"),
    [
        (sends("audio/wav", WAV), None, 1),
        (sends("audio/wav", wav_header(RATE, None) + BODY), None, 1),
        (sends("audio/wav", WAV[:30], WAV[30:101], WAV[101:]), None, 1),
        (sends("audio/wav", WAV, WAV, WAV), None, 3),
        (sends("audio/x-wav; codec=1", WAV + WAV), None, 2),
        (sends("audio/pcm;rate=24000", BODY[:7], BODY[7:]), None, 1),
        (sends("audio/pcm", BODY), RAW, 1),
        (sends("application/octet-stream", BODY), SoundFormat(kind="pcm", sample_rate=RATE), 1),
        (sends("application/octet-stream", WAV), None, 1),
        (sends("text/html; charset=utf-8", WAV), None, 1),
        (sends("text/html", WAV[:1], WAV[1:3], WAV[3:50], WAV[50:]), None, 1),
        (sends("audio/pcm_s16le", BODY, x_sample_rate=str(RATE)), None, 1),
        (sends("audio/flac", encoded("flac", 0.2)), None, 1),
    ],
)
def test_sound_is_the_same_in_every_way_of_sending_it(
    script: Script, sound: SoundFormat | None, times: int
) -> None:
    events = spoken(script, sound)
    assert [type(event) for event in events[:2]] == [Connected, FirstByte]
    assert {event.sample_rate for event in events if isinstance(event, AudioChunk)} == {RATE}
    np.testing.assert_allclose(samples_of(events), np.tile(SAMPLES, times), atol=1e-4)


@pytest.mark.parametrize(("kind", "name"), [("mp3", "mpeg"), ("opus", "ogg"), ("aac", "aac")])
def test_compressed_sound_is_audio_as_it_can_be_decoded(kind: str, name: str) -> None:
    data = encoded(kind, 2.0)

    def script(peer: Peer) -> None:
        peer.request()
        peer.head(content_type=f"audio/{name}", transfer_encoding="chunked")
        peer.chunk(data[: len(data) // 2])
        # The other half never comes.
        peer.wait_for_hangup()

    with voice(script) as (made, _):
        speech = made.speak("Good evening.")
        first = next(event for event in speech if isinstance(event, AudioChunk))
        assert isinstance(speech, Generator)
        speech.close()
    assert first.pcm.size > 0.5 * first.sample_rate


def test_the_servers_own_duration_stands_beside_ours() -> None:
    events = spoken(sends("audio/wav", WAV, server_timing="tts;dur=41.5"))
    (timing,) = [event for event in events if isinstance(event, ServerTiming)]
    assert (timing.duration_ms, timing.stage) == (41.5, "tts")
    assert timing.our_ms is not None


# What is sent.


def test_the_text_goes_into_the_url_percent_encoded() -> None:
    with voice(sends("audio/wav", WAV)) as (made, server):
        list(made.speak(" Fish & chips, 5 %? "))
    assert server.requests[0].target == "/tts/stream?text=Fish%20%26%20chips%2C%205%20%25%3F"


def test_the_text_goes_into_any_string_of_a_json_body() -> None:
    body = {"voice": "a", "speech": [{"say": "{text}", "rate": 1.5}], "raw": None}
    route = {"method": "POST", "body": body}
    with voice(sends("audio/wav", WAV), path="/say", route=route) as (made, server):
        list(made.speak('He said "hi" {text}'))
    (request,) = server.requests
    assert request.headers["content-type"] == "application/json"
    assert request.json == body | {"speech": [{"say": 'He said "hi" {text}', "rate": 1.5}]}


def test_the_text_may_be_the_body() -> None:
    route = {"method": "POST", "body": "{text}"}
    with voice(sends("audio/wav", WAV), path="/", route=route) as (made, server):
        list(made.speak("Où ?"))
    (request,) = server.requests
    assert request.headers["content-type"] == "text/plain; charset=utf-8"
    assert request.body == "Où ?".encode()


@pytest.mark.parametrize(
    "route",
    [
        {"url": "http://host/"},
        {"url": "http://host/?{text}", "method": "POST", "body": "{text}"},
        {"url": "http://host/", "body": "{text}"},
    ],
)
def test_a_template_without_exactly_one_way_in_is_refused(route: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"\{text\}"):
        SpeechRoute(**route)


def test_a_text_with_nothing_to_pronounce_is_not_sent() -> None:
    with voice(sends("audio/wav", WAV)) as (made, server):
        assert list(made.speak(" — 🙂 ")) == []
    assert server.requests == []


def test_one_connection_serves_one_text_after_the_other() -> None:
    with voice(sends("audio/wav", WAV)) as (made, server):
        made.prepare()
        for _ in range(3):
            list(made.speak("Good evening."))
    assert server.connections == 1


@pytest.mark.parametrize("size", [0, 2_000_000_000, 3600 * 2 * RATE, 0xFFFFFFFF])
def test_a_placeholder_for_a_size_is_not_taken_at_its_word(size: int) -> None:
    body = WAV[:40] + size.to_bytes(4, "little") + BODY
    for script in (sends("audio/wav", body), fixed("audio/wav", body)):
        np.testing.assert_allclose(samples_of(spoken(script)), SAMPLES, atol=1e-4)


def test_an_answer_that_breaks_off_is_cut_whatever_its_size_says() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="audio/wav", content_length="9999999")
        peer.send(WAV[:40] + (2_000_000_000).to_bytes(4, "little") + BODY)

    failure = failure_of(script)
    assert "before its size" not in str(failure)
    assert failure.stage == "tts"


# Failures: each within its time, with its fault.


def fixed(content_type: str, body: bytes, status: str = "200 OK") -> Script:
    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.head(status, content_type=content_type, content_length=str(len(body)))
            peer.send(body)

    return script


PCM = SoundFormat(kind="pcm", sample_rate=RATE)
NOT_A_NUMBER = SoundFormat(encoding="f32le", sample_rate=RATE)


@pytest.mark.parametrize(
    ("script", "sound", "said", "fault"),
    [
        (fixed("application/json", b'{"error": "no voice"}', "400 Bad Request"), RAW,
         "answers 400: no voice", "refused"),
        (fixed("audio/wav", WAV, "500 Oops"), RAW, "answers 500", "engine"),
        (fixed("text/html", b"<title>Welcome</title>"), RAW,
         "text/html instead of sound: Welcome", "protocol"),
        (fixed("text/plain", BODY), RAW, "text/plain instead of sound", "protocol"),
        (fixed("text/plain", b"RI"), RAW, "text/plain instead of sound: RI", "protocol"),
        (fixed("text/html", WAV[:1000]), RAW, "before its size", "audio"),
        (fixed("application/json", b'{"error": "later"}'), RAW,
         "application/json instead of sound: later", "protocol"),
        (fixed("application/json", b'{"error": "later"}'), PCM,
         "application/json instead of sound: later", "protocol"),
        (fixed("application/xhtml+xml", BODY), PCM, "xhtml+xml instead of sound", "protocol"),
        (fixed("application/octet-stream", b"<html><title>Sign in</title>" * 99), PCM,
         "text instead of sound: Sign in", "protocol"),
        (fixed("audio/pcm; rate=24000", b'{"error": "later"}'), None,
         "text instead of sound: later", "protocol"),
        (fixed("audio/wav", b""), RAW, "with no byte of sound", "audio"),
        (fixed("audio/pcm", b"", "204 No Content"), RAW, "answers 204 with no byte", "audio"),
        (fixed("audio/pcm", BODY, "206 Partial Content"), RAW, "answers 206: a part", "protocol"),
        (fixed("audio/wav", wav_header(RATE, 0)), RAW, "a header and no sample", "audio"),
        (fixed("audio/wav", WAV[:30]), RAW, "ends in its header", "audio"),
        (fixed("audio/wav", WAV[:1001]), RAW, "middle of a sample", "audio"),
        (fixed("audio/wav", WAV[:1000]), RAW, "before its size", "audio"),
        (fixed("audio/wav", b"<html>" * 20), RAW, "not a WAV", "audio"),
        (fixed("audio/pcm", BODY[:1001]), RAW, "middle of a sample", "audio"),
        (fixed("audio/pcm", BODY), None, "nothing says its sample rate", "audio"),
        (fixed("application/octet-stream", BODY), None, "nothing says the format", "audio"),
        (fixed("audio/webm", BODY), None, "audio/webm", "protocol"),
        (fixed("audio/ogg", BODY), None, "no Ogg page", "audio"),
        (fixed("audio/pcm", b"\xff" * 400), NOT_A_NUMBER, "not finite numbers", "audio"),
    ],
)  # fmt: skip
def test_a_broken_answer_is_a_failure_with_its_reason(
    script: Script, sound: SoundFormat | None, said: str, fault: str
) -> None:
    failure = failure_of(script, sound)
    assert said in str(failure)
    assert (failure.fault, failure.stage) == (fault, "tts")


def begins(peer: Peer, data: bytes = BODY[:2001]) -> None:
    peer.request()
    peer.head(content_type="audio/pcm", content_length="9999999")
    peer.send(data)


def stalls(peer: Peer) -> None:
    begins(peer)
    peer.wait_for_hangup()


def resets(peer: Peer) -> None:
    begins(peer)
    time.sleep(0.1)
    peer.reset()


def ends_early(peer: Peer) -> None:
    begins(peer)


def drips(peer: Peer) -> None:
    begins(peer)
    while True:
        peer.send(b"\x01")
        time.sleep(0.05)


def says_nothing(peer: Peer) -> None:
    peer.request()
    peer.wait_for_hangup()


def sends_the_head_only(peer: Peer) -> None:
    peer.request()
    peer.head(content_type="audio/pcm", content_length="9999999")
    peer.wait_for_hangup()


def does_not_even_read(peer: Peer) -> None:
    peer.wait_for_hangup()


@pytest.mark.parametrize(
    ("script", "limits", "said", "fault"),
    [
        (says_nothing, {"first_byte_s": 0.4}, "no byte of an answer within 0.4 s", "timeout"),
        (
            sends_the_head_only,
            {"first_byte_s": 0.4},
            "no byte of an answer within 0.4 s",
            "timeout",
        ),
        (stalls, {"between_bytes_s": 0.3}, "sent nothing for 0.3 s", "timeout"),
        (drips, {"turn_s": 0.6}, "not done within the turn's 0.6 s", "timeout"),
        (resets, {}, "closed the connection early", "protocol"),
        (ends_early, {}, "violated the rules of HTTP", "protocol"),
    ],
)
def test_a_server_that_does_not_go_on_is_a_failure_within_its_time(
    script: Callable[[Peer], object], limits: dict[str, float], said: str, fault: str
) -> None:
    failure = failure_of(script, timeouts=Timeouts(**limits))
    assert said in str(failure)
    assert (failure.fault, failure.stage) == (fault, "tts")


def test_what_came_before_the_fault_is_audio_all_the_same() -> None:
    def script(peer: Peer) -> None:
        begins(peer)
        # A reset throws away what was not read.
        assert heard.wait(LONGEST_S)
        peer.reset()

    heard = threading.Event()
    with voice(script, RAW) as (made, _):
        speech = made.speak("Good evening.")
        audio = next(event for event in speech if isinstance(event, AudioChunk))
        heard.set()
        with pytest.raises(RemoteError):
            next(speech)
    assert audio.pcm.size == 1000


def test_sound_without_end_is_cut_off_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebench.remote.sound.speech.MAX_SPEECH_S", 0.5)

    def script(peer: Peer) -> None:
        peer.request()
        peer.head(content_type="audio/pcm", transfer_encoding="chunked")
        while True:
            peer.chunk(BODY)

    assert "sound without end" in str(failure_of(script))


def test_a_server_that_changes_its_rate_between_two_texts_fails_the_second() -> None:
    def script(peer: Peer) -> None:
        for rate in (RATE, 16_000):
            peer.request()
            peer.answer("audio/wav", wav_header(rate, SAMPLES.size) + BODY)

    with voice(script) as (made, _):
        list(made.speak("Good"))
        with pytest.raises(RemoteError, match="16000 Hz after sound of 24000 Hz"):
            list(made.speak("evening."))


def test_a_server_that_is_down_is_named_at_once() -> None:
    made = PlainSpeech(SpeechRoute(f"http://127.0.0.1:{closed_port()}/tts?text={{text}}"))
    with pytest.raises(CannotMeasure, match=r"http://127\.0\.0\.1:\d+/tts cannot be reached"):
        made.check()
    made.close()


def test_giving_up_hangs_up_so_that_the_server_can_stop() -> None:
    hung_up = []

    def script(peer: Peer) -> None:
        begins(peer)
        hung_up.append(peer.wait_for_hangup())

    with voice(script, RAW) as (made, _):
        speech = made.speak("Good evening.")
        next(event for event in speech if isinstance(event, AudioChunk))
        assert isinstance(speech, Generator)
        speech.close()
        until(lambda: hung_up)
    assert hung_up == [True]


def test_its_description_is_json_and_says_what_was_measured() -> None:
    with voice(sends("audio/wav", WAV)) as (made, _):
        list(made.speak("Good evening."))
        described = json.loads(json.dumps(made.describe()))
    assert described["sample_rate"] == RATE
    assert described["http_version"] == "HTTP/1.1"
    assert described["url"].endswith("/tts/stream")
