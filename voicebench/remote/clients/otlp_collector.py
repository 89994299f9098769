"""An OpenTelemetry collector behind OTLP over HTTP, which takes traces in JSON.

Specification: opentelemetry-proto, "OpenTelemetry Protocol Specification", OTLP/HTTP. A request
that fails is not sent again: a recorded run can be sent again as a whole.
"""

from __future__ import annotations

from dataclasses import replace

from voicebench.remote.connection.access import Access
from voicebench.remote.connection.http import HttpService
from voicebench.remote.connection.timeouts import Timeouts, TurnDeadline
from voicebench.remote.formats.json_text import count_at, json_object, part, text_at

ROUTE = "/v1/traces"
MAX_ANSWER_BYTES = 1_000_000


class OtlpCollector(HttpService):
    """The collector at ``url``: its base, or its route for traces.

    Each request may take ``timeout_s``. Raises `UsageError` for a URL or a key that cannot be used.
    """

    def __init__(self, url: str, access: Access, timeout_s: float) -> None:
        self._deadline = TurnDeadline(timeout_s)
        limits = Timeouts(timeout_s, timeout_s, timeout_s, timeout_s)
        own = replace(access, timeouts=limits, deadline=self._deadline, cold=False, http2=False)
        super().__init__(url, own, "transport")
        base = url.rstrip("/")
        self._route = base if base.endswith(ROUTE) else base + ROUTE

    def send(self, traces: dict[str, object]) -> None:
        """Send an ``ExportTraceServiceRequest``.

        Raises `RemoteError` unless the collector took all of it.
        """
        self._deadline.start()
        with self.exchange("POST", self._route, json=traces) as answer:
            answer.require_success()
            body = answer.whole(MAX_ANSWER_BYTES)
        if not body.strip():
            return
        refused = part(json_object(body), "partialSuccess")
        count = count_at(refused, "rejectedSpans") or _as_number(text_at(refused, "rejectedSpans"))
        if count:
            words = self.quote(text_at(refused, "errorMessage"))
            raise self.failure(
                f"rejected {count} spans" + (f": {words}" if words else ""), fault="refused"
            )


def _as_number(text: str) -> int:
    """Return a 64-bit integer, which JSON has as text; 0 for what has no value."""
    return int(text) if text.isdecimal() else 0
