"""HTTP for measurements: connected beforehand, read as it arrives, with limits on time and size.

An `HttpService` is one place to send requests to. `HttpService.exchange` sends one and returns an
`Answer` as soon as its head has arrived; `Answer.pieces` then yields the body, each piece the
moment it is read. The connections are our own, so that they can be opened, and timed, before the
turn. There are no cookies and no sessions: turns share nothing but the connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache

import httpcore
import httpx

from voicebench import __version__
from voicebench.events import Stage
from voicebench.remote.connection.access import Access, address_of, shown
from voicebench.remote.connection.answer import Answer, header_fields, http_errors_of
from voicebench.remote.connection.connection_pool import ConnectionPool
from voicebench.remote.connection.http1 import RequestHead
from voicebench.remote.connection.peer import Peer
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.formats.json_text import json_bytes

MAX_REDIRECTS = 5
SETTLE_S = 0.25
"""How long to wait for the end of a body whose content is complete, before hanging up."""
SETTLE_IN_TURN_S = 0.02
"""The same, while a turn waits."""
Exchanges = Callable[["HttpRequest"], Answer]
"""Carries out a request in another way: gives the answer that was recorded for it, for example."""
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; ``headers`` are those beside the service's own."""

    method: str
    url: httpx.URL
    headers: Mapping[str, str]
    content: bytes | None


class HttpService(Peer):
    """The server at one URL, with its connections. Not for several threads at once.

    Raises `UsageError` for a URL or a key that cannot be used.
    """

    def __init__(self, url: str, access: Access, stage: Stage) -> None:
        super().__init__(url, access, stage)
        self._pool = ConnectionPool(address_of(url, "http", "https"), self)
        self._unsettled: Answer | None = None
        self._latest_head: tuple[HttpRequest, RequestHead] | None = None
        self.exchanges: Exchanges | None = None
        """Carries out the requests instead of a connection, if it is set."""
        self._headers = {
            "accept": "*/*",
            "accept-encoding": "identity",
            "user-agent": f"voicebench/{__version__}",
        } | {name.lower(): value for name, value in access.request_headers().items()}

    def check(self) -> None:
        """Open a connection, or raise `RemoteError` naming the URL."""
        self._settle(SETTLE_S)
        self._pool.check()

    def prepare(self) -> None:
        """Leave one open connection for the next turn, or none where every turn connects anew."""
        self._settle(SETTLE_S)
        if self.access.cold:
            self._pool.drop()
        else:
            self._pool.open()

    def interrupt(self) -> None:
        """Make a running exchange fail at once; called from another thread."""
        self._pool.interrupt()

    def close(self) -> None:
        """Close all connections."""
        self._settle(0)
        self._pool.drop()

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
        """Send one request to ``url`` and yield its answer, once its head has arrived.

        Leaving the context early hangs up. Raises `RemoteError`.
        """
        self._settle(SETTLE_IN_TURN_S)
        fields = dict(headers or {})
        if json is not None:
            fields["content-type"] = "application/json"
            content = json_bytes(json)
        request = HttpRequest(method, _parsed(url), fields, content)
        answer = self.exchanges(request) if self.exchanges else self._exchange(request)
        try:
            yield answer
        finally:
            if answer.content_complete:
                self._unsettled = answer
            else:
                answer.close()

    def bytes_of(self, request: HttpRequest) -> bytes:
        """Return the request as it is sent over HTTP/1.1."""
        return self._head_of(request).bytes_with(request.content)

    def _exchange(self, request: HttpRequest) -> Answer:
        budget = self.wait_budget()
        sent_ns = time.perf_counter_ns()
        with http_errors_of(self):
            response = self._send(request, budget)
        return Answer(response, self, budget, sent_ns)

    def rest_of_last(self) -> bytes:
        """Return what came of the last answer after its content was complete."""
        return self._settle(SETTLE_S)

    def _settle(self, seconds: float) -> bytes:
        """Read the last answer to its end, or hang up; return what was left of it."""
        answer, self._unsettled = self._unsettled, None
        return b"" if answer is None else answer.settle(seconds)

    def _send(self, request: HttpRequest, budget: WaitBudget) -> httpcore.Response:
        """Send ``request``, follow allowed redirects, and return the last response."""
        for _ in range(MAX_REDIRECTS):
            response = self._pool.send(self._head_of(request), request.url, request.content, budget)
            where = header_fields(response).get("location", "")
            if not (self.access.redirects and where and response.status in _REDIRECTS):
                return response
            response.close()
            url = request.url.join(where)
            if _origin(url) != _origin(request.url):
                # The key would go there too, and no connection to it is open.
                raise self.failure(
                    f"redirects to another server, {shown(str(url))}",
                    "use that URL",
                    fault="refused",
                )
            request = replace(request, url=url)
            if response.status == 303 or (
                response.status in (301, 302) and request.method == "POST"
            ):
                request = HttpRequest("GET", url, {}, None)
        raise self.failure(f"redirects more than {MAX_REDIRECTS} times")

    def _head_of(self, request: HttpRequest) -> RequestHead:
        """Return the head of ``request``; that of the latest one, if they differ in content only.

        An engine sends the same request again and again, with another text.
        """
        if self._latest_head is not None:
            earlier, head = self._latest_head
            # The same URL is the same object (`_parsed`).
            if (earlier.method, earlier.headers) == (request.method, request.headers) and (
                earlier.url is request.url
            ):
                return head
        url = request.url
        fields = {"host": url.netloc.decode("ascii")} | self._headers | dict(request.headers)
        head = RequestHead(
            request.method.encode(),
            url.raw_path,
            tuple((name.encode(), value.encode()) for name, value in fields.items()),
        )
        self._latest_head = request, head
        return head


@lru_cache(maxsize=64)
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
