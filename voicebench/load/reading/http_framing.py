"""Framing of HTTP/1.1 answers in the reader's loop: the head, the pieces of the body, the end.

Only as much as tells where the body's bytes are and when it ends (RFC 9112, sections 6 and 7). The
head is read again, by the parsers of the synchronous client, when the turn is sealed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

MOST_HEAD_BYTES = 100_000
_HEAD, _SIZE, _DATA, _DATA_END, _TRAILER, _LENGTH, _ENDED = range(7)


class BrokenFraming(Exception):
    """The bytes keep no rule of HTTP."""


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """The head of an answer."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    version: bytes = b"HTTP/1.1"

    def field(self, name: bytes) -> bytes:
        """Return a field by its name in lower case; empty if there is none."""
        return next((value for known, value in self.headers if known.lower() == name), b"")

    @property
    def keeps_open(self) -> bool:
        """Whether the connection can serve another request after the body."""
        said = self.field(b"connection").lower()
        return said != b"close" and (self.version == b"HTTP/1.1" or said == b"keep-alive")


@dataclass(slots=True)
class AnswerFraming:
    """Takes the bytes of one answer and finds its body."""

    head: AnswerHead | None = None
    ends_with_connection: bool = False
    """Whether the body has no length: it ends when the peer hangs up."""
    _state: int = _HEAD
    _held: bytes = field(default=b"")
    _left: float = 0

    @property
    def ended(self) -> bool:
        """Whether the body is whole."""
        return self._state == _ENDED

    def cut_short(self) -> str:
        """Return how the answer is cut if the peer hangs up now."""
        if self._state == _HEAD:
            return "Server disconnected without sending a response."
        if self._state == _LENGTH:
            length = int(self.head.field(b"content-length")) if self.head else 0
            how = f"received {length - int(self._left)} bytes, expected {length}"
        else:
            how = "incomplete chunked read"
        return f"peer closed connection without sending complete message body ({how})"

    def feed(self, data: bytes) -> tuple[bytes, list[tuple[int, int]]]:
        """Take the next bytes; return bytes and the spans of the body in them.

        These bytes are ``data``, or ``data`` with what was held back of an unfinished line before
        it. Raises `BrokenFraming`.
        """
        if self._held:
            data, self._held = self._held + data, b""
        spans: list[tuple[int, int]] = []
        at, size = 0, len(data)
        while at < size and self._state != _ENDED:
            if self._state in (_DATA, _LENGTH):
                end = size if self._left >= size - at else at + int(self._left)
                spans.append((at, end))
                self._left -= end - at
                at = end
                if not self._left:
                    self._state = _DATA_END if self._state == _DATA else _ENDED
                continue
            mark = b"\r\n\r\n" if self._state == _HEAD else b"\r\n"
            end = data.find(mark, at)
            if end < 0:
                if size - at > MOST_HEAD_BYTES:
                    raise BrokenFraming("a head or a line without end")
                self._held = data[at:]
                break
            line = data[at:end]
            at = end + len(mark)
            self._take_line(line)
        if self._state == _ENDED and at < size:
            raise BrokenFraming("bytes after the end of the answer")
        return data, spans

    def _take_line(self, line: bytes) -> None:
        match self._state:
            case 0:  # _HEAD
                self._take_head(line)
            case 1:  # _SIZE
                try:
                    self._left = int(line.partition(b";")[0], 16)
                except ValueError:
                    raise BrokenFraming("a chunk without a size") from None
                self._state = _DATA if self._left else _TRAILER
            case 3:  # _DATA_END
                if line:
                    raise BrokenFraming("a chunk that is longer than its size")
                self._state = _SIZE
            case _:
                if not line:
                    self._state = _ENDED

    def _take_head(self, text: bytes) -> None:
        first, *lines = text.split(b"\r\n")
        version, _, rest = first.partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise BrokenFraming("no head of HTTP/1.1")
        status = int(rest[:3])
        if status < 200:
            return  # an interim answer; another head follows
        pairs = [line.partition(b":") for line in lines]
        fields = tuple((name.strip(), value.strip()) for name, _, value in pairs)
        self.head = head = AnswerHead(status, fields, version)
        length = head.field(b"content-length")
        if head.field(b"transfer-encoding").lower().endswith(b"chunked"):
            self._state = _SIZE
        elif length.isdigit():
            self._left = int(length)
            self._state = _LENGTH if self._left else _ENDED
        elif status in (204, 304):
            self._state = _ENDED
        else:
            self._left, self._state = math.inf, _LENGTH
            self.ends_with_connection = True
