"""The server's end of a WebSocket on the loopback interface, message by message or worse."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loopback import Peer, Script
from websockets import Subprotocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol


class SocketPeer:
    """One accepted WebSocket. ``peer`` is the connection below it, to misbehave on."""

    def __init__(self, peer: Peer, subprotocols: Sequence[str] | None = None) -> None:
        self.peer = peer
        self.protocol = ServerProtocol(
            subprotocols=None
            if subprotocols is None
            else [Subprotocol(name) for name in subprotocols],
            max_size=None,
        )
        self.frames: deque[Frame] = deque()
        self.request: Request | None = None
        while self.request is None:
            self._read()
        self.protocol.send_response(self.protocol.accept(self.request))
        self._flush()

    def send(self, *messages: str | bytes | Mapping[str, object]) -> None:
        """Send messages, all in one segment; a dict goes as JSON.

        Raises EOFError where the client has taken its leave, as `close` and `ping` do.
        """
        self._stay_open()
        for message in messages:
            if isinstance(message, bytes):
                self.protocol.send_binary(message)
            else:
                text = message if isinstance(message, str) else json.dumps(message)
                self.protocol.send_text(text.encode())
        self._flush()

    def receive(self) -> str | bytes:
        """Return the next message; raises EOFError where the client is gone."""
        while not self.frames:
            if self.protocol.state is not State.OPEN:
                raise EOFError
            self._read()
        frame = self.frames.popleft()
        return bytes(frame.data).decode() if frame.opcode is Opcode.TEXT else bytes(frame.data)

    def receive_json(self) -> dict[str, Any]:
        return dict(json.loads(self.receive()))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a farewell; the client's is not waited for."""
        self._stay_open()
        self.protocol.send_close(code, reason)
        self._flush()

    def ping(self) -> None:
        self._stay_open()
        self.protocol.send_ping(b"there?")
        self._flush()

    def await_pong(self) -> None:
        """Read until a pong comes; messages wait their turn."""
        while not any(frame.opcode is Opcode.PONG for frame in self.frames):
            self._read()
        self.frames = deque(frame for frame in self.frames if frame.opcode is not Opcode.PONG)

    def _stay_open(self) -> None:
        if self.protocol.state is not State.OPEN:
            raise EOFError

    def _read(self) -> None:
        data = self.peer.socket.recv(65536)
        if not data:
            raise EOFError
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Request):
                self.request = event
            elif isinstance(event, Frame) and event.opcode in (
                Opcode.TEXT,
                Opcode.BINARY,
                Opcode.PONG,
            ):
                self.frames.append(event)
        self._flush()

    def _flush(self) -> None:
        # One write for all, so that messages sent together arrive together.
        data = b"".join(self.protocol.data_to_send())
        if data:
            self.peer.send(data)


def socket_script(
    script: Callable[[SocketPeer], object], subprotocols: Sequence[str] | None = None
) -> Script:
    """Return the script of a server that opens a WebSocket and goes on with ``script``."""
    return lambda peer: script(SocketPeer(peer, subprotocols))
