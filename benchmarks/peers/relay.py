"""A relay between another client and our agent, which measures the same call as the client does.

It passes each message on and stamps it, in the words that each side expects (`Form`). Afterwards
both tracks are laid on its clock, and response times follow by our rule: the caller's last audible
sample to the agent's first, heard by a listener who plays at once.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from voicebench.audio.pcm import audible_runs, from_int16
from voicebench.calls.agent_events import AgentAudio, AgentCleared, AgentEvent, SpeechEndSeen
from voicebench.calls.heard import StampedAgentEvent, heard_track

if TYPE_CHECKING:
    from numpy.typing import NDArray

Message = str | bytes
HEAR_RATE, SPEAK_RATE = 16_000, 24_000
PAUSE_S = 0.8
"""A shorter pause of the caller is inside a line."""


class Form(Protocol):
    """The messages of one client, for one call."""

    def heard(self, message: Message) -> tuple[bytes | None, Iterable[Message]]:
        """Return the caller's PCM in a message, if it has any, and what is answered to it."""
        ...

    def told(self, message: Message) -> Iterable[Message]:
        """Return what the client is told for a message of the agent."""
        ...


class AsItIs:
    """The agent's own messages."""

    def heard(self, message: Message) -> tuple[bytes | None, Iterable[Message]]:
        """Return a binary message."""
        return (message if isinstance(message, bytes) else None), ()

    def told(self, message: Message) -> Iterable[Message]:
        """Return the message."""
        return (message,)


@dataclass
class RelayedCall:
    """What passed in one call."""

    start_ns: int = field(default_factory=time.perf_counter_ns)
    caller: list[tuple[int, bytes]] = field(default_factory=list)
    agent: list[StampedAgentEvent] = field(default_factory=list)

    def response_ms(self) -> list[float]:
        """Return the response time of each line that was answered before the next one."""
        return [(answered - until) / 1e6 for _, until, answered in self._answered_ns()]

    def endpoint_ms(self) -> list[float | None]:
        """Return when the agent said that the line was over, for each line of `response_ms`."""
        seen = [one.at_ns for one in self.agent if isinstance(one.event, SpeechEndSeen)]
        return [
            max(
                ((at_ns - until) / 1e6 for at_ns in seen if begin < at_ns <= answered),
                default=None,
            )
            for begin, until, answered in self._answered_ns()
        ]

    def first_message_ms(self) -> list[float | None]:
        """Return when the first message with sound came, audible or not, for the same lines."""
        return [
            min(
                (
                    (one.at_ns - until) / 1e6
                    for one in self.agent
                    if isinstance(one.event, AgentAudio) and until <= one.at_ns
                ),
                default=None,
            )
            for _, until, _ in self._answered_ns()
        ]

    def shown_stages(self) -> str:
        """Return what our agent sent when, of the first line that was answered."""
        stages = {
            "the end of the turn": self.endpoint_ms()[0],
            "sound": self.first_message_ms()[0],
        }
        shown = (f"{what} after {ms:.0f} ms" for what, ms in stages.items() if ms is not None)
        return f"our agent sent {', '.join(shown)}"

    def _answered_ns(self) -> list[tuple[float, float, float]]:
        """Return begin and end of each line that was answered, and where the answer is audible."""
        lines = self._lines_ns()
        end_ns = time.perf_counter_ns() - self.start_ns
        track = heard_track(self.agent, end_ns, SPEAK_RATE)
        heard = [
            begin * 1e9 / track.sample_rate
            for begin, _ in audible_runs(track.pcm, track.sample_rate)
        ]
        answered = []
        for number, (begin_ns, until_ns) in enumerate(lines):
            next_ns = lines[number + 1][0] if number + 1 < len(lines) else end_ns
            first = next((at_ns for at_ns in heard if until_ns <= at_ns < next_ns), None)
            if first is not None:
                answered.append((begin_ns, until_ns, first))
        return answered

    def _lines_ns(self) -> list[tuple[float, float]]:
        """Return where the caller was audible: a message's last sample was sent when it came."""
        pieces = [_samples(content) for _, content in self.caller]
        if not pieces:
            return []
        ends = np.cumsum([piece.size for piece in pieces])

        def sent_ns(sample: int) -> float:
            number = int(np.searchsorted(ends, sample))
            return float(self.caller[number][0] - (ends[number] - sample) * 1e9 / HEAR_RATE)

        spoken: list[tuple[float, float]] = []
        for first, after in audible_runs(np.concatenate(pieces), HEAR_RATE):
            begin, until = sent_ns(first + 1), sent_ns(after)
            if spoken and begin - spoken[-1][1] < PAUSE_S * 1e9:
                spoken[-1] = (spoken[-1][0], until)
            else:
                spoken.append((begin, until))
        return spoken


@contextmanager
def relaying(
    agent_url: str, new_form: Callable[[], Form] = AsItIs
) -> Iterator[tuple[str, list[RelayedCall]]]:
    """Relay calls on loopback to ``agent_url``; yields the URL, and the calls that came."""
    calls: list[RelayedCall] = []

    def talk(client: ServerConnection) -> None:
        with connect(agent_url, compression=None, max_size=None) as agent:
            call, form = RelayedCall(), new_form()
            calls.append(call)

            def answer() -> None:
                try:
                    for message in agent:
                        at_ns = time.perf_counter_ns() - call.start_ns
                        event = _event(message)
                        if event is not None:
                            call.agent.append(StampedAgentEvent(at_ns, event))
                        for told in form.told(message):
                            client.send(told)
                except ConnectionClosed:
                    pass

            thread = threading.Thread(target=answer, daemon=True)
            thread.start()
            try:
                for message in client:
                    at_ns = time.perf_counter_ns() - call.start_ns
                    pcm, answers = form.heard(message)
                    if pcm is not None:
                        call.caller.append((at_ns, pcm))
                        agent.send(pcm)
                    for told in answers:
                        client.send(told)
            except ConnectionClosed:
                pass

    with serve(talk, "127.0.0.1", 0, compression=None, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", calls
        server.shutdown()
        thread.join(5)


def _event(message: Message) -> AgentEvent | None:
    if isinstance(message, bytes):
        return AgentAudio(_samples(message), SPEAK_RATE)
    kind = json.loads(message).get("type")
    if kind == "speech_stopped":
        return SpeechEndSeen()
    return AgentCleared() if kind == "clear" else None


def _samples(content: bytes) -> NDArray[np.float32]:
    return from_int16(np.frombuffer(content, dtype="<i2").astype(np.int16))
