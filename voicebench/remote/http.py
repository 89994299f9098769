"""HTTP as a measurement needs it: connected beforehand, read as it arrives, bounded in all ways.

An `HttpService` is one place to send requests to. `HttpService.exchange` sends one and gives an
`Answer` as soon as its head is in hand; `Answer.pieces` then yields the body, each piece the moment
it is read. httpx and httpcore speak the protocol (1.1 and 2); the connections below them are ours
(`dialling`), so that opening them can be done and timed before the turn.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpcore
import httpx

from voicebench.events import Stage
from voicebench.remote.access import Access, address_of, shown
from voicebench.remote.answer import Answer
from voicebench.remote.failure import RemoteError, quote
from voicebench.remote.lines import Lines, OwnTransport
from voicebench.remote.timeouts import Allowance, Patience

MAX_REDIRECTS = 5
SETTLE_S = 0.25
"""How long the end of an answer whose content is complete may take; then the connection goes."""
SETTLE_IN_TURN_S = 0.02
"""The same, where a turn waits for it."""


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


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
