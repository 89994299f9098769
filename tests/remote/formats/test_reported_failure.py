"""A peer's messages about a failure, in the shapes that servers have for them."""

from __future__ import annotations

import pytest

from voicebench.remote.formats.reported_failure import (
    failure_outside_events,
    reported_failure,
    words_without_content,
)


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ({"error": {"message": "out of memory", "type": "server_error"}}, ""),
        ({"error": "out of memory"}, ""),
        ({"error": "out of memory", "choices": []}, ""),
        ({"errors": [{"message": "out of memory"}]}, ""),
        ({"error_code": 17, "error_msg": "out of memory"}, ""),
        ({"object": "error", "message": "out of memory", "code": 500}, ""),
        ({"type": "error", "message": "out of memory"}, ""),
        ({"type": "speech.audio.error", "message": "out of memory"}, ""),
        ({"type": "response.failed", "message": "out of memory"}, ""),
        ({"message": "out of memory", "type": "InternalServerError"}, ""),
        ({"status": "failed", "message": "out of memory"}, ""),
        ({"status": 500, "detail": "out of memory"}, ""),
        ({"code": "503", "msg": "out of memory"}, ""),
        ({"success": False, "message": "out of memory"}, ""),
        ({"err": "out of memory", "message": "out of memory"}, ""),
        ({"errorMessage": "out of memory"}, ""),
        ({"Error": "x", "message": "out of memory"}, ""),
        ({"code": "internal_error", "message": "out of memory"}, ""),
        ({"status": "cancelled", "message": "out of memory"}, ""),
        ({"data": {"error": "out of memory"}}, ""),
        ({"response": {"error": {"message": "out of memory"}}}, ""),
        ({"choices": [{"delta": {"content": {"error": "out of memory"}}}]}, ""),
        ({"message": "out of memory"}, "error"),
        ({"message": "out of memory"}, "speech.error"),
    ],
)
def test_each_shape_tells_of_the_failure_in_the_peers_words(
    message: dict[str, object], name: str
) -> None:
    assert reported_failure(message, name) == "out of memory"


def test_a_failure_without_words_shows_all_of_its_message() -> None:
    assert reported_failure({"type": "error", "n": 3}) == '{"type": "error", "n": 3}'


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"error": None, "choices": [{"delta": {"content": "It"}}]},
        {"error_code": 0, "audio": "AAAA"},
        {"object": "chat.completion.chunk", "choices": []},
        {"type": "speech.audio.delta", "audio": "AAAA"},
        {"status": "ok", "code": 0, "success": True},
        {"status": 200},
        {"code": "²"},
        # Azure: the filter failed, and the reply goes on unfiltered.
        {"choices": [{"content_filter_result": {"error": {"code": "content_filter_error"}}}]},
        {"session": {"tools": [{"parameters": {"properties": {"error": {"type": "string"}}}}]}},
    ],
)
def test_what_is_no_failure_is_none(message: dict[str, object]) -> None:
    assert reported_failure(message) is None


def test_where_content_is_due_a_lone_message_is_one() -> None:
    assert words_without_content({"message": "Internal server error"}) == "Internal server error"
    assert words_without_content({"detail": [{"msg": "field required"}]}) == "field required"
    for harmless in ({"type": "ping"}, {"type": "info", "message": "3rd in the queue"}, {"id": 3}):
        assert words_without_content(harmless) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('error: {"message": "out of memory"}', "out of memory"),
        ('{"error": "out of memory"}', "out of memory"),
        ("error:", "error:"),
        ("Internal Server Error", "Internal Server Error"),
        ("upstream request timeout", "upstream request timeout"),
        ("I am tired", None),
        ('{"tired": true}', None),
        ("[" * 100_000, None),
    ],
)
def test_a_failure_may_be_outside_the_events(text: str, words: str | None) -> None:
    assert failure_outside_events(text) == words
