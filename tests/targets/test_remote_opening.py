"""From settings to what is behind a wire."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from loopback import Peer, serving

from voicebench.settings import Settings, load_settings
from voicebench.targets.opening import check_target, expected_settings
from voicebench.targets.remote_opening import open_remote_llm, open_remote_tts, open_server

DOCUMENT = {"choices": [{"message": {"content": "It is late."}}]}


def test_a_language_models_key_goes_into_the_header_that_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")

    def script(peer: Peer) -> None:
        peer.request()
        peer.answer("application/json", json.dumps(DOCUMENT).encode())

    with serving(script) as server:
        settings = load_settings(
            None,
            {
                "llm.url": f"{server.url}/v1",
                "llm.model": "m",
                "llm.key_env": "SOME_KEY",
                "llm.key_header": "api-key",
                "llm.key_scheme": "",
            },
        ).settings
        llm = open_remote_llm(settings, None)
        list(llm.reply("What time is it?"))
        llm.close()
    (request,) = server.requests
    assert request.headers["api-key"] == "sk-secret"
    assert "authorization" not in request.headers


@pytest.mark.parametrize("section", ["llm", "tts", "server"])
def test_a_header_that_no_key_can_have_is_refused_for_every_server(
    section: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    scheme = "ws" if section == "server" else "http"
    settings = load_settings(
        None,
        {
            "run.target": "voice" if section == "server" else "cascade",
            f"{section}.url": f"{scheme}://127.0.0.1:1/v1",
            f"{section}.key_env": "SOME_KEY",
            f"{section}.key_header": "not a header",
        },
    ).settings

    def open_server_of_the_settings() -> None:
        check_target(settings)
        open_server(settings)

    openings: dict[str, Callable[[], object]] = {
        "llm": lambda: open_remote_llm(settings, None),
        "tts": lambda: open_remote_tts(settings, None),
        "server": open_server_of_the_settings,
    }
    with pytest.raises(Exception, match="'not a header' is no name of a header"):
        openings[section]()


def test_what_a_result_will_keep_is_known_but_for_the_names_that_servers_give() -> None:
    here = expected_settings(Settings())
    assert (here["llm"]["model"], here["tts"]["voice"]) == (
        *(Settings().llm.model, Settings().tts.voice),
    )
    there = expected_settings(
        Settings.model_validate(
            {"llm": {"url": "http://127.0.0.1:1/v1", "model": "mine"}, "tts": {"voice": "joe"}}
        )
    )
    assert (there["llm"]["model"], there["tts"]["voice"]) == ("mine", "joe")
    unnamed = expected_settings(Settings.model_validate({"llm": {"url": "http://127.0.0.1:1/v1"}}))
    assert "model" not in unnamed["llm"]
    whole = expected_settings(
        Settings.model_validate(
            {"run": {"target": "voice"}, "server": {"url": "ws://127.0.0.1:1/v1/voice"}}
        )
    )
    assert "model" not in whole["llm"]
    assert "voice" not in whole["tts"]
