"""One contract for every protocol: a scripted agent on a connection is measured as scripted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from voicebench.agents.agent_kinds import agent_kind
from voicebench.agents.opus_sound import RATE as OPUS_RATE
from voicebench.agents.scripted_agent import AgentScript, ScriptedAgent
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.call_clock import VirtualCallClock
from voicebench.calls.call_script import parse_script
from voicebench.calls.conversation import Manners
from voicebench.calls.line_sound import line_sound
from voicebench.calls.running.placing import CallPlan, place_call_in_thread
from voicebench.calls.sealing import seal_call
from voicebench.checks.agent_wires import AGENT_WIRES
from voicebench.checks.scripted_agent_server import LIVEKIT, WEBRTC, answering_calls
from voicebench.checks.scripted_livekit_room import KEY, SECRET
from voicebench.checks.scripted_webrtc_agent import RESPONSE_LATER_MS
from voicebench.checks.timed_agent import TimedAgent
from voicebench.figures.metrics import compute
from voicebench.settings import load_settings
from voicebench.turn.timeline import Timeline

MARGIN_MS = 300
"""CI is a noisy machine with two cores."""
STEPS = """
[[step]]
say = "one"
limit = "1500ms"
[[step]]
say = "two"
at = "200ms"
"""
MANNERS = Manners(silence_ms=350, patience_ms=1500, opening_ms=100)
SHOWS_WORDS = {"pcm", "realtime", "pipecat", WEBRTC, LIVEKIT}
LATER_MS = {WEBRTC: RESPONSE_LATER_MS, LIVEKIT: RESPONSE_LATER_MS}
"""What the answer's way adds, by the rules of the transport: codec, and the agent's buffer."""


TRIES = 4
"""A busy machine makes a call late, and never early: the best of four counts."""


@contextmanager
def served(api: str, script: AgentScript) -> Iterator[str]:
    """Serve the scripted agent in this protocol; yields its URL."""
    rate = AGENT_WIRES[api]().rate if api in AGENT_WIRES else OPUS_RATE
    ScriptedAgent(script, VirtualCallClock(), rate)  # computes the voice
    with answering_calls(lambda: TimedAgent(script, rate), api) as url:
        yield url


def called(api: str) -> list[Timeline]:
    """Return a line and an interruption, spoken to a scripted agent in this protocol."""
    # Pipecat takes nothing back: its sound has to come no faster than it is played.
    script = AgentScript(
        wait_s=0.6,
        transcript_s=0.02,
        reply_s=0.05,
        voice_s=0.05,
        stop_s=0.2,
        speech_s=1.2,
        speed_x=1.0 if api == "pipecat" else 4.0,
    )

    with served(api, script) as url:
        named = {"call.url": url, "call.speak_rate": 16_000}
        if api in AGENT_WIRES:
            named["call.api"] = api
        read = load_settings(None, named).settings
        with closing(agent_kind(url).open(url, read, lambda _line: None)) as agent:
            rate = agent.sample_rate
            sound = line_sound(synthetic_voice(round(0.5 * rate), rate), rate, "line")
            plan = CallPlan(parse_script(STEPS, "script"), [sound] * 2, MANNERS)
            call = place_call_in_thread(agent, plan, 1)
    return list(seal_call(call, 1, "measured").turns)


def errors_ms(turns: list[Timeline], api: str) -> list[float]:
    """Return how far the figures are from the script; infinity for one that is missing."""
    line, stopped = (compute(turn) for turn in turns)
    later_ms = LATER_MS.get(api, 0.0)
    figures = ((line["response_ms"], 720.0 + later_ms), (stopped["stop_ms"], 200.0 + later_ms))
    return [math.inf if found is None else abs(found - wanted) for found, wanted in figures]


@pytest.mark.parametrize("api", [*AGENT_WIRES, WEBRTC, LIVEKIT])
def test_recorded_times_are_the_scripted_ones(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_API_KEY", KEY)
    monkeypatch.setenv("LIVEKIT_API_SECRET", SECRET)
    turns = called(api)
    for _ in range(TRIES - 1):
        if max(errors_ms(turns, api)) < MARGIN_MS:
            break
        turns = called(api)
    assert max(errors_ms(turns, api)) < MARGIN_MS
    line, stopped = turns
    assert (line.failure, stopped.failure) == (None, None)
    assert compute(line)["call_unattributed_ms"] == pytest.approx(0, abs=1e-6)
    if api in SHOWS_WORDS:
        wanted = 600 + LATER_MS.get(api, 0.0)
        assert compute(line)["endpoint_ms"] == pytest.approx(wanted, abs=MARGIN_MS)
        assert line.call is not None
        assert line.call.heard == "simulated words"
        assert line.call.reply == "This is a simulated answer."
