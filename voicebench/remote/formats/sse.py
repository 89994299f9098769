"""Server-sent events, read as the bytes arrive.

The format (WHATWG, HTML standard, "Server-sent events"): lines of ``field: value`` in UTF-8, ended
by LF, CR or CRLF. A blank line ends the event. Lines that begin with a colon are comments. Several
``data`` lines are one text with line feeds between. An event is returned with the line end that
completes it. Beyond the standard, two things are kept, because servers report failures in them: an
event without data whose name is that of a failure, and what the end of the stream leaves incomplete
(`EventStream.last`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from voicebench.remote.failure import RemoteError
from voicebench.remote.formats.reported_failure import names_failure

MAX_STRAY_BYTES = 1 << 10
"""Bytes that are kept of lines outside all events."""
MAX_EVENT_BYTES = 4 << 20
"""Bytes of one line, and of one event's data: a second of speech in base64 takes 130,000."""
_FIELDS = ("data", "event", "id", "retry", "")
_CR = 0x0D
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event; ``name`` is empty where the server gave none."""

    name: str
    data: str


class EventStream:
    """Takes bytes and returns events. Raises `RemoteError` for bytes that are no such stream."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._after_cr = False
        self._at_start = True
        self._name = ""
        self._data: list[str] = []
        self._data_size = 0
        self._stray = ""

    @property
    def stray(self) -> str:
        """The text outside all events: a page or a JSON document labelled as an event stream."""
        rest = bytes(self._line[:MAX_STRAY_BYTES]).decode("utf-8", "replace")
        is_field = rest.partition(":")[0] in _FIELDS
        return (self._stray if is_field else self._stray + rest).strip()

    def feed(self, data: bytes) -> Iterator[ServerSentEvent]:
        """Take the next bytes and yield the events that they complete."""
        position = 0
        if self._after_cr and data:
            # The LF of a CRLF that was cut in two; its CR has ended the line already.
            position = int(data.startswith(b"\n"))
            self._after_cr = False
        while (end := _line_end(data, position)) >= 0:
            self._line += data[position:end]
            event = self._take_line()
            position = end + 1
            if data[end] == _CR:
                self._after_cr = position == len(data)
                position += data.startswith(b"\n", position)
            if event is not None:
                yield event
        self._line += data[position:]
        self._check_size(len(self._line))

    def last(self) -> Iterator[ServerSentEvent]:
        """Yield the event that the end of the stream left without its blank line, if any."""
        if self._line:
            self._take_line()
        event = self._take_line()
        if event is not None:
            yield event

    def _take_line(self) -> ServerSentEvent | None:
        """Read the line, and return the event that it completes, if any."""
        self._check_size(len(self._line))
        raw = bytes(self._line)
        self._line.clear()
        if self._at_start:
            raw = raw.removeprefix(_BOM)
            self._at_start = False
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RemoteError(
                f"the event stream is not UTF-8: {error.reason} in {raw[-60:]!r}",
                "the server may cut a letter in two between its events",
                fault="protocol",
            ) from None
        if not line:
            is_event = self._data or names_failure(self._name)
            event = ServerSentEvent(self._name, "\n".join(self._data)) if is_event else None
            self._name, self._data_size = "", 0
            self._data.clear()
            return event
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data_size += len(value) + 1
            self._check_size(self._data_size)
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name not in _FIELDS and len(self._stray) < MAX_STRAY_BYTES:
            self._stray += f"{line[:MAX_STRAY_BYTES]}\n"
        return None

    def _check_size(self, size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise RemoteError(
                f"the event stream has a line or an event of more than {MAX_EVENT_BYTES} bytes",
                fault="protocol",
            )


def _line_end(data: bytes, position: int) -> int:
    """Return where the first LF or CR is, or -1. (A regular expression takes 300 times as long.)"""
    ends = [end for end in (data.find(b"\n", position), data.find(b"\r", position)) if end >= 0]
    return min(ends, default=-1)
