"""The heads of WebSocket frames, read beside the protocol: has a message begun that is not whole?

(Format: RFC 6455, section 5.2.) The `websockets` package hands a frame out when all of it is there.
A message of some size comes in several reads, and its first byte is in hand long before that.
`FrameHeads` takes the same bytes as the protocol and follows the frames by their lengths. What is
wrong in them is the protocol's to say.
"""

from __future__ import annotations

from typing import Literal

MessageKind = Literal["text", "binary"]

_KINDS: dict[int, MessageKind] = {1: "text", 2: "binary"}
_FIRST_CONTROL = 8
_FINAL, _OPCODE, _LENGTH = 0x80, 0x0F, 0x7F
_LONGER = {126: 2, 127: 8}


class FrameHeads:
    """Follows the unmasked frames that a server sends."""

    def __init__(self) -> None:
        self.begun: MessageKind | None = None
        """The kind of the message of which a byte is in hand, and not all of it; else None."""
        self._kind: MessageKind | None = None
        self._head = bytearray()
        self._left = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        at = 0
        while at < len(data):
            if self._left:
                taken = min(self._left, len(data) - at)
                self._take_content(taken)
            else:
                taken = min(self._missing(), len(data) - at)
                self._take_head(data[at : at + taken])
            at += taken

    def _missing(self) -> int:
        """Return how many bytes the head lacks, as far as is known by now."""
        if len(self._head) < 2:
            return 2 - len(self._head)
        return 2 + _LONGER.get(self._head[1] & _LENGTH, 0) - len(self._head)

    def _take_head(self, part: bytes) -> None:
        self._head += part
        if self._missing():
            return
        length = self._head[1] & _LENGTH
        self._left = int.from_bytes(self._head[2:]) if length in _LONGER else length
        self._kind = _KINDS.get(self._head[0] & _OPCODE, self._kind)
        if not self._left:
            self._end_frame()

    def _take_content(self, count: int) -> None:
        if self._of_a_message():
            self.begun = self._kind
        self._left -= count
        if not self._left:
            self._end_frame()

    def _end_frame(self) -> None:
        if self._of_a_message() and self._head[0] & _FINAL:
            self.begun = None
        self._head.clear()

    def _of_a_message(self) -> bool:
        return self._head[0] & _OPCODE < _FIRST_CONTROL
