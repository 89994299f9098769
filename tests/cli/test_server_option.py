"""`run --server URL`: no further option is needed, and a server that is down is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from loopback import closed_port, serving
from ran_command import Command
from scripted_engines import Scripted, sound, words
from served_somewhere import engines, server

from voicebench.engines.llm import language_model as language_models
from voicebench.engines.models import store
from voicebench.engines.tts import synthesizer as voices
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.targets import preflight


def written(results: Path, name: str) -> dict[str, dict[str, Any]]:
    """Return a document of the one run in ``results``."""
    (folder,) = results.iterdir()
    return dict(json.loads((folder / name).read_text()))


def transports_in(document: Mapping[str, Any]) -> list[str]:
    """Return over what the instrument's own error was measured, the worst being the one shown."""
    worst = max(document["instruments"], key=lambda error: error["p95_ms"])
    assert document["instrument"] == worst
    return [error["transport"] for error in document["instruments"]]


def run(results: Path, *more: str) -> tuple[str, ...]:
    return ("run", "--runs", "1", "--warmup", "0", "--no-gate", "--results", str(results), *more)


def named(name: str, *answers: object) -> Scripted:
    """Return an engine of prepared answers that goes by ``name``."""

    class Named(Scripted):
        def describe(self) -> dict[str, object]:
            return {"model": name, "voice": name, "device": "cpu"}

    return Named(*answers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("127.0.0.1:9000/v1", "http://127.0.0.1:9000/v1 or ws://127.0.0.1:9000/v1"),
        ("my server", "http://127.0.0.1:8765 or ws://127.0.0.1:8765"),
    ],
)
def test_an_address_without_a_scheme_is_answered_with_one(
    voicebench: Command, tmp_path: Path, given: str, meant: str
) -> None:
    ran = voicebench(*run(tmp_path, "--server", given))
    assert ran.code == 2
    assert f"is not the URL of a server; write for example {meant}\n" in ran.err


