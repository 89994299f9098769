"""Likely mistakes about a server are answered before any turn, with the option that mends them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from loopback import HttpRequest, Peer, closed_port, serving
from ran_command import Command, Ran

from voicebench.remote.connection.timeouts import Timeouts
from voicebench.targets import likely_addresses, preflight

MODELS = {"data": [{"id": "the-writer"}, {"id": "another"}]}
SPEAKER = {
    "data": [
        {"id": "the-writer", "task": "text-generation"},
        {"id": "the-speaker", "task": "text-to-speech", "voices": ["anna", "bert"]},
    ]
}
REFUSED = 422, {"error": {"message": "messages is empty"}}
Routes = Mapping[str, tuple[int, object]]


@contextmanager
def routes(found: Routes, key: str = "") -> Iterator[tuple[str, list[HttpRequest]]]:
    """Serve some routes; every other path answers 404, and a wrong key 401."""

    def script(peer: Peer) -> None:
        while True:
            request = peer.request()
            status, document = found.get(request.target, (404, {"error": "not found"}))
            if key and request.headers.get("authorization") != f"Bearer {key}":
                sent = request.headers.get("authorization")
                status, document = 401, {"error": {"message": f"a key is needed, not {sent}"}}
            body = json.dumps(document).encode()
            peer.head(f"{status} X", content_type="application/json", content_length=str(len(body)))
            peer.send(body)

    with serving(script) as server:
        yield server.url, server.requests


def whole(base: str = "/v1", models: object = MODELS) -> dict[str, tuple[int, object]]:
    return {
        f"{base}/models": (200, models),
        f"{base}/chat/completions": REFUSED,
        f"{base}/audio/speech": REFUSED,
    }


@pytest.fixture
def run(voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a measurement that must end before its first turn."""
    monkeypatch.setattr(likely_addresses, "COMMON_PORTS", ())

    def measure(*arguments: str) -> Ran:
        ran = voicebench(
            *("run", "--runs", "1", "--results", str(tmp_path / "results"), *arguments),
            *(() if "--voice" not in arguments else ("--set", "tts.model=tts-1")),
        )
        assert ran.out == ""
        assert not list((tmp_path / "results").glob("*"))
        return ran

    return measure


def mended(ran: Ran, option: str, message: str) -> None:
    assert ran.code == 2, ran.err
    assert option in ran.err
    assert re.search(message, ran.err), ran.err


@pytest.mark.parametrize("path", ["/v1/v1", "/api", "/v1/chats", "/v2/models"])
def test_a_wrong_base_is_answered_with_the_right_one(run: Command, path: str) -> None:
    with routes(whole()) as (url, _):
        ran = run("--server", f"{url}{path}", "--llm", "the-writer", "--voice", "x")
        mended(ran, f"--server {url}/v1\n", "answers 404: the server has no chat route there")


def test_a_missing_version_is_answered_with_it(run: Command) -> None:
    with routes(whole("/api/v1")) as (url, _):
        ran = run("--server", f"{url}/api", "--llm", "the-writer", "--voice", "x")
        mended(ran, f"--server {url}/api/v1\n", "no chat route")


@pytest.mark.parametrize("route", ["/chat/completions", "/audio/speech", "/models"])
def test_a_whole_route_is_taken_for_its_base(run: Command, route: str) -> None:
    with routes(whole(models=SPEAKER)) as (url, requests):
        ran = run("--server", f"{url}/v1{route}", "--voice", "nobody")
        assert "/v1/models does not list the voice nobody" in ran.err
        assert {request.target for request in requests} == set(whole())


def test_https_on_http_is_answered_with_http(run: Command) -> None:
    with routes(whole()) as (url, _):
        ran = run("--server", url.replace("http", "https", 1), "--llm", "m", "--voice", "x")
        assert ran.code in (2, 4)
        assert f"--server {url}/v1" in ran.err


