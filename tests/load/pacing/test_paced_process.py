"""The paced server over the wire, taken by the clients that measure real servers."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from paced_turns import cascade_settings, realtime_settings, take_turns, voice_settings

from voicebench.load.pacing.paced_process import paced_server
from voicebench.load.pacing.paced_script import PacedScript

LATE_MS = 250.0
"""Longest that a busy machine may add to a scripted delay."""


def test_a_cascade_gets_its_tokens_and_its_sound() -> None:
    script = PacedScript(ttft_s=0.05, token_s=0.005, words=6, ttfb_s=0.05)
    with paced_server(script) as server:
        (turn,) = take_turns(cascade_settings(server.host), 1)
        stamps = server.stamps()
    assert turn.failure is None
    assert turn.reply == "The train to the coast leaves"
    assert turn.usage_tokens == 6
    assert 50 <= turn.tokens[0].at_ns / 1e6 < 50 + LATE_MS
    # Each text chunk's sound is whole pieces of 40 ms: the text has two or more chunks.
    assert sum(one.samples for one in turn.audio) % 960 == 0
    assert [stamp.kind for stamp in stamps if stamp.request == 1].count("token") == 6
    assert all(stamp.sent_ns >= stamp.due_ns for stamp in stamps)


@pytest.mark.parametrize("settings_of", [voice_settings, realtime_settings])
def test_a_websocket_gets_pieces_at_the_pace_of_speech(
    settings_of: Callable[[str], dict[str, Any]],
) -> None:
    script = PacedScript(ttft_s=0.05, ttfb_s=0.05, words=4, audio_s=0.8)
    with paced_server(script) as server:
        first, second = take_turns(settings_of(server.host), 2)
        state = server.state()
    for turn in (first, second):
        assert turn.failure is None
        assert turn.reply == "The train to the"
        assert sum(one.samples for one in turn.audio) == 20 * 960
        assert 100 <= turn.audio[0].at_ns / 1e6 < 100 + LATE_MS
        assert 100 + 19 * 40 <= turn.audio[-1].at_ns / 1e6 < 860 + LATE_MS
    assert state["answered"] == 2
    assert state["blocked"] == 0


def test_each_second_turn_is_refused() -> None:
    script = PacedScript(ttft_s=0.01, words=3, audio_s=0.1, refuse_every=2, refuse_status=429)
    with paced_server(script) as server:
        turns = take_turns(cascade_settings(server.host), 2)
        spoken = take_turns(voice_settings(server.host), 2)
        events = take_turns(realtime_settings(server.host), 2)
    for answered, refused in (turns, spoken, events):
        assert answered.failure is None
        assert refused.failure is not None
        assert "429" in refused.failure.reason or "no room" in refused.failure.reason
        assert refused.failure.fault == "refused"


def test_a_client_that_hangs_up_frees_its_place() -> None:
    with paced_server(PacedScript(ttft_s=60)) as server:
        connection = http.client.HTTPConnection(server.host)
        request = {"stream": True, "messages": [{"role": "user", "content": "When?"}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(request))
        _wait_for(lambda: server.state()["at_once"] == 1)
        connection.close()
        _wait_for(lambda: server.state()["at_once"] == 0)


def _wait_for(holds: object) -> None:
    assert callable(holds)
    for _ in range(400):
        if holds():
            return
        time.sleep(0.025)
    raise AssertionError("it never became true")


@pytest.mark.parametrize("body", [b"{", b'{"stream": false}'])
def test_a_request_that_it_cannot_answer_gets_an_error(body: bytes) -> None:
    with (
        paced_server(PacedScript()) as server,
        closing(http.client.HTTPConnection(server.host)) as connection,
    ):
        connection.request("POST", "/v1/chat/completions", body)
        with closing(connection.getresponse()) as answer:
            assert answer.status == 400


def test_the_process_ends_with_its_caller() -> None:
    with paced_server(PacedScript()) as server:
        os.kill(server.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, signal.SIGCONT)
