"""Calls with others: what the relay and the comparison make of drawn calls. No peer is called."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from benchmarks.peers.__main__ import compared, environment
from benchmarks.peers.clients import CLIENTS
from benchmarks.peers.relay import HEAR_RATE, SPEAK_RATE, RelayedCall, relaying
from voicebench.audio.pcm import to_int16
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.agent_events import AgentAudio, SpeechEndSeen
from voicebench.calls.heard import StampedAgentEvent

MS = 1_000_000


def message(loud: bool) -> bytes:
    samples = np.full(HEAR_RATE // 50, 8000 if loud else 0)
    samples[::2] *= -1
    return samples.astype("<i2").tobytes()


def relayed(loud_until_ms: list[tuple[int, int]], answers_ms: list[int]) -> RelayedCall:
    """Draw a call of 6 s: the caller is loud in these stretches, the agent answers for 400 ms."""
    call = RelayedCall(start_ns=time.perf_counter_ns() - 6000 * MS)
    for at_ms in range(20, 6001, 20):
        loud = any(begin < at_ms <= end for begin, end in loud_until_ms)
        call.caller.append((at_ms * MS, message(loud)))
    voice = synthetic_voice(round(0.4 * SPEAK_RATE), SPEAK_RATE)
    for at_ms in answers_ms:
        call.agent.append(StampedAgentEvent(at_ms * MS, AgentAudio(voice, SPEAK_RATE)))
    return call


def test_a_response_begins_with_the_last_audible_message_of_a_line() -> None:
    call = relayed([(1000, 1400), (1900, 2400), (4000, 4500)], [2900, 4800])
    assert call.response_ms() == pytest.approx([500, 300], abs=5)


def test_a_line_ends_with_its_last_audible_sample_within_a_message() -> None:
    call = relayed([(1000, 1380)], [1900])
    call.caller = [  # messages of 40 ms: the last one is loud in its first half
        (at_ns, first + second)
        for (_, first), (at_ns, second) in zip(call.caller[0::2], call.caller[1::2], strict=True)
    ]
    assert call.response_ms() == pytest.approx([520], abs=5)


def test_the_stages_are_those_of_the_line_that_was_answered() -> None:
    call = relayed([(1000, 1400), (4000, 4500)], [1900, 4800])
    for at_ms in (1500, 1700, 2000):
        call.agent.append(StampedAgentEvent(at_ms * MS, SpeechEndSeen()))
    assert call.endpoint_ms() == [pytest.approx(300, abs=5), None]
    assert call.first_message_ms() == [pytest.approx(500, abs=5), pytest.approx(300, abs=5)]
    silent = relayed([], [])
    assert silent.endpoint_ms() == silent.first_message_ms() == silent.response_ms() == []


def test_a_line_without_an_answer_before_the_next_one_has_none() -> None:
    assert relayed([(1000, 1400), (3000, 3400)], [3700]).response_ms() == pytest.approx(
        [300], abs=5
    )


def test_the_relay_passes_both_sides_on_and_measures_the_call() -> None:
    def agent(caller: ServerConnection) -> None:
        for content in caller:
            if any(content):
                caller.send('{"type": "speech_stopped"}')
                caller.send(bytes(SPEAK_RATE // 10))  # 50 ms of silence
                voice = to_int16(synthetic_voice(SPEAK_RATE // 2, SPEAK_RATE))
                caller.send(voice.astype("<i2").tobytes())

    with serve(agent, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        with relaying(f"ws://127.0.0.1:{port}") as (url, calls):
            with connect(url) as client:
                client.send(message(loud=False))
                client.send(message(loud=True) + message(loud=True))
                said = [client.recv(timeout=20) for _ in range(3)]
            assert said[0] == '{"type": "speech_stopped"}'
            assert len(said[2]) == SPEAK_RATE
        server.shutdown()
    (call,) = calls
    call.start_ns -= 200 * MS  # the answer is heard for so long
    (response,), (endpoint,) = call.response_ms(), call.endpoint_ms()
    assert endpoint is not None
    assert -50 < endpoint <= response


def test_the_ratio_is_of_the_medians_and_judged() -> None:
    lines = compared({"ours": [300.0, 400.0, 500.0], "pipecat": [1000.0]})
    assert lines[0] == "ours       response p50 400 ms of 3: 300, 400, 500"
    assert lines[-1] == "ratio of the medians: 2.50 (promised 2: held)"
    assert compared({"ours": [600.0], "pipecat": [900.0]})[-1].endswith(
        "1.50 (promised 2: not held)"
    )
    assert len(compared({"ours": [600.0], "pipecat": []})) == 2


def test_environments_that_are_given_are_taken_as_they_are(tmp_path: Path) -> None:
    assert environment("pipecat", "pipecat-ai", given=tmp_path) == tmp_path / "pipecat" / "bin"


REPORTS = {
    "voicebench": {"sessions": [{"turns": [{"response_latency_ms": 812.5}, {}]}]},
    "voice-eval": {"probe": {"turn_latency": {"e2e_p50_ms": 812.5}}},
}
PROGRAM = """#!{python}
import json, pathlib, sys
report = json.loads({report!r})
if "--out" in sys.argv:
    out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
    out.mkdir()
    (out / "report.json").write_text(json.dumps(report))
else:
    print(json.dumps(report))
"""


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.program)
def test_a_client_is_told_the_line_and_the_agent_and_its_figure_is_read(client, tmp_path) -> None:  # type: ignore[no-untyped-def]
    program = tmp_path / client.program
    report = json.dumps(REPORTS[client.program])
    program.write_text(PROGRAM.format(python=sys.executable, report=report), encoding="utf-8")
    program.chmod(0o755)
    wav = tmp_path / "line.wav"
    wav.write_bytes(b"RIFF")
    found = client.run(program, "ws://127.0.0.1:9/call", [("Is it open?", wav)], tmp_path)
    assert found == [812.5]
    told = "".join(path.read_text() for path in tmp_path.glob("*.*") if path.suffix != ".wav")
    assert "Is it open?" in told
    assert str(wav) in told
