"""The instrument's own error over a wire: how it is counted, and that every client plays along."""

from __future__ import annotations

import pytest

from voicebench.audio.pcm import AudibleRule
from voicebench.checks.selftest import SCRIPT
from voicebench.checks.transports import (
    CHAT,
    ONE_WAV,
    PLAIN,
    REALTIME,
    SPEECH,
    SPEECH_EVENTS,
    SPEECH_SOCKET,
    TRANSPORTS,
    VOICE_SOCKET,
    measure_transports,
    script_text,
    transports_of,
    wire_errors_ms,
)
from voicebench.events import AudioChunk, Event, TextChunk, Token, TurnFinished, TurnStarted
from voicebench.targets.simulated import Script, parse_script
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


OPENAI = {"engine": "openai-http"}


@pytest.mark.parametrize(
    ("description", "names"),
    [
        ({"target": "simulated"}, ()),
        ({"target": "cascade", "llm": {"engine": "fast"}, "tts": {"engine": "vits"}}, ()),
        ({"target": "cascade", "llm": OPENAI, "tts": {"engine": "vits"}}, (CHAT,)),
        ({"target": "cascade", "llm": OPENAI, "tts": OPENAI}, (CHAT, SPEECH)),
        ({"llm": OPENAI, "tts": OPENAI | {"stream_format": "sse"}}, (CHAT, SPEECH_EVENTS)),
        ({"llm": {"engine": "fast"}, "tts": OPENAI | {"response_format": "wav"}}, (ONE_WAV,)),
        ({"llm": {"engine": "fast"}, "tts": {"engine": "plain-http"}}, (PLAIN, ONE_WAV)),
        ({"llm": {"engine": "fast"}, "tts": {"engine": "socket"}}, (SPEECH_SOCKET,)),
        ({"target": "voice-socket"}, (VOICE_SOCKET,)),
        ({"target": "realtime"}, (REALTIME,)),
    ],
)
def test_a_target_is_reached_over_the_transports_that_its_description_shows(
    description: dict[str, object], names: tuple[str, ...]
) -> None:
    assert transports_of(description) == names
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
