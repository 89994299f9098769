"""The instrument's own error over a wire: how it is counted, and that every client plays along."""

from __future__ import annotations

import pytest

from voicebench.audio.pcm import AudibleRule
from voicebench.checks.selftest import SCRIPT
from voicebench.checks.transports import TRANSPORTS, measure_transports, wire_errors_ms
from voicebench.events import AudioChunk, Event, TextChunk, Token, TurnFinished, TurnStarted
from voicebench.settings import load_settings
from voicebench.targets.cascade import CHAT
from voicebench.targets.kinds import kind_of
from voicebench.targets.script import Script, parse_script, script_text
from voicebench.targets.speech_servers import (
    HTTP_EVENTS,
    HTTP_ONE_WAV,
    HTTP_SAMPLES,
    HTTP_WAVS,
    SPEECH_SOCKET,
)
from voicebench.targets.whole_turn import REALTIME, VOICE_SOCKET
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

MS = 1_000_000


def recorded(*events: tuple[float, Event]) -> Timeline:
    """Return the sealed turn of these events, each with its moment in ms."""
    moments = iter([0.0, *(at for at, _ in events), events[-1][0]])
    recorder = Recorder(lambda: round(next(moments) * MS))
    recorder.emit(TurnStarted("hello"))
    for _, event in events:
        recorder.emit(event)
    recorder.emit(TurnFinished())
    return recorder.seal(1, "measured", AudibleRule()).timeline


def sound(samples: int, rate: int = 16_000) -> AudioChunk:
    import numpy as np

    return AudioChunk(0.3 * np.sin(np.arange(samples) / 5).astype(np.float32), rate)


SCRIPTED = recorded(
    (10, Token("a")),
    (12, Token("b")),
    (12, TextChunk("a b")),
    (20, sound(1600)),
    (30, sound(1600)),
    (40, sound(800)),
)


LLM = {"llm.url": "http://127.0.0.1:1/v1"}
TTS = {"tts.url": "http://127.0.0.1:1/v1"}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"run.target": "sim:"}, ()),
        ({}, ()),
        (LLM, (CHAT,)),
        (LLM | TTS | {"tts.format": "pcm"}, (CHAT, HTTP_SAMPLES)),
        (LLM | TTS | {"tts.stream_format": "sse"}, (CHAT, HTTP_EVENTS)),
        (TTS, (HTTP_ONE_WAV,)),
        (TTS | {"tts.api": "plain"}, (HTTP_WAVS, HTTP_ONE_WAV)),
        (TTS | {"tts.api": "socket"}, (SPEECH_SOCKET,)),
        ({"tts.api": "socket"}, ()),
        ({"run.target": "voice"}, (VOICE_SOCKET,)),
        ({"run.target": "realtime"}, (REALTIME,)),
    ],
)
def test_the_kind_of_target_says_which_wires_it_uses_and_each_can_be_measured(
    settings: dict[str, object], names: tuple[str, ...]
) -> None:
    wanted = load_settings(None, settings).settings
    assert kind_of(wanted).wires(wanted) == names
    assert {transport.name for transport in TRANSPORTS} >= set(names)


def test_what_is_on_time_has_no_error() -> None:
    assert set(wire_errors_ms(SCRIPTED, SCRIPTED)) == {0.0}
    assert len(wire_errors_ms(SCRIPTED, SCRIPTED)) == 6


def test_a_wire_may_join_pieces_and_split_them() -> None:
    split = recorded(
        (21, sound(100)), (22, sound(1500)), (33, sound(1600)), (44, sound(300)), (45, sound(500))
    )  # fmt: skip
    assert wire_errors_ms(split, SCRIPTED) == [1, 3, 4]
    joined = recorded((21, sound(1600)), (41, sound(2400)))
    assert wire_errors_ms(joined, SCRIPTED) == [1, 11, 1]


def test_sound_at_another_rate_is_compared_by_the_same_moments() -> None:
    # A resampler holds a little back, which comes with the next piece or at the end.
    resampled = recorded(
        (21, sound(2000, 24_000)),
        (32, sound(2400, 24_000)),
        (43, sound(1400, 24_000)),
        (50, sound(200, 24_000)),
    )
    assert wire_errors_ms(resampled, SCRIPTED) == [1, 2, 3]


def test_tokens_that_came_joined_count_once() -> None:
    late = recorded((13, Token("a")), (13, Token("b", joined=True)), (21, sound(4000)))
    assert wire_errors_ms(late, SCRIPTED)[0] == 3
    assert len(wire_errors_ms(late, SCRIPTED)) == 1 + 3


@pytest.mark.parametrize("script", [SCRIPT, Script(), Script(silence_s=0.03, fail=7)])
def test_a_script_is_written_as_it_is_read(script: Script) -> None:
    assert parse_script(script_text(script)) == script


@pytest.mark.slow
def test_every_transport_is_measured_with_the_client_that_measures_servers() -> None:
    said: list[str] = []
    errors = measure_transports(2, say=said.append)
    names = [transport.name for transport in TRANSPORTS]
    assert [error.transport for error in errors] == names
    assert said[1:] == names
    for error in errors:
        assert error.stamps > 0
        # No fine conclusion on a machine that does other things: a Nagle delay is 40 ms.
        assert 0 <= error.p50_ms <= error.p95_ms <= error.max_ms
        assert error.p50_ms < 2000
