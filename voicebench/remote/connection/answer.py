"""The answer to one HTTP request: its head, and its body piece by piece as it arrives."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import httpcore
import httpx

from voicebench.events import ServerTiming
from voicebench.remote.connection.access import Access, shown
from voicebench.remote.connection.connection import Connection
from voicebench.remote.connection.peer import Peer
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.failure import RemoteError, message_in
from voicebench.remote.formats.server_timing import server_duration_ms

MAX_BODY_BYTES = 128 << 20
"""Bytes of one answer; more is an endless stream."""
MAX_ERROR_BYTES = 64 << 10
MAX_REST_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a body as one read returned them; pieces of one ``arrival`` came together."""

    data: bytes
    arrival: int
    read_ns: int
    """When they were read, on the recorder's clock."""


class Answer:
    """The answer of ``peer`` to one request, sent at ``sent_ns`` on the recorder's clock."""

    def __init__(
        self, response: httpcore.Response, peer: Peer, budget: WaitBudget, sent_ns: int
    ) -> None:
        self.peer = peer
        self.status = response.status
        self.headers: Mapping[str, str] = header_fields(response)
        """By their names in lower case."""
        self.http_version: str = response.extensions["http_version"].decode("ascii", "replace")
        self.content_complete = False
        """Set this where the content ended before the body: its end is read outside the turn."""
        self._response = response
        self._budget = budget
        self._body: Iterator[Piece] = self._read()
        self._sent_ns = sent_ns
        self._connection = cast(Connection, response.extensions["network_stream"])
        self._head_ms = self.elapsed_ms()
        self.connected = self._connection.begin_use()
        """The event that describes the connection."""

    @property
    def content_type(self) -> tuple[str, dict[str, str]]:
        """The media type in lower case, or empty, and its parameters."""
        return media_type_in(self.headers.get("content-type", ""))

    def server_timing(self) -> Iterator[ServerTiming]:
        """Yield the duration that the server reports in the head, beside ours until the head.

        Both values were fixed when the head arrived; call this after the time-critical part.
        """
        duration_ms = server_duration_ms(self.headers)
        if duration_ms is not None:
            yield ServerTiming(duration_ms, self._head_ms, self.peer.stage)

    @property
    def read_ns(self) -> int:
        """When its latest bytes were read, on the recorder's clock."""
        return self._connection.read_ns

    def elapsed_ms(self) -> float:
        """Return our time from the request to the latest bytes, in ms."""
        return (self.read_ns - self._sent_ns) / 1e6

    def require_success(self) -> None:
        """Raise `RemoteError` unless the status is 2xx, and quote the server.

        206 (partial content) is a failure: no request asks for a part.
        """
        if self.status == 206:
            raise self.peer.failure("answers 206: a part of the content, which was not asked for")
        if 200 <= self.status < 300:
            coding = self.headers.get("content-encoding", "identity").strip()
            if coding.lower() not in ("", "identity"):
                raise self.peer.failure(
                    f"answers in content encoding {self.peer.quote(coding)}, which was not asked "
                    "for"
                )
            return
        if 300 <= self.status < 400:
            where = shown(self.headers.get("location", "nowhere"))
            raise self.peer.failure(
                f"redirects to {where}", "use that URL, or allow redirects", fault="refused"
            )
        words = self.peer.quote(message_in(self.beginning()))
        raise self.peer.failure(
            f"answers {self.status}" + (f": {words}" if words else ""),
            _status_remedy(self.status, self.peer.access),
            fault="engine" if self.status == 500 else "refused",
        )

    def pieces(self) -> Iterator[Piece]:
        """Return an iterator over the body, each piece the moment it is read.

        A second call continues where the first was left. Raises `RemoteError`.
        """
        return self._body

    def peek(self, count: int) -> bytes:
        """Return the next ``count`` bytes, fewer where the body ends before.

        `pieces`, called afterwards, returns them too. Raises `RemoteError`.
        """
        held: list[Piece] = []
        size = 0
        while size < count and (piece := next(self._body, None)) is not None:
            held.append(piece)
            size += len(piece.data)
        self._body = itertools.chain(held, self._body)
        return b"".join(piece.data for piece in held)[:count]

    def whole(self, limit: int) -> bytes:
        """Return the whole body. Raises `RemoteError`, also where it is longer than ``limit``."""
        body = bytearray()
        for piece in self.pieces():
            body += piece.data
            if len(body) > limit:
                raise self.peer.failure(f"sends more than {limit} bytes, which is too much here")
        return bytes(body)

    def beginning(self) -> str:
        """Return the beginning of the body as text, also where the body breaks off."""
        return self._rest(MAX_ERROR_BYTES).decode("utf-8", "replace")

    def quoted_beginning(self) -> str:
        """Return `beginning` as an error may show it."""
        return self.peer.quote(message_in(self.beginning())) or "(nothing)"

    def end_within(self, seconds: float) -> None:
        """Wait for the rest of the body for ``seconds`` from now at most."""
        self._budget.end_within(seconds)

    def close(self) -> None:
        """Hang up, unless the body was read to its end."""
        self._response.close()

    def settle(self, seconds: float) -> bytes:
        """Read a body whose content is complete to its end, so that the connection can be reused.

        Returns the first `MAX_REST_BYTES` of what is left. Hangs up where the end does not come
        within ``seconds``.
        """
        self.end_within(seconds)
        rest = self._rest(MAX_REST_BYTES, to_the_end=True)
        self._response.close()
        return rest

    def _rest(self, limit: int, *, to_the_end: bool = False) -> bytes:
        """Return the first ``limit`` bytes that are left, also where the body breaks off."""
        rest = bytearray()
        with contextlib.suppress(RemoteError):
            for piece in self.pieces():
                rest += piece.data[: limit - len(rest)]
                if len(rest) == limit and not to_the_end:
                    break
        return bytes(rest)

    def _read(self) -> Iterator[Piece]:
        size = 0
        stream = iter(self._response.iter_stream())
        while True:
            with http_errors_of(self.peer):
                data = next(stream, None)
            if data is None:
                self._response.close()
                return
            if not data:
                continue
            self._budget.answer_began()
            size += len(data)
            if size > MAX_BODY_BYTES:
                raise self.peer.failure(f"sends without end: {size} bytes in one answer")
            yield Piece(data, self._connection.arrivals, self._connection.read_ns)