@pytest.fixture
def loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a model is fetched or loaded."""

    def refuse(*_args: object, **_options: object) -> None:
        pytest.fail("a model was fetched or loaded")

    monkeypatch.setattr(language_models, "load_language_model", refuse)
    monkeypatch.setattr(voices, "load_synthesizer", refuse)
    monkeypatch.setattr("voicebench.targets.kinds.ensure", refuse)
    monkeypatch.setattr(store, "ensure", refuse)


@pytest.mark.parametrize("address", [lambda url: url, lambda url: f"{url}/v1/"])
def test_it_asks_the_server_for_its_models_by_name(
    voicebench: Command, tmp_path: Path, address: Callable[[str], str]
) -> None:
    llm = named("the-writer", *2 * [words("It is a fine day.")])
    tts = named("the-speaker", *4 * [[sound()]])
    with server(engines(llm, tts)) as url:
        ran = voicebench(*run(tmp_path, "--server", address(url)))
    assert ran.code == 0, ran.err
    assert "language model the-writer at" in ran.err
    assert "voice the-speaker at" in ran.err
    target = written(tmp_path, "environment.json")["target"]
    assert target["llm"]["model"] == "the-writer"
    over = ["in process", "chat, SSE", "speech, one WAV that grows"]
    assert transports_in(written(tmp_path, "environment.json")) == over
    assert transports_in(written(tmp_path, "summary.json")["run"]) == over
    settings = written(tmp_path, "settings.json")
    assert settings["llm"]["model"] == "the-writer"
    assert (settings["tts"]["model"], settings["tts"]["voice"]) == ("the-speaker", "the-speaker")
    origins = settings["origins"]
    assert {origins[key] for key in ("llm.model", "tts.model", "tts.voice")} == {"the server"}


def test_what_two_servers_say_is_of_what_first_audio_waits_for(
    voicebench: Command, tmp_path: Path
) -> None:
    # A reply of a second and a half in many chunks: their durations add up to more than it.
    with server("sim:ttft=40ms,token=40ms,ttfb=30ms,speed=20x,words=40") as url:
        ran = voicebench(*run(tmp_path, "--server", url))
    assert ran.code == 0, ran.err
    figures = {
        name: found["p50"] for name, found in written(tmp_path, "summary.json")["metrics"].items()
    }
    assert figures["server_llm_ms"] >= 40
    assert figures["server_tts_ms"] >= 30
    assert figures["server_ms"] == figures["server_llm_ms"] + figures["server_tts_ms"]
    assert figures["server_ms"] < figures["first_audio_ms"] < figures["llm_total_ms"]
    assert 0 < figures["transport_ms"] < figures["first_audio_ms"]
    table = ran.out[ran.out.index("Durations reported by servers, in ms") :]
    assert "LLM: first token" in table
    assert "voice: first sound" in table


@pytest.mark.parametrize("path", ["/v1/voice", "/v1/realtime"])
def test_what_one_server_says_is_of_the_whole_turn(
    voicebench: Command, tmp_path: Path, path: str
) -> None:
    with server() as url:
        ran = voicebench(*run(tmp_path, "--server", url.replace("http", "ws", 1) + path))
    assert ran.code == 0, ran.err
    table = ran.out[ran.out.index("Durations reported by servers, in ms") :]
    assert "whole turn" in table


@pytest.mark.parametrize("path", ["", "/v1/voice", "/v1/realtime?model=simulated"])
def test_a_whole_turn_needs_no_name(voicebench: Command, tmp_path: Path, path: str) -> None:
    with server() as url:
        ran = voicebench(*run(tmp_path, "--server", url.replace("http", "ws", 1) + path))
    assert ran.code == 0, ran.err
    settings = written(tmp_path, "settings.json")
    says_its_model = "realtime" in path
    assert settings["llm"]["model"] == ("simulated" if says_its_model else None)
    assert settings["tts"]["voice"] is None


@pytest.mark.usefixtures("loads_nothing")
@pytest.mark.parametrize(
    ("more", "key"),
    [
        (("--llm", "m"), "llm.model"),
        (("--voice", "v"), "tts.voice"),
        (("--first-words", "2"), "chunker.first_words"),
        (("--set", "tts.url=http://127.0.0.1:1/v1"), "tts.url"),
    ],
)
def test_what_a_whole_turn_cannot_be_told_is_refused(
    voicebench: Command, tmp_path: Path, more: tuple[str, ...], key: str
) -> None:
    ran = voicebench(*run(tmp_path, "--server", "ws://127.0.0.1:1", *more))
    assert ran.code == 2
    assert f"{key} has no effect with target 'voice'" in ran.err


def test_it_takes_the_place_of_a_plain_route_in_the_file(
    voicebench: Command, tmp_path: Path
) -> None:
    with server() as url:
        ran = voicebench(
            *run(tmp_path, "configs/servers/tts-stream.toml", "--server", url, "--runs", "1")
        )
    assert ran.code == 0, ran.err


def test_a_url_with_a_place_for_the_text_is_a_plain_route(
    voicebench: Command, tmp_path: Path
) -> None:
    with server() as url:
        ran = voicebench(
            *run(tmp_path, "--server", f"{url}/tts/stream?text={{text}}"),
            *("--set", f"llm.url={url}/v1"),
        )
    assert ran.code == 0, ran.err
    settings = written(tmp_path, "settings.json")
    assert settings["tts"]["api"] == "plain"
    assert settings["tts"]["voice"] is None


def test_a_query_stays_behind_the_routes(voicebench: Command, tmp_path: Path) -> None:
    with server() as url:
        ran = voicebench(*run(tmp_path, "--server", f"{url}?api-version=2"))
    assert ran.code == 0, ran.err


def test_the_default_gates_over_realtime_are_told_which_of_them_cannot_pass(
    voicebench: Command, tmp_path: Path
) -> None:
    with server() as url:
        address = url.replace("http", "ws", 1) + "/v1/realtime"
        ran = voicebench(
            *("run", "--runs", "1", "--warmup", "0", "--results", str(tmp_path)),
            *("--server", address),
        )
        said = " ".join(ran.err.split())
        assert ran.code == 3
        assert "does not show tts_ttfb" in said
        assert "drop 'tts_ttfb.p95 < 100ms': --gate 'llm_total.mean < 200ms'" in said


def test_a_name_that_was_given_is_kept(voicebench: Command, tmp_path: Path) -> None:
    with server() as url:
        ran = voicebench(*run(tmp_path, "--server", url, "--llm", "gpt-9"))
        assert ran.code == 2
        assert "/v1/models does not list the model gpt-9; it lists simulated" in ran.err
        unasked = ("--set", "wire.preflight=false")
        ran = voicebench(*run(tmp_path, "--server", url, "--llm", "gpt-9", *unasked))
    assert ran.code == 4
    assert "answers 404: model 'gpt-9' is not served here; 'simulated' is" in ran.err
    assert written(tmp_path, "settings.json")["origins"]["llm.model"] == "command line"


@pytest.mark.usefixtures("loads_nothing")
@pytest.mark.parametrize(
    "down",
    [
        ("--set", "tts.url=http://{host}/v1"),
        ("--set", "tts.api=plain", "--set", "tts.url=http://{host}/tts?text={{text}}"),
        ("--set", "llm.url=http://{host}/v1"),
        ("--set", "llm.url=http://{host}/v1", "--llm", "m"),
        ("--server", "http://{host}"),
        ("--server", "ws://{host}"),
        ("--server", "ws://{host}/v1/realtime"),
    ],
)
def test_a_server_that_is_down_ends_it_before_anything_is_fetched_or_loaded(
    voicebench: Command, tmp_path: Path, down: tuple[str, ...]
) -> None:
    host = f"127.0.0.1:{closed_port()}"
    ran = voicebench(*run(tmp_path, *(part.format(host=host) for part in down)))
    assert ran.code == 4
    assert f"://{host}/" in ran.err
    assert "cannot be reached" in ran.err
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("loads_nothing")
@pytest.mark.parametrize(
    ("address", "limit", "said"),
    [
        ("ws://{host}", "connect_s", "did not end the WebSocket handshake within 1.5 s"),
        ("http://{host}", "first_byte_s", "sent no byte of an answer within 1.5 s"),
    ],
)
def test_a_server_that_takes_connections_and_says_nothing_ends_it_in_time(
    voicebench: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    limit: str,
    said: str,
) -> None:
    # Each question of the preflight; what ends the run is the limit that is set here.
    monkeypatch.setattr(preflight, "PATIENCE", Timeouts(0.3, 0.3, 0.3, 0.3))
    with serving(lambda peer: peer.wait_for_hangup()) as mute:
        where = address.format(host=f"127.0.0.1:{mute.port}")
        ran = voicebench(*run(tmp_path, "--server", where, "--set", f"wire.{limit}=1.5"))
    assert ran.code == 4
    assert said in ran.err
    assert where in ran.err
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("loads_nothing")
@pytest.mark.parametrize(
    "behind", ["llm.url=http://127.0.0.1:1/v1", "tts.url=http://127.0.0.1:1/v1"]
)
def test_what_is_behind_a_wire_is_not_served_again(voicebench: Command, behind: str) -> None:
    ran = voicebench("serve", "--port", "0", "--set", behind)
    assert ran.code == 2
    assert "an engine behind a URL cannot be served" in ran.err


@pytest.mark.usefixtures("loads_nothing")
def test_saying_a_text_reaches_the_voice_alone(voicebench: Command, tmp_path: Path) -> None:
    wav = tmp_path / "said.wav"
    with server() as url:
        down = f"llm.url=http://127.0.0.1:{closed_port()}/v1"
        ran = voicebench(
            *("say", "Hello there", "--output", str(wav)),
            *("--set", f"tts.url={url}/v1", "--set", down),
        )
    assert ran.code == 0, ran.err
    assert wav.stat().st_size > 1000
