"""The voice socket: no clock of a turn is moved by its server, or by the turn before."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from encoded_sound import RATE
from loopback import until
from loopback_ws import SocketPeer
from test_voice_socket import SOUND, TURN, failure_of, plays, target_at, turn_of

from voicebench.audio.pcm import AudibleRule
from voicebench.events import (
    AudioChunk,
    Event,
    Reply,
    ServerTiming,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    Usage,
)
from voicebench.figures.metrics import compute
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.turn import wire
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

MADE_AFTER_S = 0.15
"""How long the server takes to the first token of a turn."""
ANSWER = (Token("Yes."), TextChunk("Yes."), AudioChunk(SOUND, RATE), TurnFinished())
LATE = AudioChunk(np.full(800, 0.25, np.float32), RATE)


def turn_at(target: VoiceSocket) -> Timeline:
    target.prepare()
    recorder = Recorder()
    target.run("x", recorder.emit)
    recording = recorder.seal(1, "measured", AudibleRule())
    assert recording.timeline.failure is None
    assert recording.pcm.size == SOUND.size
    return recording.timeline


def remarks_of(turn: Timeline) -> list[str]:
    return [made.kind for made in turn.remarks]


def numbered(peer: SocketPeer, turn: int | None, *events: Event) -> None:
    peer.send(*(wire.encode(event, turn=turn) for event in events))


@pytest.mark.parametrize("late", [LATE, Token("late"), TextChunk("late"), TurnFinished()], ids=str)
def test_what_has_another_turns_number_moves_no_figure(late: Event) -> None:
    def script(peer: SocketPeer) -> None:
        while True:
            _, turn = wire.decode_of_turn(peer.receive())
            assert turn is not None
            if turn > 1:
                numbered(peer, turn - 1, late)
                time.sleep(MADE_AFTER_S)
            numbered(peer, turn, *ANSWER)

    with target_at(script) as (target, server):
        assert remarks_of(turn_at(target)) == []
        turn = turn_at(target)
    assert remarks_of(turn) == ["late sound"] * isinstance(late, AudioChunk)
    second = compute(turn)
    assert server.connections == 1
    for name in ("llm_ttft_ms", "first_byte_ms", "first_audio_ms"):
        value = second[name]
        assert value is not None
        assert value >= 1000 * MADE_AFTER_S


def answers_without_numbers(peer: SocketPeer) -> None:
    """Answer as a server that knows no numbers, and send sound after each turn's end."""
    while True:
        peer.receive()
        time.sleep(MADE_AFTER_S)
        numbered(peer, None, *ANSWER)
        time.sleep(0.02)
        numbered(peer, None, LATE)


def test_a_server_without_numbers_gets_a_connection_for_each_turn() -> None:
    with target_at(answers_without_numbers) as (target, server):
        target.check()
        for number in range(3):
            turn = turn_at(target)
            first_audio = compute(turn)["first_audio_ms"]
            assert first_audio is not None
            assert first_audio >= 1000 * MADE_AFTER_S
            assert remarks_of(turn) == ["late sound"] * (number > 0)
            # However late it is: between two turns somebody looks after the connection.
            until(lambda: len(target.service.set_aside))
            assert server.connections == 1 + number


@pytest.mark.parametrize(
    "events",
    [
        (LATE, *ANSWER),
        (Token("Yes."), LATE, *ANSWER[1:]),
        (LATE, Reply("Yes."), *ANSWER[2:]),
    ],
)
def test_sound_without_number_before_the_text_that_it_speaks_is_not_believed(
    events: tuple[Event, ...],
) -> None:
    failure = failure_of(without_numbers(*events))
    assert "sends sound before the turn's first" in failure.reason
    assert failure.fault == "protocol"


def without_numbers(*events: Event) -> Callable[[SocketPeer], object]:
    def script(peer: SocketPeer) -> None:
        while True:
            peer.receive()
            numbered(peer, None, *events)

    return script


def test_a_server_that_shows_no_text_is_understood_without_numbers_too() -> None:
    with target_at(without_numbers(AudioChunk(SOUND, RATE), TurnFinished())) as (target, _):
        assert turn_of(target)[-1] == TurnFinished()


def test_a_server_with_numbers_has_them_everywhere_but_in_its_last_words() -> None:
    failure = failure_of(plays(Token("Yes."), wire.encode(LATE)))
    assert "a message without its turn's number" in failure.reason
    broken = TurnFailed("the voice broke", "engine", "tts")
    with target_at(plays(Token("Yes."), wire.encode(broken))) as (target, _):
        assert turn_of(target)[-1] == broken


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ((Token("Y"), Reply("Yes.")), "a whole reply beside other text"),
        ((Reply("Yes."), Token("Y")), "a whole reply beside other text"),
        ((Reply("Yes."), Reply("No.")), "a whole reply beside other text"),
    ],
)
def test_a_reply_comes_whole_or_in_tokens(events: tuple[Event, ...], said: str) -> None:
    assert said in failure_of(plays(*events, *ANSWER[1:])).reason


@pytest.mark.parametrize("late", [LATE, Token("late"), Usage(3)])
@pytest.mark.parametrize("has_number", [True, False])
def test_an_end_that_something_disproves_is_none(late: Event, has_number: bool) -> None:
    def script(peer: SocketPeer) -> None:
        _, turn = wire.decode_of_turn(peer.receive())
        numbered(peer, turn if has_number else None, *ANSWER, late)
        peer.peer.wait_for_hangup()

    assert f"sends {type(late).__name__} after the turn's end" in failure_of(script).reason


def test_whether_tokens_came_together_is_told_by_our_reads() -> None:
    tokens: list[Token] = []
    taken_at: list[int] = []

    def arrival() -> int:
        connected = target.service._open
        assert connected is not None
        return connected.connection.arrivals

    def waits_again(before: int) -> bool:
        """Whether the client has one more token than before, and waits for the next."""
        return len(taken_at) > before and arrival() > taken_at[-1]

    def script(peer: SocketPeer) -> None:
        _, turn = wire.decode_of_turn(peer.receive())
        for text in "abc":
            before = len(taken_at)
            numbered(peer, turn, Token(text, joined=True))
            until(partial(waits_again, before))
        numbered(peer, turn, TurnFinished())

    def emit(event: Event) -> None:
        if isinstance(event, Token):
            tokens.append(event)
            taken_at.append(arrival())

    with target_at(script) as (target, _):
        target.run("x", emit)
    assert tokens == [Token("a"), Token("b"), Token("c")]


def test_our_duration_is_never_the_servers_to_say() -> None:
    told = (
        ServerTiming(80.0, our_ms=91.25, stage="tts"),
        ServerTiming(90.0, our_ms=1.0),
    )
    with target_at(plays(*TURN[:-2], *told, TurnFinished())) as (target, _):
        events = turn_of(target)
    assert [event for event in events if isinstance(event, ServerTiming)] == [ServerTiming(90.0)]