@contextmanager
def http_errors_of(peer: Peer) -> Iterator[None]:
    """Turn what the HTTP libraries raise into a `RemoteError` about ``peer``."""
    try:
        yield
    except (httpcore.NetworkError, httpcore.TimeoutException) as error:
        raise peer.failure(f"closed the connection early ({error})") from None
    except httpcore.ProxyError as error:
        raise RemoteError(
            f"the proxy refused {peer.shown_url} ({peer.quote(str(error))})",
            fault="refused",
            stage="connect",
        ) from None
    except (httpcore.ProtocolError, httpx.InvalidURL) as error:
        raise peer.failure(f"violated the rules of HTTP ({peer.quote(str(error))})") from None


def header_fields(response: httpcore.Response) -> dict[str, str]:
    """Return the head's fields by their names in lower case; repeated ones are joined."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def media_type_in(content_type: str) -> tuple[str, dict[str, str]]:
    """Return the media type in lower case, or empty, and its parameters."""
    kind, *rest = content_type.split(";")
    pairs = [parameter.partition("=") for parameter in rest]
    parameters = {name.strip().lower(): value.strip(' "') for name, _, value in pairs}
    return kind.strip().lower(), parameters


def _status_remedy(status: int, access: Access) -> str:
    if status in (401, 403):
        if access.key is None:
            return "name the environment variable that holds the server's key: --key-env VARIABLE"
        return f"check the key in environment variable {access.key.variable}"
    if status in (404, 405):
        return "check the URL's path and the model's name"
    return ""
