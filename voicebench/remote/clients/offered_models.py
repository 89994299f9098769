"""The models that a server offers: OpenAI's ``GET /v1/models``, asked where no model is set.

``{"object": "list", "data": [{"id": …}, …]}``. (Format: OpenAI, "API reference: List models".) If
the list has one entry, that is the model. If it has several, some servers say what each is for:
Speaches, and our own, add a ``task`` in Hugging Face's words (``text-generation``,
``text-to-speech``), and the ``voices`` of a model that speaks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Literal

from voicebench.errors import UsageError
from voicebench.events import Stage
from voicebench.quoting import quote
from voicebench.remote.connection.access import Access, below
from voicebench.remote.connection.http import HttpService
from voicebench.remote.failure import RemoteError
from voicebench.remote.formats.json_text import json_object, list_at, text_at

Task = Literal["text-generation", "text-to-speech"]

MAX_LIST_BYTES = 4 << 20
MAX_NAME_CHARS = 300
_SHOWN = 6
_NO_SUCH_ROUTE = (404, 405, 501)


@dataclass(frozen=True, slots=True)
class Offered:
    """A model that a server offers; ``task`` is empty where the server does not say it."""

    name: str
    task: str = ""
    voices: tuple[str, ...] = ()


def offered_models(base_url: str, access: Access, stage: Stage) -> list[Offered]:
    """Return the models of the server at ``base_url``, none where it has no such list.

    Raises `RemoteError` for a server that is down, refuses the key, or fails.
    """
    url = below(base_url, "/models")
    # No turn runs yet, so its deadline does not count.
    service = HttpService(url, replace(access, deadline=None), stage)
    with closing(service):
        service.check()
        with service.exchange("GET", url) as answer:
            if answer.status in _NO_SUCH_ROUTE:
                return []
            answer.require_success()
            # A page, or any other document, names no model.
            with contextlib.suppress(RemoteError):
                return _models_in(json_object(answer.whole(MAX_LIST_BYTES)))
            return []


def only_model_for(
    task: Task, offered: Sequence[Offered], shown_url: str, setting: str
) -> Offered | None:
    """Return the one model for ``task``, None where the server names none.

    Raises `UsageError` where there are several; ``setting`` is the option that chooses one.
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
    found = {
        name: Offered(name, text_at(entry, "task"), tuple(_voices_of(entry)))
        for entry in list_at(document, "data")
        if _is_name(name := text_at(entry, "id"))
    }
    return list(found.values())


def _voices_of(entry: object) -> list[str]:
    """Return the names of a model's voices, which are texts, or objects with a name."""
    names = [
        voice if isinstance(voice, str) else text_at(voice, "name") or text_at(voice, "id")
        for voice in list_at(entry, "voices")
    ]
    return [name for name in names if _is_name(name)]


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME_CHARS
