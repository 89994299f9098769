"""HTTP as a measurement needs it: connected beforehand, read as it arrives, bounded in all ways.

An `HttpService` is one place to send requests to. `HttpService.exchange` sends one and gives an
`Answer` as soon as its head is in hand; `Answer.pieces` then yields the body, each piece the moment
it is read. httpx and httpcore speak the protocol (1.1 and 2); the connections below them are ours
(`dialling`), so that opening them can be done and timed before the turn.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import httpcore
import httpx

from voicebench.errors import EngineError
from voicebench.events import Connected, ServerTiming, Stage
from voicebench.remote.access import Access, address_of, shown
from voicebench.remote.dialling import Connection
from voicebench.remote.failure import RemoteError, message_in, quote
from voicebench.remote.lines import Lines, OwnTransport
from voicebench.remote.server_timing import server_duration_ms
from voicebench.remote.timeouts import Allowance, Patience

MAX_BODY_BYTES = 128 << 20
"""Bytes of one answer; more is an endless stream."""
MAX_ERROR_BYTES = 64 << 10
MAX_REDIRECTS = 5
SETTLE_S = 0.25
"""How long the end of an answer whose content is complete may take; then the connection goes."""
SETTLE_IN_TURN_S = 0.02
"""The same, where a turn waits for it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a body as one read gave them; pieces of one ``arrival`` came together."""

    data: bytes
    arrival: int


class HttpService:
    """One URL's origin, with its connections. Not for several threads at once.

    ``stage`` is the engine's, for failures. Raises `UsageError` for a URL or a key that cannot be.
    """

    def __init__(self, url: str, access: Access, stage: Stage) -> None:
        self.shown_url = shown(url)
        self.access = access
        self.stage: Stage = stage
        self.secrets = access.secrets()
        self._address = address_of(url, "http", "https")
        self._lines = Lines(self._address, self.shown_url, access)
        self._unsettled: Answer | None = None
        self._client = httpx.Client(
            transport=OwnTransport(self._lines),
            headers={"accept-encoding": "identity"} | access.request_headers(),
            trust_env=False,
        )

    def check(self) -> None:
        """Open a connection, or raise `RemoteError` naming the URL."""
        self._settle(SETTLE_S)
        self._lines.open()

    def prepare(self) -> None:
        """Leave one open connection for the next turn, or none where every turn connects anew."""
        self._settle(SETTLE_S)
        if self.access.cold:
            self._lines.drop()
        else:
            self._lines.open()

    def interrupt(self) -> None:
        """Break off a running exchange from another thread; it fails at once."""
        self._lines.interrupt()

    def close(self) -> None:
        """Close all connections."""
        self._settle(0)
        self._lines.drop()
        self._client.close()

    @contextmanager
    def exchange(
        self,
        method: str,
        url: str,
        *,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Answer]:
        """Send one request to ``url`` and give its answer, once the head of it is in hand.

        Raises `RemoteError`. Leaving the context early hangs up.
        """
        self._settle(SETTLE_IN_TURN_S)
        patience = Patience(
            self.access.timeouts,
            peer=self.shown_url,
            stage=self.stage,
            deadline=self.access.deadline,
        )
        sent_at = time.monotonic()
        allowance = Allowance(patience, self.access.timeouts.between_bytes_s)
        request = self._client.build_request(
            method,
            url,
            json=json,
            content=content,
            headers=headers,
            extensions={
                "timeout": {
                    "connect": self.access.timeouts.connect_s,
                    "read": allowance,
                    "write": allowance,
                    "pool": self.access.timeouts.connect_s,
                }
            },
        )
        with self.told():
            response = self._send(request)
        answer = Answer(response, self, patience, sent_at)
        try:
            yield answer
        finally:
            if answer.content_complete:
                self._unsettled = answer
            else:
                response.close()

    def _settle(self, seconds: float) -> None:
        """Bring the last answer to its end, or hang up."""
        answer, self._unsettled = self._unsettled, None
        if answer is not None:
            answer.settle(seconds)

    def _send(self, request: httpx.Request) -> httpx.Response:
        for _ in range(MAX_REDIRECTS):
            response = self._client.send(request, stream=True, follow_redirects=False)
            if not (self.access.redirects and response.next_request):
                return response
            following = response.next_request
            following.extensions = request.extensions
            response.close()
            if _origin(following.url) != _origin(request.url):
                # The key would go along, and nothing is connected there.
                raise RemoteError(
                    f"{self.shown_url} redirects to another server, {shown(str(following.url))}",
                    "use that URL",
                    fault="refused",
                    stage=self.stage,
                )
            request = following
        raise RemoteError(
            f"{self.shown_url} redirects more than {MAX_REDIRECTS} times",
            fault="protocol",
            stage=self.stage,
        )

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what the HTTP libraries raise into a `RemoteError`."""
        try:
            yield
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise RemoteError(
                f"{self.shown_url} broke the connection off ({error})",
                fault="protocol",
                stage=self.stage,
            ) from None
        except httpcore.ProxyError as error:
            raise RemoteError(
                f"the proxy refused {self.shown_url} ({quote(str(error))})",
                fault="refused",
                stage="connect",
            ) from None
        except (httpcore.ProtocolError, httpx.InvalidURL, httpx.RemoteProtocolError) as error:
            raise RemoteError(
                f"{self.shown_url} broke the rules of HTTP ({quote(str(error), *self.secrets)})",
                fault="protocol",
                stage=self.stage,
            ) from None


