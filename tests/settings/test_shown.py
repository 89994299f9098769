"""Settings as results keep them and commands show them: no key is in them."""

from __future__ import annotations

import json

import pytest

from voicebench.errors import SettingsError
from voicebench.settings import load_settings, parse_override, secrets_of, shown_settings

KEY = "Kx7-9qLmZ0pT4"
PLACES: dict[str, object] = {
    "llm.extra": {"api_key": KEY, "top_p": 0.5},
    "tts.extra": {"auth": {"deep": [KEY]}},
    "llm.headers": {"X-Anything": KEY},
    "tts.headers": {"Authorization": f"Bearer {KEY}"},
    "server.headers": {"Cookie": KEY},
    "tts.body": f'{{"text": "{{text}}", "xi-api-key": "{KEY}"}}',
    "tts.socket": {"opening": [{"xi_api_key": KEY}], "chunk": "{text}"},
    "llm.url": f"http://me:{KEY}@host/v1",
    "tts.url": f"http://host/v1?text={{text}}&api_key={KEY}",
    "server.url": f"ws://host/#token={KEY}",
    "wire.proxy": f"http://me:{KEY}@proxy:3128",
    "llm.key_env": KEY,
    "tts.key_scheme": "Bearer sk-abcdefghijklmn",
    "llm.system_prompt": "Say sk-abcdefghijklmn.",
}


@pytest.mark.parametrize("key", PLACES)
def test_no_setting_is_kept_or_shown_with_a_key_in_it(key: str) -> None:
    effective = load_settings(None, {key: PLACES[key]})
    kept = json.dumps(shown_settings(effective.settings))
    shown = json.dumps({setting.key: setting.value for setting in effective})
    for text in (kept, shown):
        assert KEY not in text
        assert "sk-abc" not in text
        assert "***" in text


@pytest.mark.parametrize("key", [key for key in PLACES if KEY in json.dumps(PLACES[key])])
def test_the_key_in_a_setting_is_one_that_no_message_may_repeat(key: str) -> None:
    secrets = secrets_of(load_settings(None, {key: PLACES[key]}).settings)
    assert secrets.hidden_in(f"the key {KEY}") == "the key ***"


def test_a_key_of_the_environment_is_one_too_and_hides_wherever_else_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    settings = load_settings(
        None, {"tts.key_env": "SOME_KEY", "tts.extra": {"voice": KEY}, "run.prompt": KEY}
    ).settings
    kept = shown_settings(settings)
    assert KEY not in json.dumps(kept)
    assert kept["tts"]["key_env"] == "SOME_KEY"  # type: ignore[index]


def test_what_is_no_key_is_kept_as_it_is() -> None:
    plain = {
        "llm.extra": {"top_p": 0.5, "prompt_cache_key": "bench"},
        "tts.url": "http://127.0.0.1:1/tts?text={text}&voice=a",
        "llm.key_env": "OPENAI_API_KEY",
        "tts.socket": {"chunk": {"context_id": "{id}", "text": "{text}"}},
        "run.prompt": "What is the key to success?",
    }
    kept = shown_settings(load_settings(None, plain).settings)
    for key, value in plain.items():
        section, _, name = key.partition(".")
        assert kept[section][name] == value  # type: ignore[index]


def test_the_default_settings_are_kept_as_they_are() -> None:
    settings = load_settings().settings
    assert shown_settings(settings) == settings.model_dump()


@pytest.mark.parametrize(
    "assignment",
    [
        f'llm.extra={{api_key="{KEY}"',
        f'tts.headers={{"X-Any"="{KEY}", b=5}}',
        f"api_key:{KEY}",
        f"llm.headers={KEY}",
        f"wire.proxy=['http://me:{KEY}@h']",
        f'tts.extra=["api_key={KEY}"]',
    ],
)
def test_a_setting_that_is_refused_is_shown_without_its_key(assignment: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, dict([parse_override(assignment)]))
    assert KEY not in str(caught.value)
