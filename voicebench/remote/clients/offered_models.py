"""What a server says that it serves: OpenAI's ``GET /v1/models``, asked where nobody named a model.

``{"object": "list", "data": [{"id": …}, …]}``. (Format: OpenAI, "API reference: List models".) A
server of one model has one entry, and that one is meant. Where there are several, some servers say
what each is for: Speaches, and our own, with a ``task`` in Hugging Face's words
(``text-generation``, ``text-to-speech``), and with the ``voices`` of a model that speaks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Literal

from voicebench.errors import UsageError
from voicebench.events import Stage
from voicebench.remote.connection.access import Access, below
from voicebench.remote.connection.http import HttpService
from voicebench.remote.failure import RemoteError, quote
from voicebench.remote.formats.json_text import json_object, part, text_at

Task = Literal["text-generation", "text-to-speech"]

MAX_LIST_BYTES = 4 << 20
MAX_NAME_CHARS = 300
_SHOWN = 6
_NO_SUCH_ROUTE = (404, 405, 501)


@dataclass(frozen=True, slots=True)
class Offered:
    """A model that a server offers; ``task`` is empty where the server does not say."""

    name: str
    task: str = ""
    voices: tuple[str, ...] = ()


def offered_models(base_url: str, access: Access, stage: Stage) -> list[Offered]:
    """Return what the server below ``base_url`` offers, nothing where it does not say.

    Raises `RemoteError` for a server that is down, refuses the key, or fails.
    """
    url = below(base_url, "/models")
    # No turn has begun, so none can be over.
    service = HttpService(url, replace(access, deadline=None), stage)
    with closing(service):
        service.check()
        with service.exchange("GET", url) as answer:
            if answer.status in _NO_SUCH_ROUTE:
                return []
            answer.require_success()
            # A page, or whatever else it answers there, names no model.
            with contextlib.suppress(RemoteError):
                return _models_in(json_object(answer.whole(MAX_LIST_BYTES)))
            return []


def one_for(task: Task, offered: Sequence[Offered], shown_url: str, setting: str) -> Offered | None:
    """Return the one model for ``task``, None where the server names none.

    Raises `UsageError` where several could be meant, for ``setting`` to say which.
    """
    fit = [model for model in offered if model.task == task]
    fit = fit or [model for model in offered if not model.task]
    if len(fit) > 1:
        names = ", ".join(quote(model.name) for model in fit[:_SHOWN])
        more = f" and {len(fit) - _SHOWN} more" if len(fit) > _SHOWN else ""
        raise UsageError(
            f"{shown_url} offers several models: {names}{more}", f"name one: {setting}"
        )
    return fit[0] if fit else None


def _models_in(document: object) -> list[Offered]:
    listed = part(document, "data")
    found = [
        Offered(name, text_at(entry, "task"), tuple(_voices_of(entry)))
        for entry in (listed if isinstance(listed, list) else [])
        if (name := text_at(entry, "id")) and len(name) <= MAX_NAME_CHARS
    ]
    return list({model.name: model for model in found}.values())


def _voices_of(entry: object) -> list[str]:
    """Return the voices of a model: names, or objects that have one."""
    listed = part(entry, "voices")
    voices = listed if isinstance(listed, list) else []
    names = [
        voice if isinstance(voice, str) else text_at(voice, "name") or text_at(voice, "id")
        for voice in voices
    ]
    return [name for name in names if name and len(name) <= MAX_NAME_CHARS]
