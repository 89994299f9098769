"""Our own voice WebSocket, seen from its client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from encoded_sound import RATE, voiced
from loopback import GIVEN_UP_S, Loopback, closed_port, serving, until
from loopback_ws import SocketPeer, socket_script
from read_moments import moments_of

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import CannotMeasure
from voicebench.events import (
    AudioChunk,
    Connected,
    Event,
    FirstByte,
    Reply,
    ServerTiming,
    SpeakerStarted,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    Usage,
)
from voicebench.figures.metrics import compute
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.turn import wire
from voicebench.turn.recorder import Recorder

SOUND = voiced(0.1)
TURN: list[Event] = [
    Token("It"),
    Token(" is late."),
    Usage(4),
    TextChunk("It is late."),
    AudioChunk(SOUND, RATE),
    AudioChunk(SOUND, RATE),
    ServerTiming(12.5),
    TurnFinished(),
]


def plays(*events: Event | str | bytes) -> Callable[[SocketPeer], object]:
    """Return the script of a server that answers every turn with ``events``."""

    def script(peer: SocketPeer) -> None:
        while True:
            _, turn = wire.decode_of_turn(peer.receive())
            for event in events:
                made = event if isinstance(event, str | bytes) else wire.encode(event, turn=turn)
                peer.send(made)

    return script


@contextmanager
def target_at(
    script: Callable[[SocketPeer], object], **access: Any
) -> Iterator[tuple[VoiceSocket, Loopback]]:
    with serving(socket_script(script, [wire.SUBPROTOCOL])) as server:
        target = VoiceSocket(f"ws://127.0.0.1:{server.port}/v1/voice", Access(**access))
        try:
            yield target, server
        finally:
            target.close()


def turn_of(target: VoiceSocket, prompt: str = "What time is it?") -> list[Event]:
    events: list[Event] = []
    target.run(prompt, events.append)
    return events


def failure_of(script: Callable[[SocketPeer], object], **access: object) -> TurnFailed:
    with target_at(script, **access) as (target, _):
        began = time.monotonic()
        events = turn_of(target)
        assert time.monotonic() - began < GIVEN_UP_S
    assert isinstance(events[0], TurnStarted)
    assert isinstance(events[-1], TurnFailed)
    assert "ws://127.0.0.1" in events[-1].reason
    return events[-1]


def test_a_turn_goes_in_and_its_events_come_out() -> None:
    with target_at(plays(*TURN)) as (target, _):
        events = turn_of(target)
    assert events[0] == TurnStarted("What time is it?")
    assert [type(event) for event in events[1:]] == [
        Connected,
        *(type(event) for event in TURN[:4]),
        FirstByte,
        *(type(event) for event in TURN[4:]),
    ]
    sound = np.concatenate([event.pcm for event in events if isinstance(event, AudioChunk)])
    np.testing.assert_allclose(sound, np.tile(SOUND, 2), atol=1 / 32768)
    assert ServerTiming(12.5) in events


def test_what_comes_is_in_hand_when_it_is_read() -> None:
    with target_at(plays(*TURN)) as (target, _):
        target.prepare()
        assert len(moments_of(lambda: turn_of(target))) == 5  # two tokens, first byte, two of sound


def test_visible_text_among_hidden_has_the_moment_of_its_read() -> None:
    hidden = [Token("<think>"), Token("hm"), Token("</think>"), Token("Yes."), *TURN[4:]]
    with target_at(plays(*hidden)) as (target, _):
        target.prepare()
        assert len(moments_of(lambda: turn_of(target))) == 4
    whole = [Reply("<think>hm</think>Yes."), *TURN[4:]]
    with target_at(plays(*whole)) as (target, _):
        target.prepare()
        assert len(moments_of(lambda: turn_of(target))) == 4


def test_the_prompt_is_sent_as_the_start_of_a_turn() -> None:
    seen = []

    def script(peer: SocketPeer) -> None:
        seen.append((wire.decode(peer.receive()), peer.protocol.subprotocol))
        for event in TURN:
            peer.send(wire.encode(event))

    with target_at(script) as (target, _):
        turn_of(target, "Où ? 🕰")
    assert seen == [(TurnStarted("Où ? 🕰"), wire.SUBPROTOCOL)]


def test_the_servers_duration_stands_beside_the_turns() -> None:
    def script(peer: SocketPeer) -> None:
        peer.receive()
        time.sleep(0.1)
        for event in (AudioChunk(SOUND, RATE), ServerTiming(90.0), TurnFinished()):
            peer.send(wire.encode(event))

    with target_at(script) as (target, _):
        target.prepare()
        recorder = Recorder()
        target.run("x", recorder.emit)
    timeline = recorder.seal(1, "measured", AudibleRule()).timeline
    figures = compute(timeline)
    assert figures["server_ms"] == 90
    transport = figures["transport_ms"]
    assert transport == pytest.approx(timeline.end_ns / 1e6 - 90)
    assert transport is not None
    assert transport >= 10


def test_tokens_that_were_there_together_are_joined() -> None:
    def script(peer: SocketPeer) -> None:
        peer.receive()
        peer.send(*(wire.encode(Token(text)) for text in "ab"))
        # The client has both and waits for more.
        until(lambda: len(arrivals) == 2 and arrival() > arrivals[1])
        peer.send(wire.encode(Token("c")), wire.encode(TurnFinished()))

    def arrival() -> int:
        connected = target.service._open
        assert connected is not None
        return connected.connection.arrivals

    tokens, arrivals = [], []

    def emit(event: Event) -> None:
        if isinstance(event, Token):
            tokens.append(event)
            arrivals.append(arrival())

    with target_at(script) as (target, _):
        target.run("x", emit)
    assert tokens == [Token("a"), Token("b", joined=True), Token("c")]


def test_what_the_server_says_of_its_own_connections_and_speaker_is_not_this_turns() -> None:
    own = (Connected(99.0, False, 7), FirstByte(), SpeakerStarted(5.0))
    with target_at(plays(*own, TurnFinished())) as (target, _):
        events = turn_of(target)
    assert [type(event) for event in events] == [TurnStarted, Connected, TurnFinished]
    assert events[1] != own[0]


def test_one_connection_serves_one_turn_after_the_other() -> None:
    with target_at(plays(*TURN)) as (target, server):
        target.check()
        for _ in range(3):
            target.prepare()
            assert turn_of(target)[-1] == TurnFinished()
    assert server.connections == 1


def test_a_turn_that_the_server_failed_is_failed_and_keeps_the_connection() -> None:
    failed = TurnFailed("the model\x1b[31m broke", "engine", "llm")
    with target_at(plays(failed)) as (target, server):
        for _ in range(2):
            assert turn_of(target)[-1] == TurnFailed("the model [31m broke", "engine", "llm")
    assert server.connections == 1


def test_after_a_failure_on_the_way_the_next_turn_has_a_new_connection() -> None:
    def script(peer: SocketPeer) -> None:
        peer.receive()
        if server.connections == 1:
            peer.send(wire.encode(Token("a")), "no message")
            peer.send(wire.encode(Token("late")))
            peer.peer.wait_for_hangup()
        for event in TURN:
            peer.send(wire.encode(event))

    with target_at(script) as (target, server):
        assert isinstance(turn_of(target)[-1], TurnFailed)
        second = turn_of(target)
    assert second[-1] == TurnFinished()
    assert Token("late") not in second


def test_a_server_that_is_down_is_named_at_once_and_in_mid_run_fails_the_turn() -> None:
    target = VoiceSocket(f"ws://127.0.0.1:{closed_port()}/v1/voice")
    with pytest.raises(CannotMeasure, match=r"ws://127\.0\.0\.1:\d+/v1/voice cannot be reached"):
        target.check()
    failure = turn_of(target)[-1]
    assert isinstance(failure, TurnFailed)
    assert (failure.fault, failure.stage) == ("refused", "connect")


@pytest.mark.parametrize(
    ("messages", "said", "fault"),
    [
        (['{"type": "token"}'], "'token' message is broken: it has no text", "protocol"),
        (["hello"], "not JSON", "protocol"),
        ([b"RIFF0000"], "no sample", "protocol"),
        ([b"RIFF\x00\x00\x00\x00xx"], "begins with b'RI'", "protocol"),
        ([TurnStarted("mine")], "a turn of its own", "protocol"),
        ([AudioChunk(SOUND, RATE), AudioChunk(SOUND, 16_000)], "16000 Hz after", "audio"),
        ([Token("x" * 99)] * 30, "more than 2000 letters", "protocol"),
        ([Usage(1)] * 30, "more than 25 events", "protocol"),
    ],
)
def test_what_is_no_answer_is_a_failure_with_its_reason(
    messages: list[Event | str | bytes], said: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicebench.targets.remote_turn.MAX_REPLY_CHARS", 2000)
    monkeypatch.setattr("voicebench.targets.remote_turn.MAX_EVENTS", 25)
    failure = failure_of(plays(*messages))
    assert said in failure.reason
    assert failure.fault == fault


@pytest.mark.parametrize(
    ("events", "limits", "said"),
    [
        ([], Timeouts(first_byte_s=0.4), "no byte of an answer within 0.4 s"),
        ([Token("a")], Timeouts(between_bytes_s=0.3), "sent nothing for 0.3 s"),
    ],
)
def test_a_server_that_does_not_go_on_is_a_failure_within_its_time(
    events: list[Event], limits: Timeouts, said: str
) -> None:
    failure = failure_of(plays(*events), timeouts=limits)
    assert said in failure.reason
    assert failure.fault == "timeout"


def test_an_interrupted_turn_is_on_record_and_hangs_up() -> None:
    hung_up = []

    def script(peer: SocketPeer) -> None:
        peer.receive()
        peer.send(wire.encode(Token("a")))
        hung_up.append(peer.peer.wait_for_hangup())

    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, Token):
            raise KeyboardInterrupt

    with target_at(script) as (target, _), pytest.raises(KeyboardInterrupt):
        target.run("x", emit)
    assert events[-1] == TurnFailed("interrupted by the user", "interrupted", "turn")
    assert hung_up == [True]
