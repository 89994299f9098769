"""Failures that a peer reports within an answer, in any of the shapes that servers use.

Once a stream has begun, its status can no longer report a failure. The server then does so in an
event or a JSON object::

    {"error": {"message": "…"}}                          OpenAI, vLLM
    {"error": "…"}                                       Ollama, MLX
    {"object": "error", "message": "…", "code": 500}     vLLM, LMDeploy
    {"type": "speech.audio.error", "message": "…"}       typed events
    {"choices": [{"error": {…}}]}                        OpenRouter
    {"x_groq": {"error": "…"}}                           Groq
    {"detail": "…"}                                      FastAPI
    {"status": "failed", "message": "…"}                 self-made servers
    event: error                                         the name of a server-sent event

Some servers then end the stream as if nothing had happened. So every message that is neither
content nor a known end is checked here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from voicebench.remote.failure import message_in

_ERROR_KEYS = frozenset(
    {
        *("error", "errors", "err", "errormessage", "errormsg", "errorcode", "errortype"),
        *("errordetail", "errordetails", "exception", "fault", "failure", "traceback"),
    }
)
"""In lower case, without ``_`` and ``-``."""
_DEPTH = 5
"""How deep within a message an error is looked for."""
_NO_ERRORS = ("filter", "arguments", "parameters", "metadata", "logprobs")
"""What is below a key with such a word in it is content, or (Azure) says that a filter failed and
the reply went on."""
_NAME_KEYS = ("type", "object", "event", "status", "state", "code", "finish_reason")
_FAILURE_ENDINGS = (
    *("error", "failed", "failure", "exception", "aborted", "cancelled", "canceled"),
    *("timeout", "timed_out", "overloaded"),
)
"""How the name of a failure ends: ``error``, ``speech.audio.error``, ``BadRequestError``."""
_STATUS_KEYS = ("status", "status_code", "statusCode", "code")
_WORDS_KEYS = ("detail", "message", "msg")
_HARMLESS = ("ping", "info", "status", "progress", "keepalive", "keep-alive", "heartbeat", "queued")
"""Types of messages that report progress."""


def reported_failure(message: Mapping[str, object], event_name: str = "") -> str | None:
    """Return the peer's words for the failure that ``message`` reports, None if it reports none.

    ``event_name`` is the name of the server-sent event that held the message, or empty.
    """
    names = [event_name, *(message.get(key) for key in _NAME_KEYS)]
    error = _error_within(message, _DEPTH)
    if error:
        return _words_of(error)
    if (
        any(names_failure(name) for name in names)
        or any(_is_error_status(message.get(key)) for key in _STATUS_KEYS)
        or any(message.get(key) is False for key in ("success", "ok"))
    ):
        return _words_of(message)
    return None


def words_without_content(message: Mapping[str, object]) -> str | None:
    """Return the words of a ``message`` in a place where content is due, None if it has none.

    There, a lone ``message`` or ``detail`` says why the content is missing.
    """
    kind = message.get("type") or message.get("event") or message.get("status")
    if isinstance(kind, str) and kind.lower() in _HARMLESS:
        return None
    values = [message.get(key) for key in _WORDS_KEYS]
    has_words = any(value and isinstance(value, str | list) for value in values)
    return _words_of(message) if has_words else None


def failure_outside_events(text: str) -> str | None:
    """Return the words of the failure in ``text``, None if there is none.

    ``text`` is that of an event stream outside its events: ``error: {…}`` (llama.cpp), a JSON
    document, a plain line.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        pass
    else:
        return reported_failure(message) if isinstance(message, dict) else None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if names_failure(name):
            return message_in(value.strip()) or line
    return None


def names_failure(name: object) -> bool:
    """Tell whether the name of an event, a type or a state is that of a failure."""
    return isinstance(name, str) and name.strip().lower().endswith(_FAILURE_ENDINGS)


def _error_within(found: object, depth: int) -> Mapping[str, object] | None:
    """Return the object in ``found`` that has an error, None if there is none."""
    if isinstance(found, Mapping):
        if any(value and _plain(key) in _ERROR_KEYS for key, value in found.items()):
            return found
        parts = [
            value
            for key, value in found.items()
            if isinstance(value, dict | list) and not any(word in key for word in _NO_ERRORS)
        ]
    else:
        parts = found if isinstance(found, list) else []
    errors = (_error_within(part, depth - 1) for part in parts) if depth else ()
    return next((error for error in errors if error), None)


def _plain(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


def _words_of(message: Mapping[str, object]) -> str:
    return message_in(json.dumps(message, ensure_ascii=False))


def _is_error_status(value: object) -> bool:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    return type(number) is int and 400 <= number < 600
