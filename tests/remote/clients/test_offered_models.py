"""What a server says that it serves, and what is made of it where nobody named a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from loopback import Loopback, Peer, serving

from voicebench.errors import UsageError
from voicebench.remote.clients.offered_models import (
    MAX_LIST_BYTES,
    Offered,
    offered_models,
    only_model_for,
)
from voicebench.remote.clients.openai_chat import OpenAiChat
from voicebench.remote.clients.openai_speech import OpenAiSpeech
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.remote.failure import RemoteError

WRITES = {"id": "writer", "task": "text-generation"}
SPEAKS = {"id": "speaker", "task": "text-to-speech", "voices": ["ann", {"id": "bob"}]}


@contextmanager
def offering(*entries: object, status: str = "200 OK") -> Iterator[Loopback]:
    """Serve a list of models, and then nothing else."""

    def script(peer: Peer) -> None:
        peer.request()
        document = {"object": "list", "data": list(entries)}
        peer.answer("application/json", json.dumps(document).encode(), status=status)

    with serving(script) as server:
        yield server


def asked(server: Loopback) -> list[Offered]:
    return offered_models(f"{server.url}/v1", Access(), "llm")


def test_each_model_comes_with_what_it_is_for_and_its_voices() -> None:
    with offering({"id": "plain"}, WRITES, SPEAKS, {"no": "id"}, "odd", {"id": 7}) as server:
        assert asked(server) == [
            Offered("plain"),
            Offered("writer", "text-generation"),
            Offered("speaker", "text-to-speech", ("ann", "bob")),
        ]
    assert [(it.method, it.target) for it in server.requests] == [("GET", "/v1/models")]


@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed"])
def test_a_server_without_the_route_names_nothing(status: str) -> None:
    with offering(WRITES, status=status) as server:
        assert asked(server) == []


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"[]", b"{}", b'{"data": 3}', b"x" * (MAX_LIST_BYTES + 1)]
)
def test_an_answer_that_is_no_list_names_nothing(body: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.answer("application/json", body)

    with serving(script) as server:
        assert asked(server) == []


def test_a_refused_key_is_said() -> None:
    with (
        offering(status="401 Unauthorized") as server,
        pytest.raises(RemoteError, match=r"/v1/models answers 401.*name the environment variable"),
    ):
        asked(server)


def test_a_server_that_says_nothing_is_given_up() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.wait_for_hangup()

    with serving(script) as server, pytest.raises(RemoteError, match="sent no byte"):
        offered_models(f"{server.url}/v1", Access(timeouts=Timeouts(first_byte_s=0.1)), "llm")


def test_the_model_with_the_task_is_meant_else_the_only_one() -> None:
    writer, speaker, plain = Offered("w", "text-generation"), Offered("s", "x"), Offered("p")
    assert only_model_for("text-generation", [speaker, writer, plain], "URL", "--llm") == writer
    assert only_model_for("text-generation", [speaker, plain], "URL", "--llm") == plain
    assert only_model_for("text-generation", [speaker], "URL", "--llm") is None
    assert only_model_for("text-generation", [], "URL", "--llm") is None


def test_of_several_none_is_guessed() -> None:
    several = [Offered(f"m{number}") for number in range(8)]
    with pytest.raises(UsageError) as told:
        only_model_for("text-generation", several, "http://host/v1", "--llm NAME")
    assert str(told.value) == (
        "http://host/v1 offers several models: m0, m1, m2, m3, m4, m5 and 2 more; "
        "name one: --llm NAME"
    )


def test_a_model_that_nobody_named_is_asked_for() -> None:
    with offering(SPEAKS, WRITES) as server, closing(OpenAiChat(f"{server.url}/v1")) as chat:
        chat.check()
        assert chat.describe()["model"] == "writer"


def test_a_model_that_was_named_is_not_asked_for() -> None:
    with offering(WRITES) as server, closing(OpenAiChat(f"{server.url}/v1", "mine")) as chat:
        chat.check()
        assert chat.describe()["model"] == "mine"
    assert server.requests == []


def test_a_server_that_does_not_name_its_language_model_has_to_be_told() -> None:
    with (
        offering(SPEAKS) as server,
        closing(OpenAiChat(f"{server.url}/v1")) as chat,
        pytest.raises(UsageError, match="does not say which model it serves; name it: --llm"),
    ):
        chat.check()


@pytest.mark.parametrize(
    ("entries", "given", "model", "voice"),
    [
        ([WRITES, SPEAKS], (None, None), "speaker", "ann"),
        ([WRITES, SPEAKS], ("speaker", None), "speaker", "ann"),
        ([WRITES, SPEAKS], (None, "cyd"), "speaker", "cyd"),
        ([WRITES, SPEAKS], ("other", None), "other", "alloy"),
        ([{"id": "tts-1"}, {"id": "kokoro"}], (None, None), "tts-1", "alloy"),
        ([], (None, None), "tts-1", "alloy"),
    ],
)
def test_a_voice_that_nobody_named_is_the_servers_else_the_well_known_one(
    entries: list[object], given: tuple[str | None, str | None], model: str, voice: str
) -> None:
    with offering(*entries) as server, closing(OpenAiSpeech(f"{server.url}/v1", *given)) as speech:
        speech.check()
        described = speech.describe()
    assert (described["model"], described["voice"]) == (model, voice)
