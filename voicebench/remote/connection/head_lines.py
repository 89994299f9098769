"""The head of an HTTP/1.1 answer, with its transfer coding said once.

A framework adds ``Transfer-Encoding: chunked`` to an answer that has it already from the program
behind it; Werkzeug, which Flask's servers run on, is one. The body is chunked once all the same,
and browsers, curl and Python's own client read it. h11 refuses such a head. So the second of two
equal lines is taken out, and nothing else: two lines that differ are h11's to refuse.
"""

from __future__ import annotations

_NAME = b"transfer-encoding:"
_CHUNKED = b"chunked"
_STATUS = b"HTTP/"
_LONGEST = 64
"""Bytes of a line that may be the repeated one."""


class HeadLines:
    """Takes the bytes of answers as they are read, and gives them back to be parsed."""

    def __init__(self) -> None:
        self._in_head = False
        self._begin()

    def expect(self) -> None:
        """Say that a request was sent: the next bytes begin a head."""
        if not self._in_head:
            self._in_head = True
            self._begin()

    def feed(self, data: bytes) -> bytes:
        """Return ``data`` less a repeated line; no bytes where all of them may be one."""
        if not self._in_head:
            return data
        passed = []
        while self._in_head and data:
            end = data.find(b"\n") + 1
            piece, data = (data[:end], data[end:]) if end else (data, b"")
            self._line += piece
            if self._is_status and not _agree(self._line, _STATUS):
                self._in_head = False  # HTTP/2, or nothing that is known here.
                passed.append(self._pass_on())
            else:
                passed.append(self._whole_line() if end else self._part_of_line())
        return b"".join([*passed, data])

    def _begin(self) -> None:
        self._is_status = True
        self._is_final = True
        self._is_coded = False
        self._line = b""
        self._passed = 0

    def _part_of_line(self) -> bytes:
        if self._is_coded and len(self._line) <= _LONGEST and _agree(self._line.lower(), _NAME):
            return b""
        return self._pass_on()

    def _whole_line(self) -> bytes:
        line = self._line.strip().lower()
        is_coding = line.startswith(_NAME) and line.removeprefix(_NAME).strip() == _CHUNKED
        passed = b"" if is_coding and self._is_coded else self._pass_on()
        self._is_coded |= is_coding
        if self._is_status:
            # After a head of 1xx comes another one.
            self._is_final = not line.partition(b" ")[2].startswith(b"1")
            self._is_status = False
        self._line, self._passed = b"", 0
        if not line:
            self._in_head = not self._is_final
            self._begin()
        return passed

    def _pass_on(self) -> bytes:
        fresh, self._passed = self._line[self._passed :], len(self._line)
        return fresh


def _agree(line: bytes, beginning: bytes) -> bool:
    """Tell whether ``line``, as far as it is known, may begin so."""
    return line[: len(beginning)] == beginning[: len(line)]
