"""Settings without effect are refused before anything is loaded or reached."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from voicebench.errors import UsageError
from voicebench.settings import load_settings
from voicebench.targets.engine_opening import open_remote_tts
from voicebench.targets.kinds import check_target

OPENAI = {"tts.url": "http://127.0.0.1:1/v1"}
PLAIN = {"tts.api": "plain", "tts.url": "http://127.0.0.1:1/tts?text={text}"}
SOCKET = {"tts.api": "socket", "tts.url": "ws://127.0.0.1:1/"}
WORDS = {"chunk": ["{text}"], "done": {"type": "done"}}
VOICE = {"run.target": "voice", "server.url": "ws://127.0.0.1:1/v1/voice"}


def check(*settings: Mapping[str, object]) -> None:
    merged = {key: value for some in settings for key, value in some.items()}
    check_target(load_settings(None, merged).settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (OPENAI | {"tts.body": {"text": "{text}"}}, "tts.body has no effect with tts.api"),
        (OPENAI | {"tts.method": "POST"}, "tts.method has no effect"),
        (
            OPENAI | {"tts.encoding": "f32le"},
            "tts.encoding describes raw PCM",
        ),
        (OPENAI | {"tts.format": "mp3", "tts.channels": 2}, "tts.channels describes raw PCM"),
        (PLAIN | {"tts.voice": "alloy"}, "tts.voice has no effect"),
        (PLAIN | {"tts.extra": {"speed": 2}}, "tts.extra has no effect"),
        (PLAIN | {"tts.socket": WORDS}, "tts.socket has no effect"),
        (PLAIN | {"tts.url": "http://127.0.0.1:1/tts"}, "no place for the text"),
        (SOCKET, "tts.socket has no 'chunk'"),
        (SOCKET | {"tts.socket": WORDS | {"done": "Flushed"}}, "tts.socket.done = 'Flushed'"),
        (SOCKET | {"tts.socket": WORDS, "tts.url": "http://127.0.0.1:1/"}, "not a URL of ws"),
        ({"llm.url": "http://127.0.0.1:1/v1?api_key=sk-1"}, "has a key in its query"),
        (PLAIN | {"tts.url": "http://127.0.0.1:1/?t={text}&token=sk-1"}, "has a key in its query"),
        (VOICE | {"llm.model": "smollm2-135m-instruct"}, "llm.model has no effect with target"),
        (VOICE | {"tts.voice": "alloy"}, "the server does the whole turn"),
        (VOICE | OPENAI, "tts.url has no effect with target 'voice'"),
        (VOICE | {"chunker.first_words": 2}, "chunker.first_words has no effect"),
        (VOICE | {"server.url": "ws://127.0.0.1:1/?token=sk-1"}, "has a key in its query"),
        (VOICE | {"server.dialect": "beta"}, "server.dialect has no effect with target 'voice'"),
        (VOICE | {"server.out_of_band": False}, "it is of a Realtime session"),
        ({"server.url": "ws://127.0.0.1:1/v1/voice"}, "server.url has no effect with target"),
        ({"server.headers": {"x": "y"}}, "server.headers has no effect with target 'cascade'"),
    ],
)
def test_what_reaches_nobody_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(settings)
    assert said in str(caught.value)
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        OPENAI | {"tts.voice": "alloy", "tts.format": "pcm", "tts.encoding": "f32le"},
        PLAIN | {"tts.encoding": "s16be", "tts.channels": 2},
        SOCKET | {"tts.socket": WORDS},
        VOICE,
        VOICE | {"run.target": "realtime", "server.voice": "marin", "server.dialect": "beta"},
    ],
)
def test_what_has_an_effect_is_let_through(settings: dict[str, object]) -> None:
    check(settings)


def test_nothing_is_asked_of_a_key_before_it_is_needed() -> None:
    check(OPENAI, {"tts.key_env": "NO_SUCH_KEY"})


@pytest.mark.parametrize("settings", [OPENAI | {"tts.format": "pcm"}, PLAIN])
def test_what_is_set_of_raw_sound_is_told_its_reader(settings: dict[str, object]) -> None:
    raw = {"tts.encoding": "f32le", "tts.channels": 2, "tts.sample_rate": 16_000}
    made = open_remote_tts(load_settings(None, settings | raw).settings, None)
    assert made._speech._declared.encoding == "f32le"  # type: ignore[attr-defined]
    assert made._speech._declared.channels == 2  # type: ignore[attr-defined]
    made.close()
