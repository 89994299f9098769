"""From settings to what is behind a wire."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from loopback import Peer, serving

from voicebench.settings import Settings, load_settings
from voicebench.targets.engine_opening import open_remote_llm, open_remote_tts
from voicebench.targets.kinds import check_target
from voicebench.targets.recorded_names import expected_settings

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
    opened: dict[str, Callable[[Settings], object]] = {
        "llm": open_remote_llm,
        "tts": open_remote_tts,
        "server": check_target,
    }
    with pytest.raises(Exception, match="'not a header' is not the name of a header"):
        opened[section](settings)


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
