"""Removes a repeated ``Transfer-Encoding: chunked`` from the heads of HTTP/1.1 responses.

Some frameworks add that line although the program behind them already did; Werkzeug, on which
Flask's servers run, is one. The body is chunked only once, and browsers, curl and Python's client
read it, but h11 refuses such a head. So the repeated line is removed, and nothing else: two lines
that differ are left for h11 to refuse.
"""

from __future__ import annotations

import re

_STATUS = b"HTTP/"
_END = re.compile(rb"\n\r?\n")
_CHUNKED = re.compile(rb"^transfer-encoding:[ \t]*chunked[ \t]*\r?\n", re.IGNORECASE | re.MULTILINE)
_MAX_HEAD_BYTES = 100 << 10
"""The length at which h11 refuses a head."""


class ResponseHeads:
    """Takes the bytes of responses as they are read, and returns them for the parser.

    A head is returned when it is whole: the parser can do nothing with less.
    """

    def __init__(self) -> None:
        self._held: bytes | None = None
        """The bytes of a head that is not whole; None outside a head."""

    def expect(self) -> None:
        """Note that a request is sent: the next bytes begin a head."""
        if self._held is None:
            self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what of ``data`` and the bytes held back can be parsed, maybe nothing."""
        passed = b""
        while self._held is not None:
            searched = max(0, len(self._held) - 2)
            self._held += data
            end = _END.search(self._held, searched)
            is_http1 = self._held[: len(_STATUS)] == _STATUS[: len(self._held)]
            if not is_http1 or (end is None and len(self._held) > _MAX_HEAD_BYTES):
                # HTTP/2, another protocol, or a head that the parser refuses.
                data, self._held = self._held, None
            elif end is None:
                return passed
            else:
                head, data = self._held[: end.end()], self._held[end.end() :]
                passed += _without_repetition(head)
                # An interim response (1xx) is followed by another head.
                self._held = b"" if head.partition(b" ")[2].startswith(b"1") else None
        return passed + data


def _without_repetition(head: bytes) -> bytes:
    first = _CHUNKED.search(head)
    return head if first is None else head[: first.end()] + _CHUNKED.sub(b"", head[first.end() :])
