"""A scripted agent behind a server, for the self-test: on the real clock, on loopback.

It speaks each protocol that the caller can speak (`voicebench.checks.agent_wires`).
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from voicebench.agents.scripted_agent import AgentScript, ScriptedAgent, parse_agent_script
from voicebench.checks.agent_wires import AGENT_WIRES, AgentWire
from voicebench.errors import CannotMeasure

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

START_S = 60.0
WEBRTC = "webrtc"
LIVEKIT = "livekit"
"""The names of the protocols whose sound goes over WebRTC."""
# The library's own messages belong to nobody's terminal.
_SILENT = logging.Logger("voicebench.agent", level=logging.CRITICAL)


class RealAgentTime:
    """Actions at moments of the real clock, one after the other, in a thread of their own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._is_over = False
        threading.Thread(target=self._run, name="voicebench-agent-time", daemon=True).start()

    def now_ns(self) -> int:
        """Return the monotonic time."""
        return time.perf_counter_ns()

    def at(self, at_ns: int, action: Callable[[], None]) -> None:
        """Call ``action`` at ``at_ns``, or soon if that is over."""
        with self._changed:
            self._count += 1
            heapq.heappush(self._due, (at_ns, self._count, action))
            self._changed.notify()

    def stop(self) -> None:
        """Drop what is left."""
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._is_over and (not self._due or self._left_s() > 0):
                    self._changed.wait(self._left_s() if self._due else None)
                if self._is_over:
                    return
                _, _, action = heapq.heappop(self._due)
            action()

    def _left_s(self) -> float:
        return (self._due[0][0] - time.perf_counter_ns()) / 1e9


class TimedAgent(ScriptedAgent):
    """A scripted agent on a real clock of its own."""

    def __init__(self, script: AgentScript, sound_rate: int) -> None:
        self._clock = RealAgentTime()
        super().__init__(script, self._clock, sound_rate)

    def close(self) -> None:
        """Stop the clock."""
        self._clock.stop()


def serve_agent(script: str, api: str, ready: Callable[[str], None]) -> None:
    """Serve the scripted agent until the process ends; ``ready`` gets the URL."""
    from websockets.sync.server import serve

    read = parse_agent_script(script)
    if api == WEBRTC:
        from voicebench.agents.opus_sound import RATE
        from voicebench.checks.scripted_webrtc_agent import answering_offers

        TimedAgent(read, RATE).close()  # so that no call waits for the voice to be computed
        with answering_offers(lambda: TimedAgent(read, RATE)) as url:
            ready(url)
            threading.Event().wait()
    if api == LIVEKIT:
        from voicebench.agents.opus_sound import RATE
        from voicebench.checks.scripted_livekit_room import livekit_rooms

        TimedAgent(read, RATE).close()
        with livekit_rooms(lambda: TimedAgent(read, RATE)) as url:
            ready(f"livekit+{url}")
            threading.Event().wait()
    TimedAgent(read, AGENT_WIRES[api]().rate).close()

    def talk(socket: ServerConnection) -> None:
        wire = AGENT_WIRES[api]()
        with closing(TimedAgent(read, wire.rate)) as agent:
            answer_calls(socket, agent, wire)

    with serve(talk, "127.0.0.1", 0, compression=None, logger=_SILENT) as server:
        ready(f"ws://127.0.0.1:{server.socket.getsockname()[1]}")
        server.serve_forever()


def answer_calls(socket: ServerConnection, agent: ScriptedAgent, wire: AgentWire) -> None:
    """Let ``agent`` take the call on ``socket``, until the caller hangs up."""
    from websockets.exceptions import ConnectionClosed

    sending = threading.Lock()

    def send(messages: Iterable[str | bytes]) -> None:
        with suppress(ConnectionClosed), sending:
            for message in messages:
                socket.send(message)

    call = agent.open_call(lambda event: send(wire.messages(event)))
    try:
        send(wire.replies(None))
        for message in socket:
            send(wire.replies(message))
            frame = wire.heard(message)
            if frame is not None:
                call.hear(frame)
    except ConnectionClosed:
        pass
    finally:
        call.hang_up()


@contextmanager
def scripted_agent_server(script: str, api: str) -> Iterator[str]:
    """Serve ``script`` in a process of its own; yields the URL. Raises `CannotMeasure`."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve_in_process, args=(script, api, theirs), daemon=True)
    process.start()
    try:
        theirs.close()
        if not ours.poll(START_S):
            raise CannotMeasure("the scripted agent did not start", "try again")
        yield str(ours.recv())
    except EOFError:
        raise CannotMeasure("the scripted agent did not start", "try again") from None
    finally:
        process.terminate()
        process.join(10)


def _serve_in_process(script: str, api: str, ready: Connection) -> None:
    serve_agent(script, api, ready.send)
