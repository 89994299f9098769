"""The answer to one HTTP request: its head, and its body piece by piece as it arrives."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import httpcore

from voicebench.errors import EngineError
from voicebench.events import Connected, ServerTiming, Stage
from voicebench.remote.connection.access import Access, shown
from voicebench.remote.connection.dialling import Connection
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.failure import RemoteError, message_in, quote
from voicebench.remote.formats.server_timing import server_duration_ms
from voicebench.secrecy import Secrets

MAX_BODY_BYTES = 128 << 20
"""Bytes of one answer; more is an endless stream."""
MAX_ERROR_BYTES = 64 << 10
MAX_REST_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a body as one read gave them; pieces of one ``arrival`` came together."""

    data: bytes
    arrival: int


class AskedService(Protocol):
    """Who was asked: what an answer has to know of the service that it comes from."""

    shown_url: str
    access: Access
    stage: Stage
    secrets: Secrets

    def failure(self, what: str, remedy: str = "", *, fault: str = "protocol") -> RemoteError:
        """Return the error that ``what`` (a verb and its object) befell the exchange."""
        ...

    def told(self) -> AbstractContextManager[None]:
        """Turn what the HTTP libraries raise into a `RemoteError`."""
        ...


class Answer:
    """The answer to one request: its head, and its body as it arrives."""

    def __init__(
        self,
        response: httpcore.Response,
        service: AskedService,
        patience: WaitBudget,
        sent_at: float,
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = header_fields(response)
        """By their names in lower case."""
        self.http_version: str = response.extensions["http_version"].decode("ascii", "replace")
        self.content_complete = False
        """Set this where the content ended before the body: its end is read outside the turn."""
        self._response = response
        self._service = service
        self._patience = patience
        self._body: Iterator[Piece] = self._read()
        self._sent_at = sent_at
        self._head_ms = self.elapsed_ms()
        self._connection = cast(Connection, response.extensions["network_stream"])
        self._connection.uses += 1
        reused = self._connection.uses > 1
        self.connected = Connected(
            self._connection.connect_ms,
            reused,
            self._connection.number,
            in_turn=self._connection.in_turn and not reused,
        )
        """The connection that served the request."""

    @property
    def content_type(self) -> tuple[str, dict[str, str]]:
        """The media type in lower case, empty where none is given, and its parameters."""
        kind, *rest = self.headers.get("content-type", "").split(";")
        pairs = [parameter.partition("=") for parameter in rest]
        parameters = {name.strip().lower(): value.strip(' "') for name, _, value in pairs}
        return kind.strip().lower(), parameters

    def server_timing(self) -> Iterator[ServerTiming]:
        """Yield the server's duration as the head tells it, beside ours until the head was in hand.

        It may be asked for when nothing hurries any more: both are of the moment of the head.
        """
        duration_ms = server_duration_ms(self.headers)
        if duration_ms is not None:
            yield ServerTiming(duration_ms, self._head_ms, self._service.stage)

    def elapsed_ms(self) -> float:
        """Return our time since the request was sent, in ms."""
        return (time.monotonic() - self._sent_at) * 1000

    def require_success(self) -> None:
        """Raise `RemoteError` unless the status is 2xx, with the server's own words."""
        if 200 <= self.status < 300:
            coding = self.headers.get("content-encoding", "identity").strip()
            if coding.lower() not in ("", "identity"):
                raise self.failure(
                    f"answers in content encoding {self.quote(coding)}, which was not asked for"
                )
            return
        if 300 <= self.status < 400:
            where = shown(self.headers.get("location", "nowhere"))
            raise self.failure(
                f"redirects to {where}", "use that URL, or allow redirects", fault="refused"
            )
        said = self.quote(message_in(self.beginning()))
        raise self.failure(
            f"answers {self.status}" + (f": {said}" if said else ""),
            _status_remedy(self.status, self._service.access),
            fault="engine" if self.status == 500 else "refused",
        )

    def failure(self, what: str, remedy: str = "", *, fault: str = "protocol") -> RemoteError:
        """Return the error that ``what`` (a verb and its object) befell the answer."""
        return self._service.failure(what, remedy, fault=fault)

    @contextmanager
    def adding_context(self) -> Iterator[None]:
        """Give an error about the answer's content the URL and the stage that it lacks."""
        try:
            yield
        except EngineError as error:
            if isinstance(error, RemoteError) and error.stage is not None:
                raise
            raise RemoteError(
                f"{self._service.shown_url}: {self.quote(error.message)}",
                self.quote(error.remedy),
                fault=error.fault,
                stage=self._service.stage,
            ) from None

    def pieces(self) -> Iterator[Piece]:
        """Return what yields the body, each piece the moment it is read. Raises `RemoteError`.

        Called again, it goes on where it was left.
        """
        return self._body

    def peek(self, count: int) -> bytes:
        """Return the first ``count`` bytes that are left, fewer where the body ends before.

        `pieces`, called afterwards, gives them too. Raises `RemoteError`.
        """
        held: list[Piece] = []
        size = 0
        while size < count:
            piece = next(self._body, None)
            if piece is None:
                break
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
                raise self.failure(f"sends more than {limit} bytes where fewer were due")
        return bytes(body)

    def beginning(self) -> str:
        """Return the beginning of a body that is no answer, as text, however it goes on."""
        body = bytearray()
        # What came so far says more than how it ended.
        with contextlib.suppress(RemoteError):
            for piece in self.pieces():
                body += piece.data
                if len(body) > MAX_ERROR_BYTES:
                    break
        return bytes(body[:MAX_ERROR_BYTES]).decode("utf-8", "replace")

    def quoted_beginning(self) -> str:
        """Return `beginning` as an error may show it."""
        return self.quote(message_in(self.beginning())) or "(nothing)"

    def end_within(self, seconds: float) -> None:
        """Wait for the rest of the body for ``seconds`` from now at most."""
        self._patience.end_within(seconds)

    def settle(self, seconds: float) -> bytes:
        """Return the rest of a body whose content is complete, so that the connection serves on.

        Of more than `MAX_REST_BYTES` only the first. A server that does not come to its end within
        ``seconds`` loses the connection instead.
        """
        self.end_within(seconds)
        rest = bytearray()
        with contextlib.suppress(RemoteError):
            for piece in self.pieces():
                rest += piece.data[: MAX_REST_BYTES - len(rest)]
        self._response.close()
        return bytes(rest)

    def _read(self) -> Iterator[Piece]:
        size = 0
        stream = iter(self._response.iter_stream())
        while True:
            with self._service.told():
                data = next(stream, None)
            if data is None:
                self._response.close()
                return
            if not data:
                continue
            self._patience.answer_began()
            size += len(data)
            if size > MAX_BODY_BYTES:
                raise self.failure(f"sends without end: {size} bytes in one answer")
            yield Piece(data, self._connection.arrivals)

    def quote(self, text: str) -> str:
        """Return the server's words as an error may show them."""
        return quote(text, self._service.secrets)


def header_fields(response: httpcore.Response) -> dict[str, str]:
    """Return the head's fields by their names in lower case; what comes twice is joined."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _status_remedy(status: int, access: Access) -> str:
    if status in (401, 403):
        if access.key is None:
            return "name the environment variable that holds the server's key"
        return f"check the key in environment variable {access.key.variable}"
    if status in (404, 405):
        return "check the URL's path and the model's name"
    return ""
