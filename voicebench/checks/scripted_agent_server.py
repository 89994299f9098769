"""A scripted agent behind a WebSocket, for the self-test: on the real clock, on loopback.

It speaks the words that `voicebench.agents.pcm_dialect` has by default: sound in binary messages,
everything else in JSON.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import numpy as np

from voicebench.agents.scripted_agent import ScriptedAgent, parse_agent_script
from voicebench.agents.wire_dialect import as_text
from voicebench.audio.pcm import to_int16
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    CallerTranscript,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
)
from voicebench.errors import CannotMeasure

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

START_S = 60.0
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


def message_of(event: AgentEvent) -> str | bytes | None:
    """Return ``event`` in the words of the PCM socket; None if it has none."""
    found: dict[str, object] | None = None
    match event:
        case AgentAudio(pcm, _):
            return to_int16(pcm).astype("<i2").tobytes()
        case AgentCleared():
            found = {"type": "clear"}
        case SpeechEndSeen():
            found = {"type": "speech_stopped"}
        case ReplyComplete():
            found = {"type": "complete"}
        case CallerTranscript(text, final):
            found = {"type": "transcript", "text": text, "final": final}
        case ReplyText(text):
            found = {"type": "reply", "text": text}
    return None if found is None else as_text(found)


def serve_agent(script: str, ready: Callable[[int], None]) -> None:
    """Serve the scripted agent until the process ends; ``ready`` gets the port."""
    from websockets.sync.server import serve

    read = parse_agent_script(script)

    def talk(socket: ServerConnection) -> None:
        answer_calls(socket, ScriptedAgent(read, time_of_call := RealAgentTime()))
        time_of_call.stop()

    with serve(talk, "127.0.0.1", 0, compression=None, logger=_SILENT) as server:
        ready(server.socket.getsockname()[1])
        server.serve_forever()


def answer_calls(socket: ServerConnection, agent: ScriptedAgent) -> None:
    """Let ``agent`` take the call on ``socket``, until the caller hangs up."""
    from websockets.exceptions import ConnectionClosed

    sending = threading.Lock()

    def emit(event: AgentEvent) -> None:
        message = message_of(event)
        if message is None:
            return
        try:
            with sending:
                socket.send(message)
        except ConnectionClosed:
            pass

    call = agent.open_call(emit)
    try:
        for message in socket:
            if isinstance(message, bytes):
                call.hear(np.frombuffer(message, dtype="<i2").astype(np.int16))
    except ConnectionClosed:
        pass
    finally:
        call.hang_up()


@contextmanager
def scripted_agent_server(script: str) -> Iterator[str]:
    """Serve ``script`` in a process of its own; yields the URL. Raises `CannotMeasure`."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve_in_process, args=(script, theirs), daemon=True)
    process.start()
    try:
        theirs.close()
        if not ours.poll(START_S):
            raise CannotMeasure("the scripted agent did not start", "try again")
        yield f"ws://127.0.0.1:{ours.recv()}"
    except EOFError:
        raise CannotMeasure("the scripted agent did not start", "try again") from None
    finally:
        process.terminate()
        process.join(10)


def _serve_in_process(script: str, ready: Connection) -> None:
    serve_agent(script, ready.send)
