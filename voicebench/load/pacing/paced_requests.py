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
REALTIME_PATH = "/v1/realtime"
STAMPS_PATH = "/paced/stamps"
STATE_PATH = "/paced/state"
MOST_REQUEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PacedRequest:
    """A request: its path, and its body as JSON (or the turn of a WebSocket)."""

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
        self._path = ""
        self._turns = 0

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
                self._path = first.split(" ")[1].partition("?")[0]
                self._socket = _accepting(self._path)
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
                known = self._path in (VOICE_PATH, REALTIME_PATH)
                socket.send_response(
                    socket.accept(event) if known else socket.reject(404, "no such path")
                )
                if self._path == REALTIME_PATH:
                    socket.send_text(_session("created"))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                take = self._voice if self._path == VOICE_PATH else self._realtime
                yield from take(bytes(event.data))
        self.to_send += b"".join(socket.data_to_send())

    def _voice(self, message: bytes) -> Iterator[PacedRequest]:
        try:
            started, turn = wire.decode_of_turn(message.decode())
        except (wire.WireError, UnicodeDecodeError):
            raise BrokenRequest from None
        if isinstance(started, TurnStarted):
            yield PacedRequest(VOICE_PATH, started.prompt, turn or 0)

    def _realtime(self, message: bytes) -> Iterator[PacedRequest]:
        assert self._socket is not None
        match _json(message):
            case {"type": "session.update"}:
                self._socket.send_text(_session("updated"))
            case {"type": "response.create"}:
                self._turns += 1
                yield PacedRequest(REALTIME_PATH, turn=self._turns)


def _accepting(path: str) -> ServerProtocol:
    from websockets.server import ServerProtocol
    from websockets.typing import Subprotocol

    speaks_ours = path != REALTIME_PATH
    return ServerProtocol(subprotocols=[Subprotocol(wire.SUBPROTOCOL)] if speaks_ours else None)


def _session(what: str) -> bytes:
    said = {"type": f"session.{what}", "session": {"type": "realtime", "model": "paced"}}
    return json.dumps(said).encode()


def _json(body: bytes) -> object:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        raise BrokenRequest(answer(400, {"error": {"message": "not JSON"}})) from None
