"""The Realtime route: both dialects, by the client that measures others, and by hand."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from typing import Any

import pytest
from scripted_engines import PATIENCE_S, sound, words
from served_somewhere import QUICK, REPLY, engines, prepared, server
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from voicebench.audio.pcm import AudibleRule
from voicebench.events import Usage
from voicebench.targets.realtime import PCM_RATE, Realtime, RealtimeOptions
from voicebench.turn.recorder import Recorder

SPEECH_S = 1.8  # six words


@pytest.mark.parametrize("dialect", ["ga", "beta"])
@pytest.mark.parametrize("out_of_band", [True, False])
def test_the_realtime_client_takes_turns(url: str, dialect: Any, out_of_band: bool) -> None:
    options = RealtimeOptions(dialect=dialect, out_of_band=out_of_band)
    address = url.replace("http", "ws") + "/v1/realtime?model=simulated"
    with closing(Realtime(address, options)) as target:
        for number in (1, 2):
            target.prepare()
            recorder = Recorder()
            target.run("What will the weather be?", recorder.emit)
            turn = recorder.seal(number, "measured", AudibleRule()).timeline
            assert turn.failure is None
            assert turn.reply == REPLY
            (timing,) = turn.server_timings
            assert timing.stage == "turn"
            assert 0 < timing.duration_ms < turn.end_ns / 1e6
            assert turn.sound is not None
            assert turn.sound.sample_rate == PCM_RATE
            samples = sum(arrival.samples for arrival in turn.audio)
            assert samples == pytest.approx(SPEECH_S * PCM_RATE, abs=50)


class Session:
    """A Realtime client by hand."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        assert self.next()["type"] == "session.created"

    def send(self, **event: object) -> None:
        self.connection.send(json.dumps(event))

    def next(self) -> dict[str, Any]:
        return dict(json.loads(self.connection.recv(PATIENCE_S)))

    def until(self, *kinds: str) -> list[dict[str, Any]]:
        events = [self.next()]
        while events[-1]["type"] not in kinds:
            events.append(self.next())
        return events


def open_session(url: str) -> ClientConnection:
    return connect(url.replace("http", "ws") + "/v1/realtime", compression=None, close_timeout=0.2)


def said(text: str) -> dict[str, object]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def test_a_response_comes_in_the_protocols_order(url: str) -> None:
    with open_session(url) as connection:
        session = Session(connection)
        session.send(type="conversation.item.create", item=said("hello"))
        assert session.next()["item"]["content"][0]["text"] == "hello"
        session.send(type="response.create")
        events = session.until("response.done")
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.output_item.added"]
    assert kinds[-4:] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.output_item.done",
        "response.done",
    ]
    assert events[-3]["transcript"] == REPLY
    assert events[-1]["response"]["status"] == "completed"
    audio = [base64.b64decode(event["delta"]) for event in events if "audio.delta" in event["type"]]
    assert all(len(piece) % 2 == 0 for piece in audio)
    assert len({event["event_id"] for event in events}) == len(events)


@pytest.mark.parametrize(
    ("event", "param"),
    [
        ({"type": "input_audio_buffer.append", "audio": ""}, None),
        ({"type": "session.update"}, "session"),
        ({"type": "session.update", "session": {"instructions": 7}}, "session.instructions"),
        ({"type": "session.update", "session": {"tools": [{}]}}, "session.tools"),
        (
            {"type": "session.update", "session": {"output_modalities": ["text"]}},
            "session.output_modalities",
        ),
        (
            {"type": "session.update", "session": {"output_audio_format": "g711_ulaw"}},
            "session.audio.output",
        ),
        ({"type": "conversation.item.create", "item": {"type": "message"}}, "item"),
        ({"type": "response.create"}, "response.input"),
        ({"type": "response.create", "response": {"input": [said(" ")]}}, "prompt"),
        ({"type": "response.cancel"}, None),
        ({"type": "session.update", "session": {"instructions": "\ud800"}}, "session.instructions"),
        ({}, "type"),
    ],
)
def test_what_is_not_done_here_is_told_and_the_session_goes_on(
    url: str, event: dict[str, object], param: str | None
) -> None:
    with open_session(url) as connection:
        session = Session(connection)
        session.send(**event)
        told = session.next()
        assert told["type"] == "error"
        assert told["error"]["message"]
        assert told["error"]["param"] == param
        session.send(type="response.create", response={"input": [said("hello")]})
        assert session.until("response.done")[-1]["response"]["status"] == "completed"


