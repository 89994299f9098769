"""The process of a paced server: started with a listening socket, pinned to a core, ended by EOF.

The caller's process makes the listening socket, so the port is known at once and connections wait
in its queue until the server runs. The server ends when its standard input is closed, also if the
caller is killed. (POSIX: the socket is passed on to the child.)
"""

from __future__ import annotations

import gc
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from voicebench.errors import CannotMeasure
from voicebench.load.pacing.paced_requests import STAMPS_PATH, STATE_PATH
from voicebench.load.pacing.paced_script import PacedScript, script_from
from voicebench.load.pacing.paced_server import PacedServer
from voicebench.load.pacing.send_stamps import SendStamp, stamps_in
from voicebench.machine.processes import end_child, stay_on

START_S = 30.0
BACKLOG = 4096
CAN_PASS_SOCKETS = sys.platform != "win32"


@dataclass(frozen=True, slots=True)
class RunningPacedServer:
    """A paced server that runs: ``host`` is its address and port."""

    host: str
    pid: int

    def stamps(self) -> list[SendStamp]:
        """Return what it has sent, and when. Raises `CannotMeasure`."""
        return list(stamps_in(self._get(STAMPS_PATH)))

    def state(self) -> dict[str, object]:
        """Return its counters. Raises `CannotMeasure`."""
        return dict(json.loads(self._get(STATE_PATH)))

    def _get(self, path: str) -> bytes:
        address, _, port = self.host.rpartition(":")
        received = bytearray()
        try:
            with socket.create_connection((address, int(port)), START_S) as sock:
                sock.sendall(f"GET {path} HTTP/1.1\r\nhost: {self.host}\r\n\r\n".encode())
                while data := sock.recv(1 << 20):
                    received += data
                    head, mark, body = received.partition(b"\r\n\r\n")
                    if mark and len(body) >= int(
                        head.rpartition(b"content-length: ")[2].split()[0]
                    ):
                        return bytes(body)
        except OSError as error:
            raise CannotMeasure(f"the paced server failed ({error})", "try again") from None
        raise CannotMeasure("the paced server hung up", "try again")


@contextmanager
def paced_server(
    script: PacedScript, *, core: int | None = None, keep_stamps: bool = True
) -> Iterator[RunningPacedServer]:
    """Serve ``script`` on loopback in a process of its own, pinned to ``core`` if it is given.

    Raises `CannotMeasure` if it does not start.
    """
    if not CAN_PASS_SOCKETS:
        raise CannotMeasure("the paced server does not run on Windows", "use Linux or macOS")
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        host = "{}:{}".format(*listener.getsockname())
        settings = {"listener": listener.fileno(), "core": core, "keep_stamps": keep_stamps}
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(settings), script.as_json()],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    try:
        running = RunningPacedServer(host, process.pid)
        running.state()
        yield running
    finally:
        end_child(process)


def _serve(arguments: list[str]) -> None:
    settings = json.loads(arguments[0])
    stay_on(settings["core"])
    listener = socket.socket(fileno=settings["listener"])
    server = PacedServer(script_from(arguments[1]), listener, keep_stamps=settings["keep_stamps"])
    gc.collect()
    gc.freeze()
    gc.disable()
    server.run(until_closed=0)


if __name__ == "__main__":
    _serve(sys.argv[1:])
