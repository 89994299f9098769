"""OpenAI's Realtime protocol, under its names of today and of its beta."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from encoded_sound import RATE, pcm16, voiced
from loopback import GIVEN_UP_S, Loopback, closed_port, serving
from loopback_ws import SocketPeer, socket_script
from read_moments import moments_of

from voicebench.errors import CannotMeasure
from voicebench.events import (
    AudioChunk,
    Connected,
    Event,
    FirstByte,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    Usage,
)
from voicebench.remote.connection.access import Access, ApiKey
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.remote.failure import RemoteError
from voicebench.targets.realtime import Realtime, RealtimeOptions

SOUND = voiced(0.1)
BODY = pcm16(SOUND)
CREATED: dict[str, Any] = {"type": "response.created", "response": {"id": "r1"}}
DONE: dict[str, Any] = {
    "type": "response.done",
    "response": {
        "id": "r1",
        "status": "completed",
        "usage": {"output_tokens": 60, "output_token_details": {"text_tokens": 9}},
    },
}


def sound(data: bytes, kind: str = "response.output_audio.delta") -> dict[str, Any]:
    return {"type": kind, "response_id": "r1", "delta": base64.b64encode(data).decode()}


def text(delta: str, kind: str = "response.output_audio_transcript.delta") -> dict[str, Any]:
    return {"type": kind, "response_id": "r1", "delta": delta}


class Sessions:
    """A server that greets, takes one session update, and answers each response with ``events``."""

    def __init__(self, *events: dict[str, Any] | str | bytes) -> None:
        self.events = events
        self.received: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    def __call__(self, peer: SocketPeer) -> None:
        assert peer.request is not None
        self.headers.append({name.lower(): value for name, value in peer.request.headers.items()})
        peer.send({"type": "session.created", "session": {"id": "s1"}})
        while True:
            message = peer.receive_json()
            self.received.append(message)
            if message["type"] == "session.update":
                session = {"model": "gpt-realtime-x", **message["session"]}
                peer.send({"type": "session.updated", "session": session})
            elif message["type"] == "response.create":
                for event in self.events:
                    peer.send(event)


@contextmanager
def target_at(
    script: Callable[[SocketPeer], object], options: RealtimeOptions | None = None, **access: Any
) -> Iterator[tuple[Realtime, Loopback]]:
    with serving(socket_script(script)) as server:
        url = f"ws://127.0.0.1:{server.port}/v1/realtime?model=gpt-realtime"
        target = Realtime(url, options, Access(**access))
        try:
            yield target, server
        finally:
            target.close()


def turn_of(target: Realtime) -> list[Event]:
    events: list[Event] = []
    target.run("What time is it?", events.append)
    return events


GA = ("response.output_audio.delta", "response.output_audio_transcript.delta")
BETA = ("response.audio.delta", "response.audio_transcript.delta")


def test_what_comes_is_in_hand_when_it_is_read() -> None:
    server = Sessions(CREATED, text("It is"), sound(BODY[:1000]), sound(BODY[1000:]), DONE)
    with target_at(server) as (target, _):
        target.prepare()
        assert len(moments_of(lambda: turn_of(target))) == 4  # a token, first byte, two of sound


@pytest.mark.parametrize("names", [GA, BETA])
def test_a_turn_is_its_transcript_and_its_sound_under_both_names(names: tuple[str, str]) -> None:
    audio, transcript = names
    server = Sessions(
        CREATED,
        {"type": "response.output_item.added", "response_id": "r1"},
        text("", transcript),
        text("It is", transcript),
        sound(BODY[:1001], audio),
        text(" late.", transcript),
        sound(BODY[1001:], audio),
        {"type": audio.replace("delta", "done"), "response_id": "r1"},
        {"type": "rate_limits.updated"},
        DONE,
    )
    with target_at(server) as (target, _):
        events = turn_of(target)
    kinds = [type(event) for event in events]
    assert kinds[:2] == [TurnStarted, Connected]
    assert kinds[-2:] == [Usage, TurnFinished]
    tokens = [event.text for event in events if isinstance(event, Token)]
    assert tokens == ["It is", " late."]
    assert kinds.index(FirstByte) == kinds.index(AudioChunk) - 1
    chunks = [event for event in events if isinstance(event, AudioChunk)]
    assert {chunk.sample_rate for chunk in chunks} == {RATE}
    assert [chunk.pcm.size for chunk in chunks] == [500, SOUND.size - 500]
    np.testing.assert_allclose(np.concatenate([c.pcm for c in chunks]), SOUND, atol=1e-4)
    # Of 60 tokens that the model made, 9 were the reply's text.
    assert Usage(9) in events


@pytest.mark.parametrize(("said", "expected"), [(30, 30), (41, None), (None, None)])
def test_it_says_what_of_the_prompt_was_not_computed_again(
    said: int | None, expected: int | None
) -> None:
    usage = {
        **DONE["response"]["usage"],
        "input_tokens": 40,
        "input_token_details": {"cached_tokens": said},
    }
    done = DONE | {"response": DONE["response"] | {"usage": usage}}
    with target_at(Sessions(CREATED, text("It is late."), sound(BODY), done)) as (target, _):
        assert Usage(9, prompt_tokens=40, cached_tokens=expected) in turn_of(target)


def test_a_long_delta_is_sound_from_its_first_piece_on() -> None:
    long = voiced(10.0)
    with target_at(Sessions(CREATED, sound(pcm16(long)), DONE)) as (target, _):
        events = turn_of(target)
    chunks = [event.pcm for event in events if isinstance(event, AudioChunk)]
    assert len(chunks) > 5
    np.testing.assert_allclose(np.concatenate(chunks), long, atol=1e-4)


@pytest.mark.parametrize("kind", ["response.output_text.delta", "response.text.delta"])
def test_a_reply_in_text_is_tokens_too(kind: str) -> None:
    with target_at(Sessions(CREATED, text("Yes", kind), DONE)) as (target, _):
        assert Token("Yes") in turn_of(target)


def test_the_session_is_set_up_before_the_turn_and_its_time_is_connecting() -> None:
    server = Sessions(CREATED, sound(BODY), DONE)

    def slow(peer: SocketPeer) -> None:
        time.sleep(0.2)
        server(peer)

    options = RealtimeOptions(voice="marin", instructions="Be brief.")
    with target_at(slow, options) as (target, loopback):
        target.check()
        target.prepare()
        assert [message["type"] for message in server.received] == ["session.update"]
        first, second = turn_of(target), turn_of(target)
        assert target.describe()["model"] == "gpt-realtime-x"
    assert server.received[0]["session"] == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": RATE}, "voice": "marin"}},
        "instructions": "Be brief.",
    }
    assert isinstance(first[1], Connected)
    assert isinstance(second[1], Connected)
    assert first[1].connect_ms is not None
    assert first[1].connect_ms >= 200
    assert (first[1].reused, second[1].reused) == (False, True)
    assert loopback.connections == 1


def test_the_prompt_goes_out_of_band_so_that_no_turn_remembers_another() -> None:
    server = Sessions(CREATED, sound(BODY), DONE)
    with target_at(server) as (target, _):
        turn_of(target)
    assert server.received[1] == {
        "type": "response.create",
        "response": {
            "conversation": "none",
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "What time is it?"}],
                }
            ],
            "output_modalities": ["audio"],
        },
    }


def test_without_out_of_band_each_turn_has_a_session_of_its_own_opened_before_it() -> None:
    server = Sessions(CREATED, sound(BODY), DONE)
    with target_at(server, RealtimeOptions(out_of_band=False)) as (target, loopback):
        for _ in range(2):
            target.prepare()
            turn_of(target)
    kinds = ["session.update", "conversation.item.create", "response.create"]
    assert [message["type"] for message in server.received] == kinds * 2
    assert loopback.connections == 2


def test_the_beta_is_asked_for_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    server = Sessions(CREATED, sound(BODY, BETA[0]), DONE)
    options = RealtimeOptions(dialect="beta", voice="alloy")
    with target_at(server, options, key=ApiKey("SOME_KEY")) as (target, _):
        assert turn_of(target)[-1] == TurnFinished()
        assert "sk-secret" not in repr(target.describe())
    assert server.headers[0]["openai-beta"] == "realtime=v1"
    assert server.headers[0]["authorization"] == "Bearer sk-secret"
    assert server.received[0]["session"] == {
        "modalities": ["audio", "text"],
        "output_audio_format": "pcm16",
        "voice": "alloy",
    }
    assert server.received[1]["response"]["modalities"] == ["audio", "text"]


def test_what_is_left_of_another_response_is_not_this_turns() -> None:
    stray = sound(BODY) | {"response_id": "r0"}
    done = {"type": "response.done", "response": {"id": "r0", "status": "cancelled"}}
    with target_at(Sessions(CREATED, stray, done, sound(BODY), DONE)) as (target, _):
        events = turn_of(target)
    assert sum(isinstance(event, AudioChunk) for event in events) == 1
    assert events[-1] == TurnFinished()


# Failures.


def ended(status: str, **details: object) -> dict[str, Any]:
    response = {"id": "r1", "status": status, "status_details": details}
    return {"type": "response.done", "response": response}


def failure_of(
    script: Callable[[SocketPeer], object], limits: Timeouts | None = None
) -> TurnFailed:
    """Return the failure of a turn; its ``limits`` do not hold for setting up its session."""
    with target_at(script) as (target, _):
        target.prepare()
        if limits is not None:
            target.service.access = replace(target.service.access, timeouts=limits)
        began = time.monotonic()
        failure = turn_of(target)[-1]
        assert time.monotonic() - began < GIVEN_UP_S
    assert isinstance(failure, TurnFailed)
    assert "ws://127.0.0.1" in failure.reason
    return failure


@pytest.mark.parametrize(
    ("events", "said", "fault"),
    [
        ([ended("failed", error={"message": "quota"})], "as failed: quota", "engine"),
        ([ended("cancelled", reason="turn_detected")], "as cancelled: turn_det", "engine"),
        ([ended("incomplete", reason="content_filter")], "incomplete: content_f", "engine"),
        ([{"type": "error", "error": {"message": "no voice"}}], "no voice", "refused"),
        ([CREATED, sound(BODY[:1001]), DONE], "middle of a sample", "audio"),
        ([CREATED, sound(BODY) | {"delta": "?"}], "not base64", "protocol"),
        (["not json"], "not JSON", "protocol"),
        (["[]"], "not a JSON object", "protocol"),
        ([BODY], f"a binary message of {len(BODY)} bytes where an event", "protocol"),
        ([CREATED, text("\ud83d"), DONE], "half a letter", "protocol"),
    ],
)
def test_what_is_no_answer_is_a_failure_with_its_reason(
    events: list[dict[str, Any] | str | bytes], said: str, fault: str
) -> None:
    failure = failure_of(Sessions(*events))
    assert said in failure.reason
    assert failure.fault == fault


@pytest.mark.parametrize(
    ("events", "limits", "said"),
    [
        ([CREATED, sound(BODY)], Timeouts(between_bytes_s=0.3), "sent nothing for 0.3 s"),
        ([], Timeouts(first_byte_s=0.4), "no byte of an answer within 0.4 s"),
    ],
)
def test_a_server_that_does_not_go_on_is_a_failure_within_its_time(
    events: list[dict[str, Any]], limits: Timeouts, said: str
) -> None:
    failure = failure_of(Sessions(*events), limits)
    assert said in failure.reason
    assert failure.fault == "timeout"


def test_a_reply_cut_off_by_its_length_limit_is_a_reply() -> None:
    cut = ended("incomplete", reason="max_output_tokens")
    with target_at(Sessions(CREATED, sound(BODY), cut)) as (target, _):
        assert turn_of(target)[-1] == TurnFinished()


def test_a_session_that_is_refused_is_said_so_before_any_turn() -> None:
    def script(peer: SocketPeer) -> None:
        peer.send({"type": "session.created"})
        peer.receive()
        peer.send({"type": "error", "error": {"message": "unknown voice 'x'"}})
        peer.peer.wait_for_hangup()

    with (
        target_at(script) as (target, _),
        pytest.raises(CannotMeasure, match="refuses the session: unknown voice 'x'"),
    ):
        target.check()


def test_a_session_that_never_comes_is_given_up_in_time() -> None:
    with (
        target_at(
            lambda peer: peer.peer.wait_for_hangup(), timeouts=Timeouts(first_byte_s=0.4)
        ) as (target, _),
        pytest.raises(RemoteError, match=r"no byte of an answer within 0\.4 s"),
    ):
        target.check()


def test_a_server_that_is_down_is_named_at_once() -> None:
    target = Realtime(f"ws://127.0.0.1:{closed_port()}/v1/realtime?model=m")
    with pytest.raises(CannotMeasure, match=r"ws://127\.0\.0\.1:\d+/v1/realtime cannot be reach"):
        target.check()
