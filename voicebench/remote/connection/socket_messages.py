"""Messages of a WebSocket: the bytes that a server sends go in, whole messages come out. No I/O.

The `websockets` package speaks the protocol (RFC 6455); what it wants to send (pongs, the answer to
a close frame) stands in ``protocol.data_to_send()``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from voicebench.remote.connection.frame_heads import FrameHeads, MessageKind, message_in
from voicebench.remote.connection.peer import Peer
from voicebench.remote.failure import RemoteError

MOST_ALONE_BYTES = 1 << 16
"""A larger message is left to the protocol, which has a limit."""
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message; messages of one ``arrival`` came together."""

    data: str | bytes
    arrival: int
    read_ns: int | None = None
    """When its last bytes were read, on the recorder's clock."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """A message of which some bytes have come, but not all."""

    kind: MessageKind
    read_ns: int | None = None
    """When they were read."""


class SocketMessages:
    """The messages of one connection after its handshake.

    ``first_frames`` are the bytes that came with the end of the handshake; ``protocol`` has taken
    them already.
    """

    def __init__(self, protocol: ClientProtocol, peer: Peer, first_frames: bytes) -> None:
        self.protocol = protocol
        self._peer = peer
        self._parts: list[bytes] = []
        self._is_text = False
        self._alone: tuple[MessageKind, bytes] | None = None
        """A message that came alone in a read; the protocol was not asked."""
        self._is_taken = True
        """Whether all messages so far were asked for by `whole`."""
        self._heads = FrameHeads()
        self._heads.feed(first_frames)

    @property
    def begun(self) -> MessageKind | None:
        """The kind of the message of which some bytes have come, but not all; else None."""
        return self._heads.begun

    @property
    def is_open(self) -> bool:
        """Whether neither end has closed it, and the server has kept the rules so far."""
        return self.protocol.state is State.OPEN

    def feed(self, data: bytes | None) -> None:
        """Take what was read: nothing for None, the end for no bytes."""
        if data and self._is_alone(data):
            return
        self._is_taken = False
        feed(self.protocol, data)
        self._heads.feed(data or b"")

    def _is_alone(self, data: bytes) -> bool:
        """Take a message that came alone, in one frame and one read, as nearly all sound does.

        That costs a tenth of what the protocol needs for it.
        """
        found = message_in(data) if len(data) <= MOST_ALONE_BYTES else None
        if (
            found is None
            or not self._is_taken
            or self._parts
            or not self._heads.is_between_frames
            or not self.is_open
        ):
            return False
        kind, begin = found
        self._alone = kind, data[begin:]
        self._is_taken = False
        return True

    def whole(self) -> Iterator[str | bytes]:
        """Yield the messages that are whole by now. Raises `RemoteError` for broken text."""
        self._is_taken = True
        if self._alone is not None:
            (kind, content), self._alone = self._alone, None
            self._is_text = kind == "text"
            self._parts.append(content)
            yield self._joined()
        for event in self.protocol.events_received():
            if isinstance(event, Frame) and event.opcode in _DATA:
                if event.opcode is not Opcode.CONT:
                    self._is_text = event.opcode is Opcode.TEXT
                self._parts.append(bytes(event.data))
                if event.fin:
                    yield self._joined()

    def _joined(self) -> str | bytes:
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        try:
            return data.decode("utf-8") if self._is_text else data
        except UnicodeDecodeError as error:
            raise self._peer.failure(
                f"sends text that is not UTF-8: {error.reason} in {data[-60:]!r}"
            ) from None

    def closed_error(self) -> RemoteError:
        """Return the error that says how the connection ended."""
        protocol, peer = self.protocol, self._peer
        if protocol.parser_exc is not None and not isinstance(protocol.parser_exc, EOFError):
            broken = peer.quote(str(protocol.parser_exc))
            return peer.failure(f"violated the rules of WebSocket ({broken})")
        if protocol.close_rcvd is None:
            return peer.failure("closed the connection early")
        code, reason = protocol.close_rcvd.code, peer.quote(protocol.close_rcvd.reason)
        return peer.failure(
            f"hung up in mid-turn, with code {int(code)}" + (f": {reason}" if reason else "")
        )


def feed(protocol: ClientProtocol, data: bytes | None) -> None:
    """Give the protocol what was read: nothing for None, the end for no bytes."""
    if data:
        protocol.receive_data(data)
    elif data is not None:
        protocol.receive_eof()
