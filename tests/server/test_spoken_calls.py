"""Spoken calls to the server: by the client that measures agents, and by hand."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from counting_agent import (
    ANSWER,
    CLEARS_AT,
    FAILS_AT,
    FRAME,
    RATE,
    SOUND,
    VOICE_RATE,
    CountingAgent,
)
from scripted_engines import PATIENCE_S
from served_somewhere import server
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from voicebench.agents.agent_kinds import agent_kind
from voicebench.audio import g711
from voicebench.calls.agent_events import AgentAudio, AgentCleared, AgentEvent
from voicebench.server import spoken_calls
from voicebench.settings import load_settings


@pytest.fixture
def agent() -> CountingAgent:
    return CountingAgent()


@pytest.fixture
def url(agent: CountingAgent) -> Iterator[str]:
    with server(agent=agent) as address:
        yield address.replace("http", "ws", 1)


def frame(level: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.full(FRAME, level, np.int16)


def test_the_client_that_measures_agents_hears_every_event(url: str, agent: CountingAgent) -> None:
    address = f"{url}/v1/call"
    client = agent_kind(address).open(address, load_settings().settings, lambda _line: None)
    events: list[AgentEvent] = []
    cleared = threading.Event()

    def take(event: AgentEvent) -> None:
        events.append(event)
        if isinstance(event, AgentCleared):
            cleared.set()

    call = client.open_call(take)
    for number in range(CLEARS_AT):
        call.hear(frame(number))
    assert cleared.wait(PATIENCE_S)
    call.hang_up()
    sound = [event for event in events if isinstance(event, AgentAudio)]
    others = [event for event in events if not isinstance(event, AgentAudio)]
    assert others == [
        *(event for event in ANSWER if not isinstance(event, AgentAudio)),
        AgentCleared(),
    ]
    heard = np.concatenate([event.pcm for event in sound])
    np.testing.assert_allclose(heard, SOUND, atol=1 / 32_000)
    assert sound[0].sample_rate == VOICE_RATE
    (served,) = agent.calls
    np.testing.assert_array_equal(
        np.concatenate(served.frames), np.repeat(np.arange(CLEARS_AT), FRAME)
    )
    assert served.is_over.wait(PATIENCE_S)


def told(client: ClientConnection) -> list[str | bytes]:
    """Return all messages until the server closes the connection."""
    messages = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            messages.append(client.recv(PATIENCE_S))
    return messages


def twilio(client: ClientConnection, samples: np.ndarray[Any, np.dtype[np.int16]]) -> None:
    codes = g711.encode(samples, "mulaw").tobytes()
    payload = base64.b64encode(codes).decode()
    media = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": payload}
    client.send(json.dumps({"event": "media", "streamSid": "MZ1", "media": media}))


START = {
    "event": "start",
    "streamSid": "MZ1",
    "start": {
        "streamSid": "MZ1",
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    },
}


def test_a_telephone_service_gets_mulaw_a_mark_and_a_clear(url: str, agent: CountingAgent) -> None:
    tone = (8000 * np.sin(np.arange(160) * 2 * np.pi * 300 / 8000)).astype(np.int16)
    with connect(f"{url}/v1/media-stream", compression=None) as client:
        client.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        client.send(json.dumps(START))
        for _ in range(CLEARS_AT + 1):  # two milliseconds are kept back by the filter
            twilio(client, tone)
        received = [json.loads(client.recv(PATIENCE_S)) for _ in range(4)]
        client.send(json.dumps({"event": "stop", "streamSid": "MZ1"}))
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE_S)
    assert [one["event"] for one in received] == ["media", "media", "mark", "clear"]
    assert {one["streamSid"] for one in received} == {"MZ1"}
    media = b"".join(base64.b64decode(one["media"]["payload"]) for one in received[:2])
    heard = g711.decode(np.frombuffer(media, np.uint8), "mulaw")
    assert heard.size == 800  # 100 ms at 8 kHz
    assert 12_000 < np.abs(heard.astype(int)).max() < 18_000
    frames = np.concatenate(agent.calls[0].frames)
    assert 6_000 < np.abs(frames.astype(int)).max() < 10_000


@pytest.mark.parametrize(
    ("route", "message", "reason"),
    [
        ("call", b"odd", "whole 16-bit samples"),
        ("call", '{"type": "dance"}', "'dance' is not supported"),
        ("call", "no json", "not a JSON object"),
        ("media-stream", '{"event": "media", "media": {"payload": "AA=="}}', "before start"),
        ("media-stream", '{"event": "start"}', "streamSid"),
        (
            "media-stream",
            json.dumps(START | {"start": {"mediaFormat": {"encoding": "audio/l16"}}}),
            "only audio/x-mulaw",
        ),
    ],
)
def test_a_message_that_breaks_the_protocol_ends_the_call_with_its_reason(
    url: str, agent: CountingAgent, route: str, message: str | bytes, reason: str
) -> None:
    with connect(f"{url}/v1/{route}", compression=None) as client:
        client.send(message)
        said = told(client)[-1]
        assert client.close_code == spoken_calls.POLICY_VIOLATION
    assert reason in json.loads(said)["error"]["message"]
    assert agent.calls[0].is_over.wait(PATIENCE_S)


def test_sound_far_ahead_of_real_time_is_refused(url: str, agent: CountingAgent) -> None:
    with connect(f"{url}/v1/call", compression=None) as client:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(60):
                client.send(bytes(RATE))  # half a second
        assert "ahead of real time" in json.loads(told(client)[-1])["error"]["message"]
    assert sum(one.size for one in agent.calls[0].frames) <= 13 * RATE


def test_a_message_larger_than_any_frame_is_refused(url: str) -> None:
    with connect(f"{url}/v1/call", compression=None) as client:
        with contextlib.suppress(ConnectionClosed):
            client.send(bytes(10_000_000))
        told(client)
        # Too big; or the connection is gone before that can be read.
        assert client.close_code in (1009, 1006)


def test_an_agent_that_fails_ends_the_call(url: str, agent: CountingAgent) -> None:
    agent.fails_at = FAILS_AT
    with connect(f"{url}/v1/call", compression=None) as client:
        for number in range(FAILS_AT):
            client.send(frame(number).tobytes())
        texts = [message for message in told(client) if isinstance(message, str)]
    assert "the model is gone" in texts[-2]
    assert agent.calls[0].is_over.wait(PATIENCE_S)


def test_one_call_too_many_is_refused_and_a_place_is_free_again(
    url: str, agent: CountingAgent
) -> None:
    address = f"{url}/v1/call"
    with contextlib.ExitStack() as open_calls:
        for _ in range(spoken_calls.MOST_CALLS):
            client = open_calls.enter_context(connect(address, compression=None))
            assert json.loads(client.recv(PATIENCE_S))["type"] == "ready"
        with connect(address, compression=None) as refused:
            assert "calls are open" in json.loads(refused.recv(PATIENCE_S))["error"]["message"]
    assert all(call.is_over.wait(PATIENCE_S) for call in agent.calls)
    for _ in range(100):
        with connect(address, compression=None) as again:
            if json.loads(again.recv(PATIENCE_S)).get("type") == "ready":
                return
        time.sleep(0.05)
    pytest.fail("no place became free")


def test_a_caller_that_says_nothing_is_hung_up_on(
    url: str, agent: CountingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken_calls, "SILENT_CALLER_S", 0.2)
    with connect(f"{url}/v1/call", compression=None) as client:
        client.recv(PATIENCE_S)
        assert "no message" in json.loads(client.recv(PATIENCE_S))["error"]["message"]
    assert agent.calls[0].is_over.wait(PATIENCE_S)


def test_a_caller_that_sends_only_what_is_spoken_is_heard_as_silent_then(
    url: str, agent: CountingAgent
) -> None:
    with connect(f"{url}/v1/call", compression=None) as client:
        client.send(frame(9).tobytes())  # nothing more: the agent answers ten frames
        kinds = [json.loads(client.recv(PATIENCE_S))["type"] for _ in range(3)]
    assert kinds == ["ready", "speech_stopped", "transcript"]
    heard = np.concatenate(agent.calls[0].frames)
    assert heard[:FRAME].tolist() == [9] * FRAME
    assert not heard[FRAME:].any()


def test_what_is_sent_ahead_of_real_time_is_followed_by_no_silence(
    url: str, agent: CountingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken_calls, "SILENT_CALLER_S", 0.8)
    with connect(f"{url}/v1/call", compression=None) as client:
        client.send(np.full(RATE * 3, 9, np.int16).tobytes())  # 3 s at once
        assert "no message" in json.loads(told(client)[-1])["error"]["message"]
    assert all(one.all() for one in agent.calls[0].frames)


def test_a_call_ends_at_its_longest(
    url: str, agent: CountingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken_calls, "LONGEST_CALL_S", -1.0)
    with connect(f"{url}/v1/call", compression=None) as client:
        client.send(frame(1).tobytes())
        assert "lasts at most" in json.loads(told(client)[-1])["error"]["message"]
    assert agent.calls[0].frames == []


def test_a_server_without_ears_says_how_to_get_them() -> None:
    with (
        server() as address,
        connect(address.replace("http", "ws", 1) + "/v1/call", compression=None) as client,
    ):
        message = json.loads(client.recv(PATIENCE_S))["error"]["message"]
        assert "voicebench serve --ears" in message


def test_a_page_of_another_origin_cannot_call(url: str) -> None:
    with pytest.raises(InvalidStatus):
        connect(f"{url}/v1/call", origin=Origin("http://evil.example"))
