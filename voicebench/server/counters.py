"""The server's counters, in Prometheus' text form at ``/metrics``.

ServerCounters change when a turn is over, so counting delays no turn.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from voicebench.server.admission import Figures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0)


class ServerCounters:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._turns = Counter(
            "voicebench_turns",
            "Turns that were let in, by how they ended: finished, failed, cancelled.",
            ["route", "outcome"],
            registry=self._registry,
        )
        self._requests = Counter(
            "voicebench_requests",
            "Answers, by route and status.",
            ["route", "status"],
            registry=self._registry,
        )
        self._tokens = Counter("voicebench_tokens", "Tokens written.", registry=self._registry)
        self._read = Counter(
            "voicebench_prompt_tokens",
            "Tokens of prompts, with all messages before them.",
            registry=self._registry,
        )
        self._cached = Counter(
            "voicebench_cached_tokens",
            "Tokens of prompts that were not computed again.",
            registry=self._registry,
        )
        self._audio = Counter(
            "voicebench_audio_seconds", "Seconds of audio made.", registry=self._registry
        )
        self._queue = self._histogram("queue", "Waiting until a turn was let in.")
        self._first_token = self._histogram("first_token", "Request arrived to the first token.")
        self._first_audio = self._histogram("first_audio", "Request arrived to the first samples.")
        self._turn = self._histogram("turn", "Request arrived to the end of the turn.")

    def watch(self, running: Callable[[], float], waiting: Callable[[], float]) -> None:
        """Show how many turns run and wait; both are read when ``/metrics`` is."""
        for name, text, count in (
            ("running", "Turns that run now.", running),
            ("waiting", "Turns that wait now.", waiting),
        ):
            gauge = Gauge(f"voicebench_turns_{name}", text, registry=self._registry)
            gauge.set_function(count)

    def note_answer(self, route: str, status: int) -> None:
        """Count an answer."""
        self._requests.labels(route, str(status)).inc()

    def note_turn(self, figures: Figures, duration_ms: float) -> None:
        """Count a finished turn."""
        route = figures.route
        self._turns.labels(route, figures.outcome).inc()
        self._tokens.inc(figures.tokens)
        self._read.inc(figures.prompt_tokens)
        self._cached.inc(figures.cached_tokens)
        self._audio.inc(figures.audio_s)
        for histogram, span_ms in (
            (self._queue, figures.queue_ms),
            (self._first_token, figures.first_token_ms),
            (self._first_audio, figures.first_audio_ms),
            (self._turn, duration_ms),
        ):
            if span_ms is not None:
                histogram.labels(route).observe(span_ms / 1000)

    def text(self) -> bytes:
        """Return everything in Prometheus' text form."""
        return generate_latest(self._registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(
            f"voicebench_{name}_seconds",
            text,
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
