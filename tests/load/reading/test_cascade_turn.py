"""Turns of a cascade that the reader takes from a paced server: stamps, limits, what is kept."""

from __future__ import annotations

import gc
import json
import time
import weakref
from typing import Any

import numpy as np
import pytest
from loopback import Peer, serving
from paced_turns import cascade_settings, take_turns
from read_turns import read_cascades

from voicebench.audio.pcm import AudibleRule, to_int16
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.load.pacing.paced_process import paced_server
from voicebench.load.pacing.paced_script import PacedScript
from voicebench.load.reading import cascade_turn
from voicebench.load.reading.cascade_turn import CascadeTurn
from voicebench.load.reading.read_turn import CascadeClients
from voicebench.turn.timeline import Timeline

LATE_MS = 250.0
RULE = AudibleRule()


def sealed(turn: CascadeTurn, clients: CascadeClients) -> Timeline:
    return turn.read.seal(1, "load", RULE, clients=clients).timeline


def test_with_a_paced_server_both_take_the_same_turn() -> None:
    script = PacedScript(ttft_s=0.05, token_s=0.005, words=6, ttfb_s=0.05)
    with paced_server(script) as server:
        settings = cascade_settings(server.host)
        turns, clients = read_cascades(settings, 2)
        theirs = take_turns(settings, 2)[1]
    ours = sealed(turns[1], clients)
    assert ours.failure is None
    assert ours.reply == theirs.reply
    assert [chunk.text for chunk in ours.chunks] == [chunk.text for chunk in theirs.chunks]
    assert sum(one.samples for one in ours.audio) == sum(one.samples for one in theirs.audio)
    assert ours.sound == theirs.sound
    for found in (ours, theirs):
        assert 0 <= found.tokens[0].at_ns / 1e6 - 50 < LATE_MS
        assert 0 <= (found.audio[0].at_ns - found.chunks[0].at_ns) / 1e6 - 50 < LATE_MS
    assert [connected.reused for connected in ours.connections] == [True, True]


def test_sound_that_was_not_kept_still_counts() -> None:
    script = PacedScript(ttft_s=0.01, token_s=0.001, words=6, ttfb_s=0.01, speed_x=4)
    with paced_server(script) as server:
        (whole,), clients = read_cascades(cascade_settings(server.host), 1)
        (part,), _ = read_cascades(cascade_settings(server.host), 1, kept_bytes=19_200)
    kept = sum(len(chunk.speech.log.kept) for chunk in part.read.chunks if chunk.speech)
    assert 19_200 <= kept < 19_200 + 2 * 1920
    ours, other = sealed(part, clients), sealed(whole, clients)
    assert ours.failure is None
    assert sum(one.samples for one in ours.audio) == sum(one.samples for one in other.audio)
    assert len(ours.audio) > 10
    assert ours.sound is not None
    assert other.sound is not None
    assert ours.sound.first_audible_sample == other.sound.first_audible_sample
    assert ours.sound.rms == pytest.approx(other.sound.rms, rel=0.2)


def test_silence_before_the_first_sound_is_kept_however_long_it_is() -> None:
    silence = [bytes(4800)] * 12
    voice = to_int16(synthetic_voice(24_000, 24_000)).astype("<i2").tobytes()

    def script(peer: Peer) -> None:
        while True:
            request = peer.request()
            if "chat" in request.target:
                chunk = {"choices": [{"index": 0, "delta": {"content": "Yes."}}]}
                end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
                events = [f"data: {json.dumps(one)}\n\n".encode() for one in (chunk, end)]
                peer.answer("text/event-stream", *events, b"data: [DONE]\n\n")
            else:
                peer.answer("audio/pcm;rate=24000", *silence, voice)

    with serving(script) as server:
        settings = cascade_settings(f"127.0.0.1:{server.port}")
        (turn,), clients = read_cascades(settings, 1, kept_bytes=2000)
    found = sealed(turn, clients)
    assert found.failure is None
    assert found.sound is not None
    assert found.sound.first_audible_sample is not None
    assert found.sound.first_audible_sample >= 12 * 2400


