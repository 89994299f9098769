"""The server repeats the number of a turn and the id of a text, where its client gives one."""

from __future__ import annotations

import json

import pytest
from scripted_engines import PATIENCE_S
from websockets.sync.client import ClientConnection, connect

from voicebench.events import AudioChunk, TurnFailed, TurnFinished, TurnStarted
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
