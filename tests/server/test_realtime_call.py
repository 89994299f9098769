"""Input audio over the Realtime route, in both dialects."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from counting_agent import (
    ANSWERS_AT,
    CLEARS_AT,
    FAILS_AT,
    SOUND,
    CountingAgent,
    ManualAgent,
    ManualCall,
)
from scripted_engines import PATIENCE_S
from served_somewhere import server
from websockets.sync.client import ClientConnection, connect

from voicebench.audio import g711
from voicebench.server import spoken_calls
from voicebench.server.realtime_call import RealtimeCall
from voicebench.server.realtime_forms import GA
from voicebench.server.spoken_calls import CallDesk

BETA = {"OpenAI-Beta": "realtime=v1"}
RATE = 24_000


@pytest.fixture
def agent() -> CountingAgent:
    return CountingAgent()


@pytest.fixture
def url(agent: CountingAgent) -> Iterator[str]:
    with server(agent=agent) as address:
        yield address.replace("http", "ws", 1) + "/v1/realtime"


def append(client: ClientConnection, content: bytes) -> None:
    audio = base64.b64encode(content).decode()
    client.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))


def speak(client: ClientConnection, frames: int) -> None:
    for _ in range(frames):
        append(client, np.full(RATE // 50, 1000, "<i2").tobytes())


def until(client: ClientConnection, kind: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] != kind:
        events.append(json.loads(client.recv(PATIENCE_S)))
    return events


@pytest.mark.parametrize(
    ("headers", "audio", "item"),
    [
        ({}, "response.output_audio", "conversation.item.added"),
        (BETA, "response.audio", "conversation.item.created"),
    ],
)
def test_speech_is_committed_transcribed_and_answered(
    url: str, agent: CountingAgent, headers: dict[str, str], audio: str, item: str
) -> None:
    with connect(url, compression=None, additional_headers=headers) as client:
        speak(client, ANSWERS_AT + 1)
        events = until(client, "response.done")
    kinds = [event["type"] for event in events]
    assert kinds == [
        "session.created",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        item,
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_item.added",
        f"{audio}_transcript.delta",
        f"{audio}.delta",
        f"{audio}.done",
        f"{audio}_transcript.done",
        "response.output_item.done",
        "response.done",
    ]
    assert events[5]["transcript"] == "What time is it?"
    assert events[1]["item_id"] == events[2]["item_id"] == events[5]["item_id"]
    heard = np.frombuffer(base64.b64decode(events[9]["delta"]), "<i2") / 32768
    np.testing.assert_allclose(heard, SOUND, atol=1 / 32_000)
    assert events[-1]["response"]["status"] == "completed"
    # 24 kHz came, and the agent hears 16.
    frames = np.concatenate(agent.calls[0].frames)
    assert frames.size >= ANSWERS_AT * 320
    assert np.all(np.abs(frames[320:].astype(int) - 1000) < 20)


def test_an_interruption_is_announced_and_telephone_sound_is_heard(
    url: str, agent: CountingAgent
) -> None:
    with connect(url, compression=None) as client:
        given = {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None}}
        client.send(json.dumps({"type": "session.update", "session": {"audio": given}}))
        append(client, bytes(160))  # an agent that only detects turns itself
        told = until(client, "error")[-1]["error"]
        assert "turn_detection" in told["message"]
        given["input"]["turn_detection"] = {"type": "semantic_vad"}
        client.send(json.dumps({"type": "session.update", "session": {"audio": given}}))
        codes = g711.encode(np.full(160, 1000, np.int16), "mulaw").tobytes()
        for _ in range(CLEARS_AT + 1):
            append(client, codes)
        until(client, "input_audio_buffer.speech_started")
        until(client, "input_audio_buffer.speech_started")
    assert np.abs(np.concatenate(agent.calls[0].frames)[320:].astype(int) - 1000).max() < 60
    assert agent.calls[0].is_over.wait(PATIENCE_S)


def test_a_failing_agent_is_an_error_and_ends_the_call(url: str, agent: CountingAgent) -> None:
    agent.fails_at = FAILS_AT
    with connect(url, compression=None) as client:
        speak(client, FAILS_AT + 1)
        assert until(client, "error")[-1]["error"]["message"] == "the model is gone"
        append(client, bytes(960))
        assert until(client, "error")[-1]["error"]["message"] == "the call has ended"
    assert agent.calls[0].is_over.wait(PATIENCE_S)


def test_a_client_commits_by_hand_asks_for_the_answer_and_cancels_it() -> None:
    manual = {"audio": {"input": {"turn_detection": None}}}
    with (
        server(agent=ManualAgent()) as address,
        connect(address.replace("http", "ws", 1) + "/v1/realtime", compression=None) as client,
    ):

        def send(kind: str, **fields: object) -> None:
            client.send(json.dumps({"type": kind, **fields}))

        send("session.update", session=manual)
        send("input_audio_buffer.commit")
        assert "100 ms" in until(client, "error")[-1]["error"]["message"]
        speak(client, 3)
        send("input_audio_buffer.clear")
        until(client, "input_audio_buffer.cleared")
        speak(client, 8)
        send("input_audio_buffer.commit")
        kinds = until(client, "conversation.item.input_audio_transcription.completed")
        assert kinds[0]["type"] == "input_audio_buffer.committed"
        assert kinds[-1]["transcript"] in ("7 frames", "8 frames")  # 24 kHz to 16 keeps 1 ms back
        send("response.create")
        until(client, "response.output_audio.delta")
        send("response.cancel")
        assert until(client, "response.done")[-1]["response"]["status"] == "cancelled"


@pytest.mark.parametrize("by_hand", [True, False])
def test_what_is_not_sent_is_silence_unless_the_client_commits_by_hand(
    by_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("SILENT_CALLER_S", 0.3), ("LULL_S", 0.1), ("STEP_S", 0.1)):
        monkeypatch.setattr(spoken_calls, name, seconds)
    agent, sent = ManualAgent(), 4
    heard: list[object] = []
    monkeypatch.setattr(ManualCall, "hear", lambda _call, frame: heard.append(frame))
    detection = None if by_hand else {"type": "server_vad"}
    with (
        server(agent=agent) as address,
        connect(address.replace("http", "ws", 1) + "/v1/realtime", compression=None) as client,
    ):
        session = {"audio": {"input": {"turn_detection": detection}}}
        client.send(json.dumps({"type": "session.update", "session": session}))
        speak(client, sent)
        assert "no message" in until(client, "error")[-1]["error"]["message"]
    if by_hand:
        assert 0 < len(heard) <= sent
    else:
        assert len(agent.calls[0].frames) > sent


@pytest.mark.parametrize("fails_at", [None, 12])
def test_a_silent_or_failed_call_gives_its_place_back_and_the_session_goes_on(
    fails_at: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken_calls, "SILENT_CALLER_S", 0.3)
    agent = CountingAgent()
    agent.fails_at = fails_at
    with (
        server(agent=agent) as address,
        connect(address.replace("http", "ws", 1) + "/v1/realtime", compression=None) as client,
    ):
        speak(client, 13)
        message = until(client, "error")[-1]["error"]["message"]
        assert message == ("the model is gone" if fails_at else "no message for 0 s")
        assert agent.calls[0].is_over.wait(PATIENCE_S)  # its place is free
        client.send(
            json.dumps({"type": "session.update", "session": {"instructions": "Be brief."}})
        )
        until(client, "session.updated")


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"type": "input_audio_buffer.append", "audio": "%"}, "not base64"),
        ({"type": "input_audio_buffer.append", "audio": "AAAA"}, "whole 16-bit samples"),
        ({"type": "input_audio_buffer.commit"}, "commits when the caller"),
        (
            {
                "type": "session.update",
                "session": {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 8000}}}},
            },
            "24000 Hz",
        ),
    ],
)
def test_what_cannot_be_heard_is_told(url: str, event: dict[str, Any], reason: str) -> None:
    with connect(url, compression=None) as client:
        client.send(json.dumps(event))
        assert reason in until(client, "error")[-1]["error"]["message"]


def test_a_call_gives_its_place_back_though_the_agent_fails_to_hang_up(
    agent: CountingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send(kind: str, **_fields: object) -> None:
        pytest.fail(f"{kind} was sent")

    def broken() -> None:
        raise RuntimeError("the line is stuck")

    async def take_call(desk: CallDesk) -> None:
        call = RealtimeCall(desk, GA, send)
        audio = base64.b64encode(bytes(960)).decode()
        await call.take({"type": "input_audio_buffer.append", "audio": audio})
        monkeypatch.setattr(agent.calls[0], "hang_up", broken)
        with pytest.raises(RuntimeError, match="stuck"):
            await call.close()

    desk = CallDesk(agent, most_calls=1)
    asyncio.run(take_call(desk))
    assert desk.enter() is agent