def test_playback_ends_when_the_last_sample_was_heard() -> None:
    script = PacedScript(ttft_s=0.01, words=2, ttfb_s=0.01, audio_s=0.8, speed_x=20)
    with paced_server(script) as server:
        (turn,), _ = read_cascades(cascade_settings(server.host), 1)
    heard_s = (turn.heard().until_ns - turn.read.started_ns) / 1e9
    assert turn.read.ended_ns < turn.heard().until_ns
    assert 0.8 < heard_s < 0.8 + LATE_MS / 1000


def failed_with(values: dict[str, Any]) -> str:
    (turn,), clients = read_cascades(values, 1)
    found = sealed(turn, clients)
    assert found.failure is not None
    assert turn.heard().until_ns == turn.read.ended_ns
    return f"{found.failure.fault}: {found.failure.reason}"


def test_a_server_that_says_nothing_runs_into_the_limit_of_the_first_byte() -> None:
    with paced_server(PacedScript(ttft_s=30)) as server:
        said = failed_with(cascade_settings(server.host) | {"wire.first_byte_s": 0.2})
    assert said.startswith("timeout: ")
    assert "sent no byte of an answer within 0.2 s" in said


def test_a_server_that_stalls_runs_into_the_limit_between_bytes() -> None:
    script = PacedScript(ttft_s=0.01, words=2, audio_s=0.4, stall_every=1, stall_s=30)
    with paced_server(script) as server:
        said = failed_with(cascade_settings(server.host) | {"wire.between_bytes_s": 0.3})
    assert "sent nothing for 0.3 s within an answer" in said


def test_a_turn_that_takes_too_long_runs_into_its_own_limit() -> None:
    with paced_server(PacedScript(ttft_s=0.01, words=2, audio_s=20)) as server:
        said = failed_with(cascade_settings(server.host) | {"wire.turn_s": 0.5})
    assert "was not done within the turn's 0.5 s" in said


@pytest.mark.parametrize("waits", [True, False])
def test_a_turn_can_be_cut_off(waits: bool) -> None:
    script = PacedScript(ttft_s=30 if waits else 0.01, words=2, audio_s=20)
    with paced_server(script) as server:
        original = cascade_turn.CascadeTurn.__init__

        def begin(self: CascadeTurn, *arguments: Any) -> None:
            original(self, *arguments)
            loop = arguments[1].chat.loop
            loop.at(time.perf_counter_ns() + 300_000_000, self.cut_off)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cascade_turn.CascadeTurn, "__init__", begin)
            (turn,), clients = read_cascades(cascade_settings(server.host), 1)
        state = server.state()
    found = sealed(turn, clients)
    assert found.failure is not None
    assert found.failure.reason == "it was still open when the level ended"
    assert bool(found.audio) is not waits
    assert state["at_once"] == 0


def test_the_server_s_own_moments_are_before_ours() -> None:
    script = PacedScript(ttft_s=0.02, words=2, ttfb_s=0.02, audio_s=0.4)
    with paced_server(script) as server:
        (turn,), _ = read_cascades(cascade_settings(server.host), 1)
        stamps = server.stamps()
    speech = turn.read.chunks[0].speech
    assert speech is not None
    sent = [stamp.sent_ns for stamp in stamps if stamp.kind == "sound"]
    errors = np.array(speech.log.at_ns) - np.array(sent)
    assert errors.min() > 0
    assert errors.max() < LATE_MS * 1e6


def test_a_turn_is_freed_without_the_garbage_collector() -> None:
    # The collector is off while a level is held: a circle of references would fill the memory.
    with paced_server(PacedScript(audio_s=0.2, speed_x=10)) as server:
        gc.collect()
        gc.disable()
        try:
            turns, _ = read_cascades(cascade_settings(server.host), 2)
            known = [weakref.ref(turn) for turn in turns]
            turns.clear()
            assert [turn() for turn in known] == [None, None]
        finally:
            gc.enable()