@pytest.mark.parametrize("message", ["hello", "[1]", b"\x00", "[" * 100_000])
def test_what_is_no_event_is_told_too(url: str, message: str | bytes) -> None:
    with open_session(url) as connection:
        session = Session(connection)
        connection.send(message)
        assert session.next()["error"]["code"] == "invalid_json"


def make_mistakes(connection: ClientConnection, count: int) -> None:
    """Read each answer before the next mistake, so that a hanging up is met and not waited for."""
    for _ in range(count):
        connection.send("{}")
        connection.recv(PATIENCE_S)


def test_a_client_that_only_makes_mistakes_is_given_up(url: str) -> None:
    with open_session(url) as connection:
        with pytest.raises(ConnectionClosed) as closed:
            make_mistakes(connection, 100)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


def test_a_response_can_be_cancelled_and_the_next_one_asked_for() -> None:
    slow = "sim:ttft=4ms,token=1ms,ttfb=3ms,speed=2x,words=30"
    with server(slow) as url, open_session(url) as connection:
        session = Session(connection)
        ask = {"type": "response.create", "response": {"input": [said("hello")]}}
        session.send(**ask)
        session.until("response.output_audio.delta")
        session.send(**ask)
        assert session.until("error")[-1]["error"]["code"] == "conversation_already_has_response"
        session.send(type="response.cancel")
        done = session.until("response.done")[-1]["response"]
        assert done["status"] == "cancelled"
        session.send(**ask)
        session.until("response.output_audio.delta")


def test_any_number_of_cancels_may_come_too_late(url: str) -> None:
    with open_session(url) as connection:
        session = Session(connection)
        for _ in range(30):
            session.send(type="response.cancel")
            assert session.next()["error"]["code"] == "response_cancel_not_active"
        session.send(type="response.create", response={"input": [said("hello")]})
        assert session.until("response.done")[-1]["response"]["status"] == "completed"


def test_a_reply_can_be_cut_to_what_was_heard(url: str) -> None:
    with open_session(url) as connection:
        session = Session(connection)
        place = {"item_id": "item_1", "content_index": 0, "audio_end_ms": 700}
        session.send(type="conversation.item.truncate", **place)
        told = session.next()
    assert told["type"] == "conversation.item.truncated"
    assert {key: told[key] for key in place} == place


def test_a_failed_turn_is_a_failed_response() -> None:
    with server(QUICK + ",fail=1") as url, open_session(url) as connection:
        session = Session(connection)
        session.send(type="response.create", response={"input": [said("hello")]})
        response = session.until("response.done")[-1]["response"]
    assert response["status"] == "failed"
    assert "scripted failure" in response["status_details"]["error"]["message"]


def test_the_counts_of_the_prompt_are_given_where_the_model_says_them() -> None:
    full = Usage(2, prompt_tokens=30, cached_tokens=23)
    for counted, expected in (
        (full, {"input_tokens": 30, "total_tokens": 32, "cached_tokens": 23}),
        (Usage(2), {"input_tokens": None, "total_tokens": None, "cached_tokens": None}),
    ):
        llm = prepared([*words("Good evening."), counted])
        with server(engines(llm, prepared([sound()]))) as url, open_session(url) as connection:
            session = Session(connection)
            item = said("hello")
            session.send(type="response.create", response={"input": [item]})
            usage = session.until("response.done")[-1]["response"]["usage"]
        details = usage.get("input_token_details", {})
        found = {name: usage.get(name, details.get(name)) for name in expected}
        assert found == expected
        assert usage["output_tokens"] == 2
