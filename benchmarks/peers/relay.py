"""A relay between another client and our agent, which measures the same call as the client does.

It passes each message on and stamps it. Afterwards both tracks are laid on its clock, and response
times follow by our rule: the caller's last audible sample to the agent's first, heard by a listener
who plays at once.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from voicebench.audio.pcm import audible_runs, from_int16
from voicebench.calls.agent_events import AgentAudio, AgentCleared, AgentEvent
from voicebench.calls.heard import StampedAgentEvent, heard_track

HEAR_RATE, SPEAK_RATE = 16_000, 24_000
PAUSE_S = 0.8
"""A shorter pause of the caller is inside a line."""


@dataclass
class RelayedCall:
    """What passed in one call."""

    start_ns: int = field(default_factory=time.perf_counter_ns)
    caller: list[tuple[int, bytes]] = field(default_factory=list)
    agent: list[StampedAgentEvent] = field(default_factory=list)

    def response_ms(self) -> list[float]:
        """Return the response time of each line that was answered before the next one."""
        lines = self._lines_ns()
        end_ns = time.perf_counter_ns() - self.start_ns
        track = heard_track(self.agent, end_ns, SPEAK_RATE)
        heard = [
            begin * 1e9 / track.sample_rate
            for begin, _ in audible_runs(track.pcm, track.sample_rate)
        ]
        responses = []
        for number, (_, until_ns) in enumerate(lines):
            next_ns = lines[number + 1][0] if number + 1 < len(lines) else end_ns
            first = next((at_ns for at_ns in heard if until_ns <= at_ns < next_ns), None)
            if first is not None:
                responses.append((first - until_ns) / 1e6)
        return responses

    def _lines_ns(self) -> list[tuple[float, float]]:
        """Return where the caller was audible: a message's last sample was sent when it came."""
        spoken: list[tuple[float, float]] = []
        for at_ns, content in self.caller:
            pcm = from_int16(np.frombuffer(content, dtype="<i2").astype(np.int16))
            if not pcm.size or float(np.sqrt(np.mean(np.square(pcm)))) <= 0.01:
                continue
            begin = at_ns - pcm.size * 1e9 / HEAR_RATE
            if spoken and begin - spoken[-1][1] < PAUSE_S * 1e9:
                spoken[-1] = (spoken[-1][0], float(at_ns))
            else:
                spoken.append((begin, float(at_ns)))
        return spoken


@contextmanager
def relaying(agent_url: str) -> Iterator[tuple[str, list[RelayedCall]]]:
    """Relay calls on loopback to ``agent_url``; yields the URL, and the calls that came."""
    calls: list[RelayedCall] = []

    def talk(client: ServerConnection) -> None:
        with connect(agent_url, compression=None, max_size=None) as agent:
            call = RelayedCall()
            calls.append(call)

            def answer() -> None:
                try:
                    for message in agent:
                        at_ns = time.perf_counter_ns() - call.start_ns
                        event = _event(message)
                        if event is not None:
                            call.agent.append(StampedAgentEvent(at_ns, event))
                        client.send(message)
                except ConnectionClosed:
                    pass

            thread = threading.Thread(target=answer, daemon=True)
            thread.start()
            try:
                for message in client:
                    if isinstance(message, bytes):
                        at_ns = time.perf_counter_ns() - call.start_ns
                        call.caller.append((at_ns, message))
                        agent.send(message)
            except ConnectionClosed:
                pass

    with serve(talk, "127.0.0.1", 0, compression=None, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", calls
        server.shutdown()
        thread.join(5)


def _event(message: str | bytes) -> AgentEvent | None:
    if isinstance(message, bytes):
        return AgentAudio(
            from_int16(np.frombuffer(message, dtype="<i2").astype(np.int16)), SPEAK_RATE
        )
    return AgentCleared() if json.loads(message).get("type") == "clear" else None
