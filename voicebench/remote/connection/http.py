"""HTTP as a measurement needs it: connected beforehand, read as it arrives, bounded in all ways.

An `HttpService` is one place to send requests to. `HttpService.exchange` sends one and gives an
`Answer` as soon as its head is in hand; `Answer.pieces` then yields the body, each piece the moment
it is read. httpcore speaks the protocol (1.1 and 2); the connections below it are ours
(`dialling`), so that opening them can be done and timed before the turn. There is no more between
them and a turn: no cookies, no sessions, nothing that one turn could leave to the next but the
connection itself.
"""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

import httpcore
import httpx

from voicebench import __version__
from voicebench.events import Stage
from voicebench.remote.connection.access import Access, address_of, shown
from voicebench.remote.connection.answer import Answer, header_fields
from voicebench.remote.connection.connection_pool import ConnectionPool
from voicebench.remote.connection.timeouts import Allowance, WaitBudget
from voicebench.remote.failure import RemoteError, quote

MAX_REDIRECTS = 5
SETTLE_S = 0.25
"""How long the end of an answer whose content is complete may take; then the connection goes."""
SETTLE_IN_TURN_S = 0.02
"""The same, where a turn waits for it."""
_REDIRECTS = (301, 302, 303, 307, 308)


class HttpService:
    """One URL's origin, with its connections. Not for several threads at once.

    ``stage`` is the engine's, for failures. Raises `UsageError` for a URL or a key that cannot be.
    """

    def __init__(self, url: str, access: Access, stage: Stage) -> None:
        self.access = access
        self.stage: Stage = stage
        self.secrets = access.secrets()
        self.shown_url = self.secrets.hidden_in(shown(url))
        self._address = address_of(url, "http", "https")
        self._lines = ConnectionPool(self._address, self.shown_url, access)
        self._unsettled: Answer | None = None
        self._headers = {
            "accept": "*/*",
            "accept-encoding": "identity",
            "user-agent": f"voicebench/{__version__}",
        } | {name.lower(): value for name, value in access.request_headers().items()}

    def check(self) -> None:
        """Open a connection, or raise `RemoteError` naming the URL."""
        self._settle(SETTLE_S)
        self._lines.check()

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
        patience = WaitBudget(
            self.access.timeouts,
            peer=self.shown_url,
            stage=self.stage,
            deadline=self.access.deadline,
        )
        sent_at = time.monotonic()
        fields = dict(headers or {})
        if json is not None:
            fields["content-type"] = "application/json"
            content = _encoded(json)
        with self.told():
            response = self._send(method, _parsed(url), fields, content, patience)
        answer = Answer(response, self, patience, sent_at)
        try:
            yield answer
        finally:
            if answer.content_complete:
                self._unsettled = answer
            else:
                response.close()

    def failure(self, what: str, remedy: str = "", *, fault: str = "protocol") -> RemoteError:
        """Return the error that ``what`` (a verb and its object) befell an exchange."""
        return RemoteError(
            f"{self.shown_url} {self.secrets.hidden_in(what)}",
            self.secrets.hidden_in(remedy),
            fault=fault,  # type: ignore[arg-type]
            stage=self.stage,
        )

    def rest_of_last(self) -> bytes:
        """Return what came of the last answer after its content was complete."""
        return self._settle(SETTLE_S)

    def _settle(self, seconds: float) -> bytes:
        """Bring the last answer to its end, or hang up; return what was left of it."""
        answer, self._unsettled = self._unsettled, None
        return b"" if answer is None else answer.settle(seconds)

    def _send(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        content: bytes | None,
        patience: WaitBudget,
    ) -> httpcore.Response:
        for _ in range(MAX_REDIRECTS):
            response = self._lines.send(self._request(method, url, headers, content, patience))
            where = header_fields(response).get("location", "")
            if not (self.access.redirects and where and response.status in _REDIRECTS):
                return response
            response.close()
            following = url.join(where)
            if _origin(following) != _origin(url):
                # The key would go along, and nothing is connected there.
                raise self.failure(
                    f"redirects to another server, {shown(str(following))}",
                    "use that URL",
                    fault="refused",
                )
            url = following
            if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                method, headers, content = "GET", {}, None
        raise self.failure(f"redirects more than {MAX_REDIRECTS} times")

    def _request(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        content: bytes | None,
        patience: WaitBudget,
    ) -> httpcore.Request:
        fields = {"host": url.netloc.decode("ascii")} | self._headers | dict(headers)
        if content is not None:
            fields["content-length"] = str(len(content))
        allowance = Allowance(patience, self.access.timeouts.between_bytes_s)
        return httpcore.Request(
            method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=[(name.encode(), value.encode()) for name, value in fields.items()],
            content=content,
            extensions={
                "timeout": {
                    "connect": allowance,
                    "read": allowance,
                    "write": allowance,
                    "pool": self.access.timeouts.connect_s,
                }
            },
        )

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what the HTTP libraries raise into a `RemoteError`."""
        try:
            yield
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise self.failure(f"broke the connection off ({error})") from None
        except httpcore.ProxyError as error:
            raise RemoteError(
                f"the proxy refused {self.shown_url} ({quote(str(error), self.secrets)})",
                fault="refused",
                stage="connect",
            ) from None
        except (httpcore.ProtocolError, httpx.InvalidURL) as error:
            said = quote(str(error), self.secrets)
            raise self.failure(f"broke the rules of HTTP ({said})") from None


def _encoded(content: object) -> bytes:
    return json_format.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


@lru_cache(maxsize=64)
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
