"""Turns as OTLP's JSON, read by OpenTelemetry's own messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from handmade import call_step, failed_turn, make_turn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from recorded_folders import made_run

from voicebench.report.exchange.traces import trace_request
from voicebench.results.run import RecordedRun
from voicebench.turn.timeline import Timeline

BEGAN_NS = 1_767_268_800_000_000_000
"""2026-01-01T12:00:00Z, which is what the hand-made turns say."""
LLM = {"model": "small", "url": "http://127.0.0.1:8000/v1", "max_tokens": 64, "temperature": 0.0}
TTS = {"voice": "joe", "engine": "vits"}


def run_with(turns: Iterable[Timeline], target: Mapping[str, object]) -> RecordedRun:
    run = made_run(list(turns))
    return replace(run, environment={**run.environment, "target": target})


def parsed(body: object) -> list[Span]:
    """Return the spans of a request; no field of it may be unknown, or of another type.

    Ids are hex in OTLP, and base64 everywhere else in protobuf's JSON.
    """
    document = json.loads(json.dumps(body))
    for span in spans_in(document):
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in span:
                span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
        assert all(isinstance(span[key], int) for key in ("kind",))
    request = ParseDict(document, ExportTraceServiceRequest())
    (resource,) = request.resource_spans
    assert plain(resource.resource)["service.name"] == "voicebench"
    (scope,) = resource.scope_spans
    return list(scope.spans)


def spans_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    return list(document["resourceSpans"][0]["scopeSpans"][0]["spans"])


def plain(holder: Any) -> dict[str, object]:
    """Return attributes as a dictionary."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in holder.attributes}


def events_of(span: Span) -> dict[str, float]:
    """Return each event's milliseconds after the turn's start."""
    return {event.name: (event.time_unix_nano - BEGAN_NS) / 1e6 for event in span.events}


@pytest.fixture
def spans() -> list[Span]:
    turn = replace(make_turn(7), prompt_tokens=30, cached_tokens=23, conversation=2)
    return parsed(trace_request(run_with([turn], {"llm": LLM, "tts": TTS}), [turn]))


def test_a_turn_is_a_trace_of_reply_and_speech(spans: list[Span]) -> None:
    root, chat, speech = spans
    assert [span.name for span in spans] == ["voice turn", "chat small", "speech joe"]
    assert {span.trace_id for span in spans} == {root.trace_id}
    assert (len(root.trace_id), len(root.span_id)) == (16, 8)
    assert (root.parent_span_id, chat.parent_span_id) == (b"", root.span_id)
    assert len({span.span_id for span in spans}) == 3
    assert (chat.kind, speech.kind) == (Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL)
    windows = [
        ((span.start_time_unix_nano - BEGAN_NS) / 1e6, (span.end_time_unix_nano - BEGAN_NS) / 1e6)
        for span in spans
    ]
    assert windows == [(0, 300), (0, 116), (116, 300)]


def test_the_stages_have_the_names_of_the_field(spans: list[Span]) -> None:
    _, chat, speech = spans
    about = plain(chat)
    assert about == {
        "gen_ai.operation.name": "chat",
        "gen_ai.output.type": "text",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "small",
        "server.address": "127.0.0.1",
        "server.port": 8000,
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.conversation.id": about["gen_ai.conversation.id"],
        "gen_ai.response.time_to_first_chunk": 0.1,
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.cache_read.input_tokens": 23,
        "gen_ai.usage.output_tokens": 3,
    }
    spoken = plain(speech)
    assert spoken["gen_ai.provider.name"] == "voicebench"
    assert spoken["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.07)
    assert "server.address" not in spoken


def test_moments_and_metrics_are_those_of_the_turn(spans: list[Span]) -> None:
    root, chat, speech = spans
    assert events_of(root) == {
        "first token": 100, "first text chunk": 116, "first audio": 186, "first sound": 206,
    }  # fmt: skip
    assert events_of(chat) == {"first token": 100}
    assert events_of(speech) == {"first audio": 186}
    assert plain(root)["voicebench.first_audio_ms"] == 186.0
    assert plain(root)["voicebench.phase"] == "measured"
    assert "voicebench.server_ms" not in plain(root)  # what was not observed is missing


def test_words_are_sent_only_if_they_are_asked_for() -> None:
    turn = make_turn(prompt="my secret plan", tokens=((100, "a wicked answer"),))
    turn = replace(turn, chunks=((turn.chunks[0]._replace(text="a wicked piece")),))
    run = run_with([turn], {"llm": LLM, "tts": TTS})
    without = json.dumps(trace_request(run, [turn]))
    assert "secret plan" not in without
    assert "wicked" not in without
    root = parsed(trace_request(run, [turn], with_text=True))[0]
    assert plain(root)["voicebench.prompt"] == "my secret plan"
    assert plain(root)["voicebench.reply"] == "a wicked answer"


def test_a_failed_turn_is_an_error_in_the_stage_that_failed() -> None:
    turn = failed_turn()
    root, chat, speech = parsed(trace_request(run_with([turn], {"llm": LLM, "tts": TTS}), [turn]))
    assert root.status.code == speech.status.code == Status.STATUS_CODE_ERROR
    assert root.status.message == "the voice ran out of memory"
    assert chat.status.code == Status.STATUS_CODE_UNSET
    assert plain(speech)["error.type"] == "engine"
    assert "first audio" not in events_of(root)


def test_a_target_that_shows_no_stages_has_one_span() -> None:
    turn = make_turn(tokens=(), chunks=())
    (root,) = parsed(trace_request(run_with([turn], {"target": "voice"}), [turn]))
    assert events_of(root) == {"first audio": 186, "first sound": 206}


def test_a_step_of_a_call_has_the_moments_of_both_sides() -> None:
    turn = replace(call_step(3), started_at="2026-01-01T12:00:00Z")
    (span,) = parsed(trace_request(run_with([turn], {}), [turn]))
    assert events_of(span) == {
        "caller speaks": 1000, "caller is silent": 2000, "agent speaks": 2600,
        "agent is silent": 5000,
    }  # fmt: skip
    assert plain(span)["voicebench.response_ms"] == pytest.approx(600)
    assert "voicebench.said" not in plain(span)


def test_a_run_that_is_sent_twice_has_the_same_traces_and_another_has_others(
    tmp_path: Path,
) -> None:
    turns = [make_turn(1), make_turn(2)]
    run = run_with(turns, {})
    first = parsed(trace_request(run, turns))
    assert first == parsed(trace_request(run, turns))
    other = parsed(trace_request(replace(run, path=tmp_path / "other"), turns))
    ids = [span.trace_id for span in (*first, *other) if not span.parent_span_id]
    assert len(set(ids)) == 4
