"""Agents behind WebRTC: how they fail, what of their packets is heard, and what needs the extra."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest
from loopback import Peer, closed_port, serving
from odd_agents import ANSWERING_AT_ONCE, FrameCountingAgent, LeavingAgent

from voicebench.agents import SendsPackets
from voicebench.agents.agent_kinds import agent_kind
from voicebench.agents.opus_sound import RATE, OpusEncoder, OpusSound
from voicebench.agents.rtvi import RtviEvents
from voicebench.agents.scripted_agent import AgentScript
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.agent_events import AgentEvent, AgentFailed, ReplyComplete
from voicebench.calls.packet_way import PacketWay
from voicebench.checks.scripted_webrtc_agent import answering_offers
from voicebench.errors import CannotMeasure, EngineError, UsageError
from voicebench.settings import load_settings

SETTINGS = load_settings(None, {"wire.first_byte_s": 2.0}).settings


def dial(url: str) -> None:
    with closing(agent_kind(url).open(url, SETTINGS, lambda _line: None)) as agent:
        agent.open_call(lambda _event: None).hang_up()


@pytest.mark.parametrize(
    ("status", "body", "named"),
    [
        ("404 Not Found", b'{"detail": "no such route"}', "answers 404: no such route"),
        ("200 OK", b"<html>", "is not JSON"),
        ("200 OK", b'{"status": "ok"}', "no session description"),
        ("200 OK", b'{"type": "answer", "sdp": "v=0"}', "cannot be used"),
    ],
    ids=["no route", "no JSON", "no description", "a broken description"],
)
def test_an_answer_that_is_none_is_named(status: str, body: bytes, named: str) -> None:
    def talk(peer: Peer) -> None:
        peer.request()
        peer.answer("application/json", body, status=status)

    with serving(talk) as server, pytest.raises((EngineError, CannotMeasure), match=named):
        dial(f"{server.url}/api/offer")


def test_nobody_there_is_named() -> None:
    port = closed_port()
    with pytest.raises((EngineError, CannotMeasure), match=rf"127\.0\.0\.1:{port}"):
        dial(f"http://127.0.0.1:{port}/api/offer")


def test_the_missing_extra_is_one_line_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiortc", None)
    url = "http://127.0.0.1:7860/api/offer"
    with pytest.raises(UsageError) as refused:
        agent_kind(url).check(url, SETTINGS)
    assert "agents behind WebRTC: not installed (no module 'aiortc')" in str(refused.value)
    assert "voicebench-latency[webrtc]" in refused.value.remedy


def test_packets_that_the_script_loses_are_not_heard() -> None:
    sent, counting = 60, FrameCountingAgent(AgentScript(), RATE)
    with (
        answering_offers(lambda: counting) as url,
        closing(agent_kind(url).open(url, SETTINGS, lambda _line: None)) as agent,
    ):
        assert isinstance(agent, SendsPackets)
        agent.packets = PacketWay(loss=0.5, jitter_ms=5.0)
        assert agent.describe()["packet_loss"] == 0.5
        call = agent.open_call(lambda _event: None)
        for _ in range(sent):
            call.hear(np.zeros(RATE // 50, dtype=np.int16))
            time.sleep(0.02)
        call.hang_up()
    assert 0 < counting.heard < 0.8 * sent


def test_an_agent_that_closes_in_mid_word_is_named_and_the_channel_is_closed() -> None:
    failed = threading.Event()
    reasons: list[str] = []

    def take(event: AgentEvent) -> None:
        if isinstance(event, AgentFailed):
            reasons.append(event.reason)
            failed.set()

    with (
        answering_offers(lambda: LeavingAgent(ANSWERING_AT_ONCE, RATE)) as url,
        closing(agent_kind(url).open(url, SETTINGS, lambda _line: None)) as agent,
    ):
        call = agent.open_call(take)
        voice = (20_000 * synthetic_voice(RATE // 5, RATE)).astype(np.int16)
        frames = [*voice.reshape(-1, RATE // 50), *np.zeros((150, RATE // 50), dtype=np.int16)]
        for frame in frames:
            if failed.is_set():
                break
            call.hear(frame)
            time.sleep(0.02)
        call.hang_up()
        call.hang_up()
    assert reasons == [f"{url} hung up in mid-turn"]


def packets_of(seconds: float) -> list[bytes]:
    encoder = OpusEncoder()
    voice = (20_000 * synthetic_voice(round(seconds * RATE), RATE)).astype(np.int16)
    return [
        bytes(packet)
        for frame in voice.reshape(-1, RATE // 50)
        for packet in encoder.packets(frame)
    ]


def test_a_packet_that_comes_late_or_twice_is_dropped() -> None:
    first, second, third = packets_of(0.06)
    sound = OpusSound()
    assert sound.take(65_535, first, 0).size == 960
    assert sound.take(1, third, 20).size == 960  # the number begins anew, and one is missing
    assert sound.take(0, second, 25).size == 0
    assert sound.take(1, third, 30).size == 0


def test_a_listener_who_fell_behind_catches_up_in_silence_only() -> None:
    silence = OpusEncoder()
    quiet = [
        bytes(packet) for _ in range(3) for packet in silence.packets(np.zeros(960, dtype=np.int16))
    ]
    sound = OpusSound()
    for number, packet in enumerate(packets_of(0.1)[2:]):  # the second comes 15 ms late
        assert sound.take(number, packet, (0, 35, 40)[number]).size == 960
    sizes = [sound.take(3 + n, packet, 60 + 20 * n).size for n, packet in enumerate(quiet)]
    assert sum(sizes) == 3 * 960 - 15 * 48


def test_a_packet_that_is_not_opus_is_named() -> None:
    with pytest.raises(ValueError, match="not Opus"):
        OpusSound().take(0, b"\xff\xff\xff\xff", 0)


def test_only_an_error_that_ends_the_call_fails_it() -> None:
    rtvi = RtviEvents()
    said = '{"type": "error", "data": {"error": "no model", "fatal": %s}}'
    assert list(rtvi.take(said % "false")) == []
    assert list(rtvi.take(said % "true")) == [AgentFailed("reports an error: no model")]


@pytest.mark.parametrize(
    ("kinds", "completes"),
    [
        (["bot-started-speaking", "bot-tts-stopped"], False),
        (["bot-started-speaking", "bot-stopped-speaking"], True),
        (["bot-started-speaking", "user-started-speaking", "bot-stopped-speaking"], False),
        (["user-started-speaking", "bot-started-speaking", "bot-stopped-speaking"], True),
    ],
)
def test_an_answer_of_rtvi_is_complete_if_nobody_interrupted_it(
    kinds: list[str], *, completes: bool
) -> None:
    rtvi = RtviEvents()
    events = [event for kind in kinds for event in rtvi.take(f'{{"type": "{kind}"}}')]
    assert (ReplyComplete() in events) == completes
