"""Turns as traces of OpenTelemetry, in the JSON encoding of its protocol (OTLP).

A turn is a trace. Its root span is the whole turn; below it stand a span for the reply of the
language model and one for the speech. Names and attributes of both are those of the *semantic
conventions for generative AI* (open-telemetry/semantic-conventions-genai, "Semantic conventions for
generative client AI spans", status: development, read in November 2026): ``gen_ai.operation.name``,
``gen_ai.request.model``, ``gen_ai.response.time_to_first_chunk`` in seconds, and so on. What they
have no name for begins with ``voicebench.``; durations there are in ms, under the metric's name.

The encoding is that of opentelemetry-proto, "OTLP/HTTP", "JSON Protobuf Encoding": ids in hex,
64-bit integers as text, enumerations as numbers.

The ids are computed from the run folder's name and the number of the turn. So a run that is sent
twice has the same traces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from urllib.parse import SplitResult, urlsplit

from voicebench import __version__
from voicebench.figures.metrics import compute
from voicebench.quoting import neutral
from voicebench.results.reading import object_in
from voicebench.results.run import RecordedRun
from voicebench.turn.timeline import Timeline

INTERNAL, CLIENT = 1, 3
"""Kinds of spans in OTLP."""
ERROR = 2
"""Status of a span that failed; without a status it is unset."""
IN_PROCESS = "voicebench"
"""The provider of what is computed in this process."""

Value = str | bool | int | float


def trace_request(
    run: RecordedRun, turns: Iterable[Timeline], *, with_text: bool = False
) -> dict[str, object]:
    """Return the body of one request to ``/v1/traces`` (an ``ExportTraceServiceRequest``).

    ``with_text`` adds the words of prompt and reply.
    """
    spans = [span for turn in turns for span in _Trace(run, turn, with_text=with_text).spans()]
    resource = {
        "service.name": "voicebench",
        "service.version": str(run.environment.get("voicebench") or __version__),
        "voicebench.run": run.name,
        "voicebench.result": run.path.name,
        "voicebench.target": run.target or "",
    }
    scope = {"scope": {"name": "voicebench", "version": __version__}, "spans": spans}
    return {
        "resourceSpans": [
            {"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}
        ]
    }


class _Trace:
    """The spans of one turn."""

    def __init__(self, run: RecordedRun, turn: Timeline, *, with_text: bool) -> None:
        self._run = run
        self._turn = turn
        self._with_text = with_text
        self._target = object_in(run.environment, "target")
        self._metrics = {name: value for name, value in compute(turn).items() if value is not None}
        # Of a call the stamps count from its beginning, which is what its label says.
        self._began_ns = _unix_ns(turn.started_at)
        self._trace_id = _id(run.path.name, turn.turn, "trace", size=16)
        self._root_id = self._span_id("turn")

    def spans(self) -> Iterator[dict[str, object]]:
        """Yield the root span, and those of the stages that the target shows."""
        turn = self._turn
        if turn.call is not None:
            yield self._call_span()
            return
        yield self._root()
        if turn.tokens or turn.whole_reply is not None or self._failed_in("llm"):
            yield self._chat()
        if turn.chunks:
            yield self._speech()

    def _root(self) -> dict[str, object]:
        turn = self._turn
        about: dict[str, Value | None] = {
            "voicebench.turn": turn.turn,
            "voicebench.phase": turn.phase,
            "gen_ai.conversation.id": self._conversation(),
            **{f"voicebench.{name}": value for name, value in self._metrics.items()},
        }
        if self._with_text:
            about |= {"voicebench.prompt": turn.prompt, "voicebench.reply": turn.reply}
        events = [
            ("first token", self._at("llm_ttft_ms")),
            ("first text chunk", self._at("first_chunk_ms")),
            ("first audio", self._at("first_audio_ms")),
            ("first sound", self._at("first_sound_ms")),
        ]
        span = self._span(
            "turn", "voice turn", INTERNAL, (0, turn.end_ns), about=about, events=events
        )
        return self._failing(span) if turn.failure else span

    def _chat(self) -> dict[str, object]:
        turn, llm = self._turn, object_in(self._target, "llm")
        last = [token.at_ns for token in turn.tokens]
        last += [turn.whole_reply.at_ns] if turn.whole_reply is not None else []
        about: dict[str, Value | None] = {
            **_engine(llm, "chat", "text", llm.get("model")),
            "gen_ai.request.stream": bool(turn.tokens) or None,
            "gen_ai.request.max_tokens": _number(llm, "max_tokens"),
            "gen_ai.request.temperature": _number(llm, "temperature"),
            "gen_ai.conversation.id": self._conversation(),
            "gen_ai.response.time_to_first_chunk": self._seconds("llm_ttft_ms"),
            "gen_ai.usage.input_tokens": turn.prompt_tokens,
            "gen_ai.usage.cache_read.input_tokens": turn.cached_tokens,
            "gen_ai.usage.output_tokens": turn.usage_tokens or len(turn.tokens) or None,
        }
        events = [("first token", self._at("llm_ttft_ms"))]
        end_ns = max(last, default=turn.end_ns)
        name = _named("chat", llm.get("model"))
        span = self._span("chat", name, _kind(llm), (0, end_ns), about=about, events=events)
        return self._failing(span) if self._failed_in("llm") else span

    def _speech(self) -> dict[str, object]:
        turn, tts = self._turn, object_in(self._target, "tts")
        voice = tts.get("voice") or tts.get("model")
        begin = turn.chunks[0].at_ns
        end = max([arrival.at_ns for arrival in turn.audio], default=turn.end_ns)
        about: dict[str, Value | None] = {
            **_engine(tts, "speech", "speech", voice),
            "gen_ai.request.stream": True,
            "gen_ai.response.time_to_first_chunk": self._seconds("tts_ttfb_ms"),
        }
        events = [("first audio", self._at("first_audio_ms"))]
        name = _named("speech", voice)
        span = self._span("speech", name, _kind(tts), (begin, end), about=about, events=events)
        return self._failing(span) if self._failed_in("tts", "audio") else span

    def _call_span(self) -> dict[str, object]:
        """Return the one span of a step of a call: its window, with the moments of both sides."""
        call = self._turn.call
        assert call is not None
        about: dict[str, Value | None] = {
            "voicebench.turn": self._turn.turn,
            "voicebench.phase": self._turn.phase,
            "voicebench.call": call.call,
            "voicebench.step": call.step,
            "voicebench.kind": call.kind,
            **{f"voicebench.{name}": value for name, value in self._metrics.items()},
        }
        if self._with_text:
            about |= {"voicebench.said": call.said, "voicebench.heard": call.heard}
            about |= {"voicebench.reply": call.reply}
        events: list[tuple[str, int | None]] = [
            ("caller speaks", call.spoken_from_ns),
            ("caller is silent", call.spoken_until_ns),
            *(("end of turn", at) for at in call.endpoints_ns),
            *(("transcript", text.at_ns) for text in call.transcripts),
            *(("first text", text.at_ns) for text in call.replies[:1]),
            *(("agent speaks", stretch.start_ns) for stretch in call.agent),
            *(("agent is silent", stretch.end_ns) for stretch in call.agent),
            *(("clear", at) for at in call.cleared_ns),
        ]
        events.sort(key=lambda event: event[1] or 0)
        window = (call.start_ns, call.end_ns)
        span = self._span("turn", "call turn", INTERNAL, window, about=about, events=events)
        return self._failing(span) if self._turn.failure else span

    def _span(
        self,
        key: str,
        name: str,
        kind: int,
        window_ns: tuple[int, int],
        *,
        about: Mapping[str, Value | None],
        events: Sequence[tuple[str, int | None]],
    ) -> dict[str, object]:
        begin_ns, end_ns = window_ns
        parent = {} if key == "turn" else {"parentSpanId": self._root_id}
        return {
            "traceId": self._trace_id,
            "spanId": self._span_id(key),
            **parent,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": self._time(begin_ns),
            "endTimeUnixNano": self._time(max(begin_ns, end_ns)),
            "attributes": _attributes(about),
            "events": [
                {"name": what, "timeUnixNano": self._time(at)}
                for what, at in events
                if at is not None
            ],
        }

    def _failing(self, span: dict[str, object]) -> dict[str, object]:
        failure = self._turn.failure
        assert failure is not None
        attributes = span["attributes"]
        assert isinstance(attributes, list)
        attributes += _attributes({"error.type": failure.fault, "voicebench.stage": failure.stage})
        return {**span, "status": {"code": ERROR, "message": neutral(failure.reason)}}

    def _failed_in(self, *stages: str) -> bool:
        return self._turn.failure is not None and self._turn.failure.stage in stages

    def _conversation(self) -> str | None:
        number = self._turn.conversation
        return None if number is None else f"{self._run.path.name}/{number}"

    def _at(self, metric: str) -> int | None:
        value = self._metrics.get(metric)
        return None if value is None else round(value * 1e6)

    def _seconds(self, metric: str) -> float | None:
        value = self._metrics.get(metric)
        return None if value is None else value / 1000

    def _time(self, at_ns: int) -> str:
        return str(self._began_ns + at_ns)

    def _span_id(self, key: str) -> str:
        return _id(self._run.path.name, self._turn.turn, key, size=8)


def _engine(
    described: Mapping[str, object], operation: str, output: str, model: object
) -> dict[str, Value | None]:
    """Return the attributes of an engine: what it does, who provides it, and where."""
    url = described.get("url")
    address = urlsplit(str(url)) if url else None
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.output.type": output,
        # A server that speaks OpenAI's protocol need not be OpenAI's; who runs it is not known.
        "gen_ai.provider.name": str(described.get("api") or "openai") if url else IN_PROCESS,
        "gen_ai.request.model": str(model) if model else None,
        "server.address": address.hostname if address else None,
        "server.port": _port(address) if address else None,
    }


def _port(address: SplitResult) -> int:
    return address.port or (443 if address.scheme in ("https", "wss") else 80)


def _named(operation: str, model: object) -> str:
    return f"{operation} {model}" if model else operation


def _kind(described: Mapping[str, object]) -> int:
    return CLIENT if described.get("url") else INTERNAL


def _number(described: Mapping[str, object], key: str) -> int | float | None:
    value = described.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _attributes(values: Mapping[str, Value | None]) -> list[dict[str, object]]:
    return [
        {"key": key, "value": _value(value)} for key, value in values.items() if value is not None
    ]


def _value(value: Value) -> dict[str, object]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": neutral(value)}


def _id(folder: str, turn: int, key: str, *, size: int) -> str:
    return hashlib.sha256(f"{folder}\n{turn}\n{key}".encode()).hexdigest()[: 2 * size]


def _unix_ns(started_at: str) -> int:
    try:
        return round(datetime.fromisoformat(started_at).timestamp() * 1e6) * 1000
    except (ValueError, OverflowError):
        return 0
