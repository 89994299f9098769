"""Calls with others: what the relay and the comparison make of drawn calls. Nothing is called."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.__main__ import compared, environment
from benchmarks.peers.clients import CLIENTS
from benchmarks.peers.relay import HEAR_RATE, SPEAK_RATE, RelayedCall
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.agent_events import AgentAudio
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


def test_a_line_without_an_answer_before_the_next_one_has_none() -> None:
    assert relayed([(1000, 1400), (3000, 3400)], [3700]).response_ms() == pytest.approx(
        [300], abs=5
    )


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
