"""The answers in the OpenAPI document."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel

_BINARY = {"schema": {"type": "string", "format": "binary"}}
# How one server-sent event is described; OpenAPI 3.1 has no word for a stream of them.
_EVENTS = {
    "schema": {
        "type": "object",
        "properties": {"data": {"type": "string"}, "event": {"type": "string"}},
        "required": ["data"],
    }
}
_WHY = {
    400: "The request is refused; the message says why.",
    404: "The model or voice is not served here.",
    413: "The body is too large.",
    500: "The engine failed.",
    503: "Too many turns run and wait; `Retry-After` says when to ask again.",
}


class ErrorDetail(BaseModel):
    """An error."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """OpenAI's error object."""

    error: ErrorDetail


class ModelCard(BaseModel):
    """A model in OpenAI's form, with its task and voices as Speaches adds them."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "voicebench"
    task: Literal["text-generation", "text-to-speech"] | None = None
    voices: list[str] | None = None


class ModelList(BaseModel):
    """All models of the server."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Health(BaseModel):
    """State of the server."""

    status: Literal["ok"]
    chat_model: str
    voice: str
    sample_rate: int | None
    parameters: int | None
    """How many parameters the model has; null where it does not say."""
    hears: bool
    """Whether spoken calls are taken."""
    running: int
    waiting: int


Responses = dict[int | str, dict[str, Any]]

SOUND: Responses = {
    200: {"content": {"audio/wav": _BINARY, "audio/pcm": _BINARY}, "description": "The sound."}
}


def refusals(*statuses: int) -> Responses:
    """Return the descriptions of these refusals."""
    return {
        status: {"model": ErrorAnswer, "description": _WHY.get(status, HTTPStatus(status).phrase)}
        for status in statuses
    }


def sse_or(*others: str) -> Responses:
    """Return the description of an answer in server-sent events or in another form."""
    kinds = {
        other: {"schema": {"type": "object"}} if other == "application/json" else _BINARY
        for other in others
    }
    return {200: {"content": {"text/event-stream": _EVENTS} | kinds, "description": "The answer."}}
