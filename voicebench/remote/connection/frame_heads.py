"""Detects that a WebSocket message has begun, before it is whole.

(Format: RFC 6455, section 5.2.) The `websockets` package returns a frame when all of it has come. A
large message comes in several reads, and its first byte long before the last. `FrameHeads` takes
the same bytes and follows the frames by their lengths. Errors in them are left to the package.
"""

from __future__ import annotations

from typing import Literal

MessageKind = Literal["text", "binary"]

_KINDS: dict[int, MessageKind] = {1: "text", 2: "binary"}
_WHOLE: dict[int, MessageKind] = {0x81: "text", 0x82: "binary"}
"""The first byte of a message in one frame."""
_FIRST_CONTROL = 8
_FINAL, _OPCODE, _LENGTH = 0x80, 0x0F, 0x7F
_LENGTH_BYTES = {126: 2, 127: 8}


def message_in(data: bytes) -> tuple[MessageKind, int] | None:
    """Return the kind of the message that ``data`` is, and where its content begins.

    None if it is not exactly one message in one frame without a flag of an extension.
    """
    if len(data) < 2:
        return None
    kind, length, begin = _WHOLE.get(data[0]), data[1], 2
    if length in _LENGTH_BYTES:
        begin += _LENGTH_BYTES[length]
        length = int.from_bytes(data[2:begin])
    return None if kind is None or begin + length != len(data) else (kind, begin)


class FrameHeads:
    """Follows the unmasked frames that a server sends."""

    def __init__(self) -> None:
        self.begun: MessageKind | None = None
        """The kind of the message of which some bytes have come, but not all; else None."""
        self._kind: MessageKind | None = None
        self._head = bytearray()
        self._left = 0
        """Bytes of the frame's content that are still to come."""

    @property
    def is_between_frames(self) -> bool:
        """Whether every frame that began is whole."""
        return not self._left and not self._head

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        rest = memoryview(data)
        while rest:
            if self._left:
                taken = min(self._left, len(rest))
                if self._in_message():
                    self.begun = self._kind
                self._left -= taken
            else:
                taken = self._missing()
                self._head += rest[:taken]
                if not self._missing():
                    self._end_head()
            rest = rest[taken:]
            if not self._left and not self._missing():
                if self._in_message() and self._head[0] & _FINAL:
                    self.begun = None
                self._head.clear()

    def _missing(self) -> int:
        """Return how many bytes the head lacks, as far as known."""
        if len(self._head) < 2:
            return 2 - len(self._head)
        return 2 + _LENGTH_BYTES.get(self._head[1] & _LENGTH, 0) - len(self._head)

    def _end_head(self) -> None:
        length = self._head[1] & _LENGTH
        self._left = int.from_bytes(self._head[2:]) if length in _LENGTH_BYTES else length
        self._kind = _KINDS.get(self._head[0] & _OPCODE, self._kind)

    def _in_message(self) -> bool:
        return self._head[0] & _OPCODE < _FIRST_CONTROL
