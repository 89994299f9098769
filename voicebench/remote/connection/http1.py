"""HTTP/1.1 on one connection: the request is sent in one piece, and h11 reads the answer.

A turn waits while its request is put together. So its bytes are made beforehand as far as they are
known (`RequestHead`), head and body leave in one write, and only then is h11 told what was sent,
while the server works. h11 (RFC 9112) says which request, and which answer to it, keeps the rules.

**What comes between two answers is no answer to the next request.** A connection on which a server
has sent more than it was asked for serves no further request (`Http1Connection.can_serve`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import h11
import httpcore

from voicebench.remote.connection.connection import Connection
from voicebench.remote.connection.timeouts import BudgetedTimeout

READ_BYTES = 1 << 16
MAX_HEAD_BYTES = 100 << 10
_Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The head of requests that differ in their content only.

    Raises `httpcore.LocalProtocolError` if it breaks the rules of HTTP.
    """

    method: bytes
    target: bytes
    fields: _Fields
    """Without the length of the content."""
    _start: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Check and encode it."""
        self.event(None)
        lines = [b" ".join((self.method, self.target, b"HTTP/1.1"))]
        lines += [b": ".join(pair) for pair in self.fields]
        object.__setattr__(self, "_start", b"\r\n".join([*lines, b""]))

    def all_fields(self, content: bytes | None) -> _Fields:
        """Return the fields of a request with ``content``."""
        if content is None:
            return self.fields
        return (*self.fields, (b"content-length", b"%d" % len(content)))

    def event(self, content: bytes | None) -> h11.Request:
        """Return the head of a request with ``content`` as h11 knows it."""
        try:
            fields = list(self.all_fields(content))
            return h11.Request(method=self.method, target=self.target, headers=fields)
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from None

    def bytes_with(self, content: bytes | None) -> bytes:
        """Return a whole request as it is sent."""
        if content is None:
            return self._start + b"\r\n"
        return b"%bcontent-length: %d\r\n\r\n%b" % (self._start, len(content), content)


class Http1Connection:
    """An open connection for one exchange after the other.

    Raises what httpcore raises, so that errors are the same over HTTP/2 and through a proxy.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)

    @property
    def is_idle(self) -> bool:
        """Whether no exchange is under way."""
        return self._state.states == {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE}

    def can_serve(self) -> bool:
        """Tell whether it is ready for another exchange: open, idle, nothing left to read."""
        return (
            self.is_idle
            and not self._state.trailing_data[0]
            and not self.connection.get_extra_info("is_readable")
        )

    def send(
        self, head: RequestHead, content: bytes | None, timeout: BudgetedTimeout
    ) -> httpcore.Response:
        """Send a request, and return the head of its answer."""
        try:
            try:
                self.connection.write(head.bytes_with(content), timeout)
            except httpcore.WriteError:
                # The server may have answered before it hung up.
                self._state.send(head.event(content))
            else:
                self._note_sent(head, content)
            answer = self._next_event(timeout)
            while not isinstance(answer, h11.Response) and not _switches(answer):
                answer = self._next_event(timeout)
        except BaseException:
            self.connection.close()
            raise
        assert isinstance(answer, h11.Response | h11.InformationalResponse)
        return httpcore.Response(
            answer.status_code,
            headers=answer.headers.raw_items(),
            content=_Body(self, timeout),
            extensions={
                "http_version": b"HTTP/" + answer.http_version,
                "network_stream": self.connection,
            },
        )

    def pieces(self, timeout: BudgetedTimeout) -> Iterator[bytes]:
        """Yield the body of the answer as it comes."""
        while isinstance(event := self._next_event(timeout), h11.Data):
            yield bytes(event.data)

    def end_exchange(self) -> None:
        """Make ready for another exchange; hang up if the answer was not read to its end."""
        state = self._state
        if state.our_state is h11.DONE and state.their_state is h11.DONE:
            state.start_next_cycle()
        else:
            self.connection.close()

    def _note_sent(self, head: RequestHead, content: bytes | None) -> None:
        self._state.send(head.event(content))
        if content:
            self._state.send(h11.Data(data=content))
        self._state.send(h11.EndOfMessage())

    def _next_event(self, timeout: BudgetedTimeout) -> h11.Event | type[h11.PAUSED]:
        state = self._state
        while True:
            try:
                event = state.next_event()
            except h11.RemoteProtocolError as error:
                raise httpcore.RemoteProtocolError(str(error)) from None
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            data = self.connection.read(READ_BYTES, timeout)
            if not data and state.their_state is h11.SEND_RESPONSE:
                raise httpcore.RemoteProtocolError(
                    "Server disconnected without sending a response."
                )
            state.receive_data(data)


class _Body:
    """The body of an answer; closing it ends the exchange."""

    def __init__(self, line: Http1Connection, timeout: BudgetedTimeout) -> None:
        self._line = line
        self._timeout = timeout
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._line.pieces(self._timeout)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._line.end_exchange()


def _switches(event: object) -> bool:
    return isinstance(event, h11.InformationalResponse) and event.status_code == 101