class Answer:
    """The answer to one request: its head, and its body as it arrives."""

    def __init__(
        self, response: httpx.Response, service: HttpService, patience: Patience, sent_at: float
    ) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.http_version = response.http_version
        self.content_complete = False
        """Set this where the content ended before the body: its end is read outside the turn."""
        self._response = response
        self._service = service
        self._patience = patience
        self._body = self._read()
        self._sent_at = sent_at
        self._connection = cast(Connection, response.extensions["network_stream"])
        self._connection.uses += 1
        self.connected = Connected(
            self._connection.connect_ms, self._connection.uses > 1, self._connection.number
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
        """Yield the server's duration as the head tells it, beside ours for the same request."""
        duration_ms = server_duration_ms(self.headers)
        if duration_ms is not None:
            yield ServerTiming(duration_ms, self.elapsed_ms())

    def elapsed_ms(self) -> float:
        """Return our time since the request was sent, in ms."""
        return (time.monotonic() - self._sent_at) * 1000

    def require_success(self) -> None:
        """Raise `RemoteError` unless the status is 2xx, with the server's own words."""
        if 200 <= self.status < 300:
            coding = self.headers.get("content-encoding", "identity")
            if coding.strip().lower() not in ("", "identity"):
                raise self.failure(f"answers in content encoding {coding}, which was not asked for")
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
        return RemoteError(
            f"{self._service.shown_url} {what}",
            remedy,
            fault=fault,  # type: ignore[arg-type]
            stage=self._service.stage,
        )

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Give an error about the answer's content the URL and the stage that it lacks."""
        try:
            yield
        except EngineError as error:
            if isinstance(error, RemoteError) and error.stage is not None:
                raise
            raise RemoteError(
                f"{self._service.shown_url}: {self.quote(error.message)}",
                error.remedy,
                fault=error.fault,
                stage=self._service.stage,
            ) from None

    def pieces(self) -> Iterator[Piece]:
        """Return what yields the body, each piece the moment it is read. Raises `RemoteError`.

        Called again, it goes on where it was left.
        """
        return self._body

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

    def settle(self, seconds: float) -> None:
        """Read what is left of a body whose content is complete, so that the connection serves on.

        A server that does not come to its end within ``seconds`` loses the connection instead.
        """
        self._patience.end_within(seconds)
        with contextlib.suppress(RemoteError):
            for _ in self.pieces():
                pass
        self._response.close()

    def _read(self) -> Iterator[Piece]:
        size = 0
        stream = self._response.iter_raw()
        while True:
            with self._service.told():
                data = next(stream, None)
            if data is None:
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
        return quote(text, *self._service.secrets)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _status_remedy(status: int, access: Access) -> str:
    if status in (401, 403):
        if access.key is None:
            return "name the environment variable that holds the server's key"
        return f"check the key in environment variable {access.key.variable}"
    if status in (404, 405):
        return "check the URL's path and the model's name"
    return ""
