"""The process of the fault proxy, and what asks it for faults."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from voicebench.errors import CannotMeasure
from voicebench.load.fault_plan import FaultKind, PlannedFault
from voicebench.machine.processes import end_child

BACKLOG = 4096
ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class RunningProxy:
    """A proxy that runs. All its sockets are on loopback."""

    ports: tuple[int, ...]
    """Where it listens, in the order of its servers."""
    request_port: int
    pid: int


@contextmanager
def fault_proxy(servers: Sequence[tuple[str, int]]) -> Iterator[RunningProxy]:
    """Pass connections on to ``servers``, each a host and a port, in a process of its own."""
    with ExitStack() as ours:
        listeners = [
            ours.enter_context(socket.create_server(("127.0.0.1", 0), backlog=BACKLOG))
            for _ in (*servers, None)
        ]
        *passing, requests = listeners
        given = {
            "listeners": [
                [listener.fileno(), host, port]
                for listener, (host, port) in zip(passing, servers, strict=True)
            ],
            "requests": requests.fileno(),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "voicebench.load.faults.fault_proxy", json.dumps(given)],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno() for listener in listeners],
        )
        ports = tuple(int(listener.getsockname()[1]) for listener in passing)
        running = RunningProxy(ports, int(requests.getsockname()[1]), process.pid)
    try:
        yield running
    finally:
        end_child(process)


class FaultRequests:
    """Asks a proxy for faults, for all threads of a process."""

    def __init__(self, request_port: int) -> None:
        self._port = request_port
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def make(self, fault: PlannedFault, port: int) -> bool:
        """Have the connection from ``port`` of this machine meet ``fault``.

        Returns whether the proxy has such a connection. Raises `CannotMeasure` if it is gone.
        """
        wanted = {"port": port, "kind": fault.kind, "held_s": fault.held_s}
        try:
            with self._lock:
                if self._socket is None:
                    address = ("127.0.0.1", self._port)
                    self._socket = socket.create_connection(address, ANSWER_S)
                self._socket.sendall(json.dumps(wanted).encode() + b"\n")
                answer = b""
                while not answer.endswith(b"\n"):
                    data = self._socket.recv(1000)
                    if not data:
                        raise OSError("it hung up")
                    answer += data
        except OSError as error:
            raise CannotMeasure(f"the fault proxy failed ({error})", "try again") from None
        return bool(json.loads(answer)["found"])

    def close(self) -> None:
        """Close the connection to the proxy."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()


class FaultOfTurn:
    """The fault that one turn meets: made when its first connection is known."""

    def __init__(self, fault: PlannedFault, requests: FaultRequests) -> None:
        self._fault = fault
        self._requests = requests
        self.made: FaultKind | None = None
        """Its kind, once it is being made."""

    def connected(self, port: int) -> None:
        """Take a connection of the turn, by our port. Raises `CannotMeasure`."""
        if self.made is None and port > 0:
            self.made = self._fault.kind  # it may be felt before the proxy's answer is here
            if not self._requests.make(self._fault, port):
                self.made = None
