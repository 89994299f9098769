"""The codec of the voice WebSocket: what goes in comes out, and nothing else comes in."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.events import (
    AudioChunk,
    Connected,
    Event,
    FirstByte,
    Remark,
    Reply,
    ServerTiming,
    SilenceTrimmed,
    SpeakerStarted,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnInterrupted,
    TurnStarted,
    TurnStopped,
    Usage,
)
from voicebench.turn import wire
from voicebench.turn.wire import WireError, decode, encode

EVENTS: list[Event] = [
    TurnStarted('Wie spät ist es? 🕰 "quoted"\n'),
    Token(" late"),
    Token(" late", joined=True),
    Reply("It is late."),
    Usage(17),
    Usage(17, hidden=4),
    Usage(17, hidden=None),
    Remark("reasoning"),
    Remark("unknown", '{"object": "ping"}'),
    TextChunk("It is late."),
    Connected(12.5, True, 3),
    Connected(12.5, False, 4, in_turn=True),
    FirstByte(),
    SilenceTrimmed(30.0),
    ServerTiming(412.5),
    ServerTiming(80.0, our_ms=91.25, stage="tts"),
    SpeakerStarted(11.0),
    TurnInterrupted("hung up"),
    TurnStopped(),
    TurnFinished(),
    TurnFailed("the voice broke", "engine", "tts"),
]
SAMPLES = np.array([0.0, 0.5, -0.25, -1.0], dtype=np.float32)


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_an_event_survives_the_wire(event: Event) -> None:
    message = encode(event)
    assert isinstance(message, str)
    assert decode(message) == event


def test_every_event_of_the_vocabulary_has_a_message() -> None:
    assert {type(event) for event in EVENTS} | {AudioChunk} == set(get_args(Event))


def test_samples_survive_the_wire() -> None:
    message = encode(AudioChunk(SAMPLES, 22_050))
    assert isinstance(message, bytes)
    assert len(message) == 8 + SAMPLES.size * 2
    event = decode(message)
    assert isinstance(event, AudioChunk)
    assert event.sample_rate == 22_050
    assert event.pcm.dtype == np.float32
    np.testing.assert_array_equal(event.pcm, SAMPLES)


def test_float32_loses_nothing() -> None:
    exact = np.array([1e-7, 1.7, -0.123456789], dtype=np.float32)
    event = decode(b"VB\x01\x02" + (48_000).to_bytes(4, "little") + exact.tobytes())
    assert isinstance(event, AudioChunk)
    np.testing.assert_array_equal(event.pcm, exact)


def test_the_bytes_of_the_header_are_as_documented() -> None:
    message = encode(AudioChunk(np.array([0.5], dtype=np.float32), 24_000))
    assert message == b"VB\x01\x01" + (24_000).to_bytes(4, "little") + b"\x00\x40"


def test_the_message_of_a_token_is_as_documented() -> None:
    assert json.loads(encode(Token("é"))) == {"type": "token", "text": "é", "joined": False}


def test_the_moments_of_one_end_mean_nothing_at_the_other() -> None:
    assert "read_ns" not in json.loads(encode(Token("a", read_ns=17)))
    event = decode('{"type": "token", "text": "a", "read_ns": 17}')
    assert isinstance(event, Token)
    assert event.read_ns is None


@pytest.mark.parametrize("turn", [None, 0, 7, wire.MAX_TURN])
@pytest.mark.parametrize("event", [*EVENTS, AudioChunk(SAMPLES, 22_050)], ids=str)
def test_the_number_of_the_turn_survives_the_wire(event: Event, turn: int | None) -> None:
    decoded = wire.decode_of_turn(encode(event, turn=turn))
    assert decoded.turn == turn
    if isinstance(event, AudioChunk):
        assert isinstance(decoded.event, AudioChunk)
        np.testing.assert_array_equal(decoded.event.pcm, event.pcm)
    else:
        assert decoded.event == event


def test_the_number_of_the_turn_is_where_it_is_documented() -> None:
    audio = encode(AudioChunk(np.array([0.5], dtype=np.float32), 24_000), turn=7)
    assert audio == b"VB\x02\x01" + (24_000).to_bytes(4, "little") + b"\x07\0\0\0\x00\x40"
    assert json.loads(encode(TurnFinished(), turn=7)) == {"type": "turn_finished", "turn": 7}


def test_keys_of_a_later_version_are_passed_over() -> None:
    assert decode('{"type": "token", "text": "a", "speaker": 3}') == Token("a")


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ('{"type": "connected", "connect_ms": 3}', Connected(3.0, False)),
        ('{"type": "usage"}', Usage(0)),
        ('{"type": "server_timing", "duration_ms": 3}', ServerTiming(3.0)),
        ('{"type": "token", "text": "a"}', Token("a")),
    ],
)
def test_a_server_may_leave_out_what_says_nothing(message: str, event: Event) -> None:
    assert decode(message) == event


@pytest.mark.parametrize(
    "message",
    [
        "",
        "null",
        "[]",
        "{",
        '{"type": "tokens"}',
        '{"type": ["token"]}',
        '{"text": "a"}',
        '{"type": "token"}',
        '{"type": "token", "text": ""}',
        '{"type": "token", "text": 3}',
        '{"type": "token", "text": "a", "joined": 1}',
        '{"type": "token", "text": "\\ud83d"}',
        '{"type": "usage", "tokens": -1}',
        '{"type": "usage", "tokens": true}',
        '{"type": "usage", "tokens": 1e3}',
        '{"type": "server_timing", "duration_ms": NaN}',
        '{"type": "server_timing", "duration_ms": -1}',
        '{"type": "server_timing", "duration_ms": "1"}',
        '{"type": "server_timing", "duration_ms": 1e400}',
        '{"type": "turn_started", "prompt": "x"}',
        '{"type": "turn_started", "version": 2, "prompt": "x"}',
        '{"type": "turn_failed", "reason": "x", "fault": "x", "stage": "tts"}',
        '{"type": "turn_failed", "reason": "x", "fault": ["engine"], "stage": "tts"}',
        '{"type": "usage", "tokens": 1, "turn": -1}',
        '{"type": "usage", "tokens": 1, "turn": 4294967296}',
        '{"type": "usage", "tokens": 1, "turn": 1.0}',
        '{"type": "usage", "tokens": 1, "turn": true}',
        '{"type": "usage", "tokens": 1, "turn": "1"}',
        "[" * 100_000,
        "1" * 10_000,
        b"",
        b"VB\x01\x01\xc0\x5d\x00\x00",
        b"VB\x01\x01\xc0\x5d\x00\x00\x01",
        b"VB\x01\x02\xc0\x5d\x00\x00\x01\x02",
        b"VB\x01\x03\xc0\x5d\x00\x00\x01\x02",
        b"VB\x02\x01\xc0\x5d\x00\x00\x01\x02",
        b"VB\x02\x01\xc0\x5d\x00\x00\x01\x00\x00\x00",
        b"VB\x03\x01\xc0\x5d\x00\x00\x01\x00\x00\x00\x01\x02",
        b"RIFF\xc0\x5d\x00\x00\x01\x02",
        b"VB\x01\x01\x00\x00\x00\x00\x01\x02",
        b"VB\x01\x01\xff\xff\xff\xff\x01\x02",
        b"VB\x01\x02\xc0\x5d\x00\x00\x00\x00\xc0\x7f",
    ],
    ids=lambda message: repr(message)[:50],
)
def test_what_is_no_message_is_refused(message: str | bytes) -> None:
    with pytest.raises(WireError) as caught:
        decode(message)
    assert caught.value.fault == "protocol"
    assert len(str(caught.value)) < 300


def test_a_message_that_is_too_long_is_neither_sent_nor_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "MAX_MESSAGE_BYTES", 100)
    for event in (Token("x" * 90), Token("é" * 45), AudioChunk(np.zeros(60, np.float32), 24_000)):
        with pytest.raises(WireError, match="more than 100 bytes"):
            encode(event)
    for message in ("é" * 60, "x" * 101, b"x" * 101):
        with pytest.raises(WireError, match="more than 100 bytes"):
            decode(message)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@given(
    st.sampled_from([json.loads(encode(event)) for event in EVENTS]),
    st.dictionaries(
        st.sampled_from(
            ["type", "text", "tokens", "reason", "fault", "duration_ms", "version", "turn"]
        ),
        _JSON,
        max_size=3,
    ),
)
def test_whatever_comes_is_an_event_or_a_wire_error(
    message: dict[str, object], changes: dict[str, object]
) -> None:
    try:
        event = decode(json.dumps(message | changes))
    except WireError:
        return
    assert decode(encode(event)) == event


@given(st.binary(max_size=40))
def test_whatever_bytes_come_are_samples_or_a_wire_error(body: bytes) -> None:
    for head in (b"", b"VB\x01\x01", b"VB\x01\x02\xc0\x5d\0\0", b"VB\x02\x01\xc0\x5d\0\0"):
        message = head + body
        try:
            event = decode(message)
        except WireError:
            continue
        assert isinstance(event, AudioChunk)
        assert event.pcm.size > 0
        assert np.isfinite(event.pcm).all()