def test_a_wrong_port_is_answered_with_a_right_one(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with routes(whole()) as (url, _):
        monkeypatch.setattr(likely_addresses, "COMMON_PORTS", (int(url.rpartition(":")[2]),))
        ran = run("--server", f"http://127.0.0.1:{closed_port()}", "--llm", "m", "--voice", "x")
        assert ran.code == 4
        assert f"{url}/v1 answers: --server {url}/v1" in ran.err


def test_a_server_without_speech_is_told_how_to_speak(run: Command) -> None:
    chat_alone = {path: answer for path, answer in whole().items() if "audio" not in path}
    with routes(chat_alone) as (url, _):
        ran = run("--server", url, "--llm", "the-writer", "--voice", "x")
        mended(ran, "--tts-url URL", "no speech route")


@pytest.mark.parametrize(
    ("name", "remedy"), [("the-wrter", "did you mean --llm the-writer"), ("qq", "take --llm")]
)
def test_a_model_that_is_not_listed_is_refused_with_those_that_are(
    run: Command, name: str, remedy: str
) -> None:
    with routes(whole()) as (url, _):
        ran = run("--server", url, "--llm", name, "--voice", "x")
        mended(ran, remedy, f"/v1/models does not list the model {name}; it lists the-writer, ano")


def test_a_voice_that_is_not_listed_is_refused_with_those_that_are(run: Command) -> None:
    with routes(whole(models=SPEAKER)) as (url, _):
        ran = run("--server", url, "--voice", "berta")
        mended(ran, "did you mean --voice bert", "does not list the voice berta; it lists anna")


def test_a_missing_key_is_answered_with_its_option(run: Command) -> None:
    with routes(whole(), key="abc") as (url, _):
        ran = run("--server", url, "--llm", "the-writer", "--voice", "x")
        mended(ran, "--key-env VARIABLE", "answers 401: a key is needed")


def test_a_key_is_sent_by_its_option_and_only_to_its_server(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "abc")
    with routes(whole(), key="abc") as (url, requests):
        ran = run("--server", url, "--key-env", "MY_KEY", "--llm", "nobody", "--voice", "x")
        assert "does not list the model nobody" in ran.err
        assert all(one.headers.get("authorization") == "Bearer abc" for one in requests)
    with routes(whole(), key="abc") as (url, _), routes({}) as (other, asked):
        monkeypatch.setattr(likely_addresses, "COMMON_PORTS", (int(other.rpartition(":")[2]),))
        bad = f"http://127.0.0.1:{closed_port()}"
        run("--server", bad, "--key-env", "MY_KEY", "--llm", "m", "--voice", "x")
        assert asked
        assert not any("authorization" in one.headers for one in asked)


def test_a_wrong_key_is_named_by_its_variable(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "wrong")
    with routes(whole(), key="abc") as (url, _):
        ran = run("--server", url, "--key-env", "MY_KEY", "--llm", "m", "--voice", "x")
        mended(ran, "check the key in the environment variable MY_KEY", "answers 401")
        assert "wrong" not in ran.err


def test_two_servers_are_named_apart(run: Command) -> None:
    with routes(whole()) as (url, _), routes(whole("/api/v1")) as (other, _):
        ran = run("--llm-url", url, "--tts-url", f"{other}/api", "--llm", "another", "--voice", "x")
        mended(ran, f"--tts-url {other}/api/v1\n", "no speech route")
        ran = run("--llm-url", url, "--tts-url", other, "--key-env", "MY_KEY")
        mended(ran, "llm.key_env", "the key of one server")
        ran = run("--server", url, "--llm-url", url, "--tts-url", url)
        mended(ran, "leave one of the three out", "--server")


def test_nothing_is_asked_where_the_settings_say_so(run: Command) -> None:
    with routes(whole()) as (url, requests):
        ran = run(
            *("--server", url, "--llm", "nobody", "--voice", "x"),
            *("--set", "wire.preflight=false", "--baseline", "nowhere"),
        )
        assert ran.code == 2
        assert requests == []


def test_requests_of_the_preflight_cannot_be_computed(run: Command) -> None:
    with routes(whole(models=SPEAKER)) as (url, requests):
        run("--server", url, "--voice", "nobody")
        posted = {one.target: one.json for one in requests if one.method == "POST"}
        assert posted == {
            "/v1/chat/completions": {"messages": []},
            "/v1/audio/speech": {"model": "tts-1"},
        }


def test_a_server_that_says_nothing_is_asked_by_one_request(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two engines and another scheme would each wait as long again."""
    monkeypatch.setattr(preflight, "PATIENCE", Timeouts(0.4, 0.4, 0.4, 0.4))
    asked: list[str] = []

    def mute(peer: Peer) -> None:
        asked.append(peer.request().method)
        peer.wait_for_hangup()

    with serving(mute) as server:
        ran = run("--server", server.url, "--set", "wire.first_byte_s=0.5")
        assert ran.code == 4
        assert "sent no byte of an answer within 0.5 s" in ran.err
        assert asked.count("POST") == 1


ASKING = (
    "load --callers 1 --for 20s --no-gate",
    "tune --runs 1",
    "say --ask why --output out.wav",
)


@pytest.mark.parametrize("command", ASKING)
def test_every_command_that_asks_a_server_asks_it_before_any_turn(
    voicebench: Command, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_KEY", "abc")
    words = command.split()
    with routes(whole(), key="abc") as (url, _), routes(whole()) as (other, _):
        named = ("--llm-url", url, "--tts-url", other, "--llm", "the-wrter", "--voice", "x")
        given = (*named, "--set", "tts.model=tts-1")
        ran = voicebench(*words, *given)
        mended(ran, "--set llm.key_env=VARIABLE", "answers 401")
        ran = voicebench(*words, *given, "--set", "llm.key_env=MY_KEY")
        mended(ran, "did you mean --llm the-writer", "does not list")
    assert not list(tmp_path.glob("results/*"))
    assert not (tmp_path / "out.wav").exists()


def test_a_key_belongs_to_the_server_of_the_settings_file(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "abc")
    file = tmp_path / "mine.toml"
    with routes(whole(), key="abc") as (url, _):
        file.write_text(f'[llm]\nurl = "{url}/v1"\n[tts]\nurl = "{url}/v1"\n', encoding="utf-8")
        asked = (str(file), "--llm", "nobody", "--voice", "x")
        mended(run(*asked), "--key-env VARIABLE", "answers 401")
        ran = run(*asked, "--key-env", "MY_KEY")
        mended(ran, "take --llm", "does not list the model nobody")


def test_an_option_of_the_agent_in_process_is_not_of_another(voicebench: Command) -> None:
    ran = voicebench("call", "--agent", "sim:", "--llm-url", "http://127.0.0.1:1/v1")
    mended(ran, "leave it out", "--llm-url has no effect")
