"""The engine in process beside a remote one: kept at work on purpose, and given one core less."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from loopback import until

from voicebench.checks import transports
from voicebench.checks.selftest import InstrumentError
from voicebench.checks.transports import measure_used
from voicebench.errors import EngineError
from voicebench.events import Token
from voicebench.pipeline.protocols import LanguageModel, Synthesizer
from voicebench.remote.clients.openai_chat import OpenAiChat
from voicebench.remote.clients.plain_speech import PlainSpeech, SpeechRoute
from voicebench.remote.connection.access import Access
from voicebench.settings import load_settings
from voicebench.targets import engine_opening
from voicebench.targets.cascade import CHAT, Cascade
from voicebench.targets.load import Load, load_beside_clients
from voicebench.targets.script import parse_script
from voicebench.targets.simulated import Simulated


class Local:
    """An engine in process: a language model and a voice that never end."""

    def __init__(self) -> None:
        self.steps = 0
        self.running = 0

    def reply(self, _prompt: str) -> Iterator[Token]:
        return self._go_on()

    def speak(self, _text: str) -> Iterator[Any]:
        return self._go_on()

    def _go_on(self) -> Iterator[Any]:
        self.running += 1
        try:
            while True:
                self.steps += 1
                yield Token("a")
        finally:
            self.running -= 1

    def describe(self) -> dict[str, object]:
        return {"device": "cpu"}

    def close(self) -> None: ...


def cascade(llm: LanguageModel, tts: Synthesizer) -> Cascade:
    return Cascade(llm, tts, first_words=3, later_words=8)


REMOTE_LLM = OpenAiChat("http://127.0.0.1:1/v1", "m", access=Access())
REMOTE_TTS = PlainSpeech(SpeechRoute("http://127.0.0.1:1/tts?text={text}"))


def test_only_an_engine_beside_a_remote_one_is_a_load() -> None:
    assert load_beside_clients(cascade(Local(), Local())) is None
    assert load_beside_clients(cascade(REMOTE_LLM, REMOTE_TTS)) is None
    assert load_beside_clients(Simulated(parse_script("sim:"))) is None
    beside_the_voice = load_beside_clients(cascade(Local(), REMOTE_TTS))
    beside_the_model = load_beside_clients(cascade(REMOTE_LLM, Local()))
    assert beside_the_voice is not None
    assert beside_the_model is not None
    assert beside_the_voice.name == "the language model"
    assert beside_the_model.name == "the voice"


def test_an_engine_is_at_work_within_and_over_after_it() -> None:
    engine = Local()
    load = load_beside_clients(cascade(engine, REMOTE_TTS))
    assert load is not None
    with load.at_work():
        until(lambda: engine.steps > 5)
        assert engine.running == 1
    assert engine.running == 0
    done = engine.steps
    time.sleep(0.02)
    assert engine.steps == done


def test_an_engine_that_breaks_is_left_to_the_turns() -> None:
    began = threading.Event()

    def broken() -> Iterator[object]:
        began.set()
        yield 1
        raise EngineError("no memory")

    with Load("the voice", broken).at_work():
        assert began.wait(5)


@pytest.mark.parametrize("name", ["the language model", None])
def test_the_instrument_is_measured_while_the_engine_is_at_work(
    name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Local()
    load = None if name is None else Load(name, lambda: engine.reply("a"))
    seen: list[bool] = []

    def measure(transport: transports.Transport, *_: object) -> InstrumentError:
        if load is not None:
            until(lambda: engine.steps > 0)
        seen.append(engine.running > 0)
        return InstrumentError(transport.name, 5, 1.0, 2.0, 3.0)

    monkeypatch.setattr(transports, "_measure", measure)
    # A number of turns that no other test asks for: what was measured is remembered.
    used = measure_used((CHAT,), 97, load)
    assert seen == [name is not None]
    assert [error.transport for error in used] == [
        CHAT if name is None else f"{CHAT}, beside {name}"
    ]


@pytest.mark.parametrize(
    ("settings", "cores", "threads"),
    [
        ({}, 4, None),
        ({"llm.url": "http://127.0.0.1:1/v1"}, 4, 3),
        ({"tts.url": "http://127.0.0.1:1/v1"}, 2, 1),
        ({"tts.url": "http://127.0.0.1:1/v1"}, 1, 1),
        ({"tts.url": "http://127.0.0.1:1/v1", "run.threads": 2}, 2, 2),
        ({"llm.url": "http://127.0.0.1:1/v1", "tts.url": "http://127.0.0.1:1/v1"}, 4, None),
    ],
)
def test_a_core_is_left_to_the_client_where_one_side_is_remote(
    settings: dict[str, object],
    cores: int,
    threads: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_opening, "usable_cores", lambda: cores)
    assert engine_opening.engine_threads(load_settings(None, settings).settings) == threads
