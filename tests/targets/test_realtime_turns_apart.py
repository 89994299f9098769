"""Realtime: one turn's clock is not moved by what is left of the turn before."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from loopback import LONGEST_S, until
from loopback_ws import SocketPeer
from test_realtime import BODY, CREATED, DONE, Sessions, sound, target_at, text, turn_of

from voicebench.audio.pcm import AudibleRule
from voicebench.events import AudioChunk, FirstByte, Remark, Token, TurnFailed, TurnFinished
from voicebench.figures.metrics import compute
from voicebench.targets.realtime import Realtime
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

MADE_AFTER_S = 0.15
"""How long the server takes to the first sound of a turn."""


def of(response: str, event: dict[str, Any]) -> dict[str, Any]:
    """Return ``event`` as one of the response with this id."""
    if "response" in event:
        return event | {"response": {**event["response"], "id": response}}
    return event | {"response_id": response}


def anonymous(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "response_id"}


def serve_session(peer: SocketPeer) -> None:
    """Open the session as every server does."""
    peer.send({"type": "session.created"})
    peer.receive()
    peer.send({"type": "session.updated", "session": {}})


class LateSound:
    """A server that sends ``strays`` first in each turn but the first, and takes its time then."""

    def __init__(self, *strays: dict[str, Any], announce_first: bool) -> None:
        self._strays = strays
        self._announce_first = announce_first

    def __call__(self, peer: SocketPeer) -> None:
        serve_session(peer)
        for turn in range(1, 100):
            peer.receive()
            messages = [of(f"r{turn}", CREATED), *(self._strays if turn > 1 else ())]
            peer.send(*(messages if self._announce_first else reversed(messages)))
            time.sleep(MADE_AFTER_S)
            peer.send(of(f"r{turn}", text("Yes.")), of(f"r{turn}", sound(BODY)))
            peer.send(of(f"r{turn}", DONE))


def turn_at(target: Realtime) -> Timeline:
    target.prepare()
    recorder = Recorder()
    target.run("x", recorder.emit)
    recording = recorder.seal(1, "measured", AudibleRule())
    assert recording.timeline.failure is None
    assert recording.pcm.size == len(BODY) // 2
    return recording.timeline


def remarks_of(turn: Timeline) -> list[str]:
    return [made.kind for made in turn.remarks]


@pytest.mark.parametrize(
    ("stray", "announce_first"),
    [
        (of("r1", sound(BODY)), True),
        (of("r1", sound(BODY)), False),
        (anonymous(sound(BODY)), False),
        (of("r2", sound(BODY)), False),
        (of("r1", text("Late.")), True),
        (of("r1", DONE), True),
        (of("r1", DONE), False),
    ],
    ids=str,
)
def test_what_is_late_or_not_announced_moves_no_figure(
    stray: dict[str, Any], announce_first: bool
) -> None:
    with target_at(LateSound(stray, announce_first=announce_first)) as (target, _):
        assert remarks_of(turn_at(target)) == []
        turn = turn_at(target)
    brings_sound = stray["type"] == sound(BODY)["type"]
    assert remarks_of(turn) == ["late sound"] * brings_sound
    second = compute(turn)
    for name in ("llm_ttft_ms", "first_byte_ms", "first_audio_ms"):
        value = second[name]
        assert value is not None
        assert value >= 1000 * MADE_AFTER_S


def test_a_response_that_is_never_announced_cannot_be_told_from_an_earlier_one() -> None:
    with target_at(Sessions(text("Yes."), sound(BODY), DONE)) as (target, _):
        events = turn_of(target)
    failure = events[-1]
    assert isinstance(failure, TurnFailed)
    assert "it sends no response.created" in failure.reason
    assert failure.fault == "protocol"
    assert not [event for event in events if isinstance(event, AudioChunk | FirstByte | Token)]


def test_a_server_that_has_one_id_for_all_its_responses_is_understood() -> None:
    with target_at(Sessions(CREATED, sound(BODY), DONE)) as (target, _):
        for _ in range(3):
            assert turn_of(target)[-1] == TurnFinished()


def test_what_came_before_the_request_is_no_answer_though_its_end_comes_after_it() -> None:
    half_sent, asked = threading.Event(), threading.Event()

    def script(peer: SocketPeer) -> None:
        serve_session(peer)
        early = [CREATED, sound(BODY), DONE]
        peer.peer.send(b"".join(frame(peer, event) for event in early)[:-5])
        half_sent.set()
        peer.receive()
        asked.set()
        peer.peer.send(frame(peer, DONE)[-5:])
        peer.send(of("r2", CREATED), of("r2", sound(BODY)), of("r2", DONE))

    with target_at(script) as (target, _):
        target.check()
        assert half_sent.wait(LONGEST_S)
        connected = target.service._open
        assert connected is not None
        until(lambda: connected._messages.begun)
        events = turn_of(target)
    assert asked.is_set()
    assert events[-1] == TurnFinished()
    assert Remark("late sound") in events
    assert sum(isinstance(event, AudioChunk) for event in events) == 1
    assert target.before.response == "r2"


def frame(peer: SocketPeer, event: dict[str, Any]) -> bytes:
    """Return the bytes of ``event`` on the wire, unsent."""
    import json

    peer.protocol.send_text(json.dumps(event).encode())
    return b"".join(peer.protocol.data_to_send())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (sound(BODY), "sends response.output_audio.delta after the response's end"),
        (text("!"), "sends response.output_audio_transcript.delta after the response's end"),
        ({"type": "error", "error": {"message": "voice lost"}}, "voice lost"),
    ],
)
def test_an_end_that_later_sound_disproves_is_none(more: dict[str, Any], said: str) -> None:
    def script(peer: SocketPeer) -> None:
        serve_session(peer)
        peer.receive()
        peer.send(CREATED, sound(BODY), DONE, more)
        peer.peer.wait_for_hangup()

    with target_at(script) as (target, _):
        failure = turn_of(target)[-1]
    assert isinstance(failure, TurnFailed)
    assert said in failure.reason


def test_what_a_server_tells_besides_after_a_response_is_no_failure() -> None:
    limits = {"type": "rate_limits.updated", "rate_limits": []}
    with target_at(Sessions(CREATED, sound(BODY), DONE, limits)) as (target, _):
        for _ in range(2):
            assert turn_of(target)[-1] == TurnFinished()


def test_the_samples_are_those_of_the_turn_however_odd_what_came_before_ended() -> None:
    odd = sound(BODY[:333])
    with target_at(Sessions(odd, CREATED, sound(BODY), DONE)) as (target, _):
        events = turn_of(target)
    (heard,) = (event.pcm for event in events if isinstance(event, AudioChunk))
    np.testing.assert_allclose(heard, np.frombuffer(BODY, "<i2") / 32768, atol=1e-6)
