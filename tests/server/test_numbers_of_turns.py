"""The server repeats the number of a turn and the id of a text, where its client gives one."""

from __future__ import annotations

import json

import pytest
from scripted_engines import PATIENCE_S
from served_somewhere import server
from websockets.sync.client import ClientConnection, connect

from voicebench.events import (
    AudioChunk,
    TurnFailed,
    TurnFinished,
    TurnInterrupted,
    TurnStarted,
    TurnStopped,
)
from voicebench.server.speech_socket import MAX_ID_CHARACTERS
from voicebench.turn import wire


def open_socket(url: str, path: str) -> ClientConnection:
    return connect(url.replace("http", "ws", 1) + path, compression=None)


def answer_to(client: ClientConnection, prompt: str, turn: int | None) -> list[wire.OfTurn]:
    client.send(wire.encode(TurnStarted(prompt), turn=turn))
    answer: list[wire.OfTurn] = []
    while not answer or not isinstance(answer[-1].event, TurnFinished | TurnFailed):
        answer.append(wire.decode_of_turn(client.recv(PATIENCE_S)))
    return answer


def test_each_message_of_a_turn_has_the_number_that_its_client_gave(url: str) -> None:
    with open_socket(url, "/v1/voice") as client:
        for turn in (7, None, 8):
            answer = answer_to(client, "What will the weather be?", turn)
            assert {told.turn for told in answer} == {turn}
            assert any(isinstance(told.event, AudioChunk) for told in answer)


def test_a_turn_that_is_refused_has_its_number_too(url: str) -> None:
    with open_socket(url, "/v1/voice") as client:
        (told,) = answer_to(client, " ", 7)
    assert isinstance(told.event, TurnFailed)
    assert told.turn == 7


@pytest.mark.parametrize("text_id", ["7", None])
def test_a_text_is_named_before_its_sound_and_at_its_end(url: str, text_id: str | None) -> None:
    named = {} if text_id is None else {"id": text_id}
    with open_socket(url, "/tts/socket") as client:
        for _ in range(2):
            client.send(json.dumps({"text": "Good evening.", **named}))
            messages = [client.recv(PATIENCE_S)]
            while isinstance(messages[-1], bytes) or "done" not in json.loads(messages[-1]):
                messages.append(client.recv(PATIENCE_S))
            told = [json.loads(message) for message in messages if isinstance(message, str)]
            assert told[-1].get("id") == text_id
            assert told[:-1] == ([{"begin": True, "id": "7"}] if named else [])
            assert isinstance(messages[0], str) == bool(named)


@pytest.mark.parametrize("text_id", ["x" * (MAX_ID_CHARACTERS + 1), 7, ["7"]])
def test_an_id_that_is_none_is_refused(url: str, text_id: object) -> None:
    with open_socket(url, "/tts/socket") as client:
        client.send(json.dumps({"text": "Hello.", "id": text_id}))
        answer = json.loads(client.recv(PATIENCE_S))
    assert answer["error"]["param"] == "id"


# A client whose listener interrupts.

SPEAKS_LONG = "sim:ttft=4ms,token=1ms,ttfb=3ms,speed=1x,words=16"


def test_an_interrupted_turn_stops_and_the_next_one_may_begin() -> None:
    with server(SPEAKS_LONG) as there, open_socket(there, "/v1/voice") as client:
        for turn in (7, 8):
            client.send(wire.encode(TurnStarted("What will the weather be?"), turn=turn))
            while not isinstance(wire.decode(client.recv(PATIENCE_S)), AudioChunk):
                pass
            client.send(wire.encode(TurnInterrupted(), turn=turn))
            rest = [wire.decode_of_turn(client.recv(PATIENCE_S))]
            while not isinstance(rest[-1].event, TurnFinished | TurnFailed):
                rest.append(wire.decode_of_turn(client.recv(PATIENCE_S)))
            assert [told.event for told in rest[-2:]] == [TurnStopped(), TurnFinished()]
            assert {told.turn for told in rest} == {turn}
            sounds = sum(isinstance(told.event, AudioChunk) for told in rest)
            assert sounds < 40  # of 48


def test_an_interruption_of_a_turn_that_is_over_is_ignored(url: str) -> None:
    with open_socket(url, "/v1/voice") as client:
        answer_to(client, "What will the weather be?", 7)
        client.send(wire.encode(TurnInterrupted(), turn=7))
        answer = answer_to(client, "And tomorrow?", 8)
        assert isinstance(answer[-1].event, TurnFinished)
        assert not any(isinstance(told.event, TurnStopped) for told in answer)


def test_an_interruption_of_another_turn_stops_nothing() -> None:
    script = "sim:ttft=4ms,token=1ms,ttfb=3ms,speed=20x,words=16"
    with server(script) as there, open_socket(there, "/v1/voice") as client:
        client.send(wire.encode(TurnStarted("What will the weather be?"), turn=8))
        client.send(wire.encode(TurnInterrupted(), turn=7))
        answer = [wire.decode(client.recv(PATIENCE_S))]
        while not isinstance(answer[-1], TurnFinished | TurnFailed):
            answer.append(wire.decode(client.recv(PATIENCE_S)))
    assert isinstance(answer[-1], TurnFinished)
    samples = sum(event.pcm.size for event in answer if isinstance(event, AudioChunk))
    assert samples == 16_000 * 4.8
