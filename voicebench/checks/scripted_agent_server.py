"""A scripted agent behind a server, for the self-test: on the real clock, on loopback.

It speaks each protocol that the caller can speak (`voicebench.checks.agent_wires`).
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

from voicebench.agents.scripted_agent import parse_agent_script
from voicebench.calls.agent_events import AgentEvent
from voicebench.checks.agent_acts import ActsOfCall, AgentAct, TakeActs
from voicebench.checks.agent_line import AgentLine
from voicebench.checks.agent_wires import AGENT_WIRES, AgentWire
from voicebench.checks.timed_agent import TimedAgent
from voicebench.errors import CannotMeasure
from voicebench.remote.connection import kernel_stamps

START_S = 60.0
END_S = 5.0
WEBRTC = "webrtc"
LIVEKIT = "livekit"
"""The names of the protocols whose sound goes over WebRTC."""


@contextmanager
def answering_calls(
    agent: Callable[[], TimedAgent], api: str, took: TakeActs = lambda _acts: None
) -> Iterator[str]:
    """Take calls on loopback in the protocol ``api`` until the context ends; yields the URL.

    ``agent`` makes the agent of each call, and ``took`` gets its acts when the call has ended.
    """
    if api == WEBRTC:
        from voicebench.checks.scripted_webrtc_agent import answering_offers

        with answering_offers(agent, took) as url:
            yield url
        return
    if api == LIVEKIT:
        from voicebench.checks.scripted_livekit_room import livekit_rooms

        with livekit_rooms(agent, took=took) as url:
            yield f"livekit+{url}"
        return
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)

    def talk(connection: socket.socket) -> None:
        with closing(AgentLine(connection)) as line, closing(agent()) as timed:
            took(_answer_call(line, timed, AGENT_WIRES[api]()))

    def accept() -> None:
        with suppress(OSError):  # it is over
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    accepting = threading.Thread(target=accept, name="voicebench-agent", daemon=True)
    accepting.start()
    try:
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        with suppress(OSError):  # not every system ends a waiting accept otherwise
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join(END_S)


def _answer_call(line: AgentLine, agent: TimedAgent, wire: AgentWire) -> Sequence[AgentAct]:
    """Let ``agent`` take a call until the caller hangs up; return what it did."""
    acts = ActsOfCall()

    def emit(event: AgentEvent) -> None:
        kind, due_ns = acts.act_of(event), agent.due_ns
        acts.add(kind, due_ns, line.send(wire.messages(event)))

    call = agent.open_call(emit)
    is_open = False
    try:
        for message, came_ns in line.messages():
            if not is_open:
                is_open = True
                line.send(wire.replies(None))
            line.send(wire.replies(message))
            frame = wire.heard(message)
            if frame is not None:
                call.hear(frame, came_ns)
    finally:
        call.hang_up()
    return acts.done


class ServedAgent:
    """A scripted agent in a process of its own."""

    def __init__(self, url: str, control: Connection) -> None:
        self.url = url
        self._control = control

    def acts(self) -> list[AgentAct]:
        """Return what it did in the one call that has ended, waiting for its end."""
        self._control.send(None)
        if not self._control.poll(END_S):
            raise CannotMeasure("the scripted agent does not tell what it did", "try again")
        acts: list[AgentAct] = self._control.recv()
        return acts


@contextmanager
def scripted_agent_server(script: str, api: str) -> Iterator[ServedAgent]:
    """Serve ``script`` in a process of its own. Raises `CannotMeasure`."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve_in_process, args=(script, api, theirs), daemon=True)
    process.start()
    try:
        theirs.close()
        if not ours.poll(START_S):
            raise CannotMeasure("the scripted agent did not start", "try again")
        yield ServedAgent(str(ours.recv()), ours)
    except EOFError:
        raise CannotMeasure("the scripted agent did not start", "try again") from None
    finally:
        process.terminate()
        process.join(10)


def _serve_in_process(script: str, api: str, control: Connection) -> None:
    """Serve until the process ends; each request is answered with the acts of the next call."""
    kernel_stamps.want()
    read = parse_agent_script(script)
    rate = _rate_of(api)
    TimedAgent(read, rate).close()  # so that no call waits for the voice to be computed
    ended: queue.SimpleQueue[Sequence[AgentAct]] = queue.SimpleQueue()
    with answering_calls(lambda: TimedAgent(read, rate), api, ended.put) as url:
        control.send(url)
        while True:
            control.recv()
            control.send(list(ended.get()))


def _rate_of(api: str) -> int:
    if api in AGENT_WIRES:
        return AGENT_WIRES[api]().rate
    from voicebench.agents.opus_sound import RATE

    return RATE
