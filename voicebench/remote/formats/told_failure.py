"""Messages of a peer that tell of a failure, whatever their shape.

A stream that began well has no status left to fail with, so a server says in an event or in a JSON
object that something broke, and each server says it in its own way::

    {"error": {"message": "…"}}                          OpenAI, vLLM
    {"error": "…"}                                       Ollama, MLX
    {"object": "error", "message": "…", "code": 500}     vLLM, LMDeploy
    {"type": "speech.audio.error", "message": "…"}       typed events
    {"choices": [{"error": {…}}]}                        OpenRouter
    {"detail": "…"}                                      FastAPI
    {"status": "failed", "message": "…"}                 self-made servers
    event: error                                         the name of a server-sent event

Some then close the stream as if all had been well. So whatever is neither content nor a known end
is looked at here, and the peer's own words are what the failure says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from voicebench.remote.failure import message_in

_FILLED = ("error", "errors", "error_message", "error_msg", "error_code", "errorMessage")
_NAMES = ("type", "object", "event", "status", "state", "finish_reason")
_FAILURES = ("error", "failed", "failure", "exception", "aborted")
"""How a word ends that names a failure: ``error``, ``speech.audio.error``, ``BadRequestError``."""
_STATUSES = ("status", "status_code", "statusCode", "code")
_WORDS = ("detail", "message", "msg")
_HARMLESS = ("ping", "info", "status", "progress", "keepalive", "keep-alive", "heartbeat", "queued")
"""Types of messages that say how things are going."""


def told_failure(message: Mapping[str, object], name: str = "") -> str | None:
    """Return what the peer says went wrong; None where ``message`` does not tell of a failure.

    ``name`` is that of the server-sent event which held the message, empty where it had none.
    """
    named = [name, *(message.get(key) for key in _NAMES)]
    if (
        any(message.get(key) for key in _FILLED)
        or any(names_failure(word) for word in named)
        or any(_is_error_status(message.get(key)) for key in _STATUSES)
        or any(message.get(key) is False for key in ("success", "ok"))
    ):
        return words_of(message)
    return None


def told_without_content(message: Mapping[str, object]) -> str | None:
    """Return the words of a ``message`` that holds nothing but words, as `told_failure` does.

    Where content is due, a lone ``message`` or ``detail`` says why there is none.
    """
    kind = message.get("type") or message.get("event") or message.get("status")
    if isinstance(kind, str) and kind.lower() in _HARMLESS:
        return None
    return words_of(message) if any(_is_words(message.get(key)) for key in _WORDS) else None


def names_failure(word: object) -> bool:
    """Tell whether the name of an event, a type or a state is that of a failure."""
    return isinstance(word, str) and word.strip().lower().endswith(_FAILURES)


def words_of(message: Mapping[str, object]) -> str:
    """Return the words of a ``message`` about a failure; all of it where it has none."""
    return message_in(json.dumps(message, ensure_ascii=False))


def _is_words(value: object) -> bool:
    return bool(value) and isinstance(value, str | list)


def _is_error_status(value: object) -> bool:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    return type(number) is int and 400 <= number < 600
