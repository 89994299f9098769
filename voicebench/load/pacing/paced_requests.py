"""Requests to a paced server: read from the bytes of one connection, HTTP/1.1 or WebSocket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebench.events import TurnStarted
from voicebench.load.pacing.paced_messages import answer
from voicebench.turn import wire

if TYPE_CHECKING:
    from websockets.server import ServerProtocol

VOICE_PATH = "/v1/voice"
STAMPS_PATH = "/paced/stamps"
STATE_PATH = "/paced/state"
MOST_REQUEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PacedRequest:
    """A request: its path, and its body as JSON (or the turn of the voice socket)."""

    path: str
    body: object = None
    turn: int | None = None


class BrokenRequest(Exception):
    """The peer sent something that is not a request; ``reply`` says so."""

    def __init__(self, reply: bytes = b"") -> None:
        super().__init__()
        self.reply = reply


class RequestReader:
    """Reads the requests of one connection. ``to_send`` collects handshakes and pongs."""

    def __init__(self) -> None:
        self.to_send = b""
        self._read = bytearray()
        self._socket: ServerProtocol | None = None

    def feed(self, data: bytes) -> Iterator[PacedRequest]:
        """Yield the requests that are whole by now. Raises `BrokenRequest`."""
        if self._socket is not None:
            yield from self._messages(data)
            return
        self._read += data
        if len(self._read) > MOST_REQUEST_BYTES:
            raise BrokenRequest(answer(400, {"error": {"message": "the request is too long"}}))
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            first, *lines = self._read[:end].decode("latin-1").split("\r\n")
            fields = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines)
            }
            if fields.get("upgrade", "").lower() == "websocket":
                received, self._read = bytes(self._read), bytearray()
                self._socket = _accepting()
                yield from self._messages(received)
                return
            size = int(fields.get("content-length") or 0)
            whole = end + 4 + size
            if len(self._read) < whole:
                return
            body = bytes(self._read[end + 4 : whole])
            del self._read[:whole]
            path = first.split(" ")[1].partition("?")[0]
            yield PacedRequest(path, _json(body))

    def _messages(self, data: bytes) -> Iterator[PacedRequest]:
        from websockets.frames import Frame, Opcode
        from websockets.http11 import Request

        socket = self._socket
        assert socket is not None
        socket.receive_data(data)
        for event in socket.events_received():
            if isinstance(event, Request):
                known = event.path.partition("?")[0] == VOICE_PATH
                socket.send_response(
                    socket.accept(event) if known else socket.reject(404, "no such path")
                )
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                try:
                    started, turn = wire.decode_of_turn(bytes(event.data).decode())
                except (wire.WireError, UnicodeDecodeError):
                    raise BrokenRequest from None
                if isinstance(started, TurnStarted):
                    yield PacedRequest(VOICE_PATH, started.prompt, turn or 0)
        self.to_send += b"".join(socket.data_to_send())


def _accepting() -> ServerProtocol:
    from websockets.server import ServerProtocol
    from websockets.typing import Subprotocol

    return ServerProtocol(subprotocols=[Subprotocol(wire.SUBPROTOCOL)])


def _json(body: bytes) -> object:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        raise BrokenRequest(answer(400, {"error": {"message": "not JSON"}})) from None
