"""A synthesizer behind a plain HTTP route: text in the URL or in the body, sound out.

Nearly every self-made speech server is one: ``GET /tts/stream?text=…``, ``POST`` with a JSON body,
or with the text alone. The request is a template. ``{text}`` stands for the text in the URL
(percent-encoded there), in the body, or in any string of a JSON body. The answer may be raw PCM,
one WAV, several WAVs one after the other, or compressed sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote as percent_encoded

from voicebench.errors import UsageError
from voicebench.remote.clients.http_engine import HttpSpeech
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.answer import Answer
from voicebench.remote.formats.template import filled, holds_place
from voicebench.remote.sound.sound_format import SoundFormat

PLACE = "{text}"


@dataclass(frozen=True, slots=True)
class SpeechRoute:
    """A plain route. ``body`` is a JSON template, or a text template that is sent as text.

    Raises `UsageError` unless the text has exactly one place, and for a GET with a body.
    """

    url: str
    method: Literal["GET", "POST"] = "GET"
    body: Mapping[str, object] | str | None = None
    content_type: str = "text/plain; charset=utf-8"
    """Of a body that is text; JSON is sent as ``application/json``."""

    def __post_init__(self) -> None:
        """Check the template."""
        places = holds_place(self.url, "text") + holds_place(self.body, "text")
        if places != 1:
            raise UsageError(
                f"the template has {'two places' if places else 'no place'} for the text",
                f"write {PLACE} into the URL or into the body, once",
            )
        if self.method == "GET" and self.body is not None:
            raise UsageError("a GET request has no body", "use POST, or put {text} into the URL")


class PlainSpeech(HttpSpeech):
    """A `Synthesizer` behind a plain HTTP route; ``sound`` is what the settings say about it."""

    def __init__(
        self, route: SpeechRoute, sound: SoundFormat | None = None, access: Access | None = None
    ) -> None:
        super().__init__(route.url.replace(PLACE, ""), access, sound or SoundFormat())
        self._route = route

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        facts: dict[str, object] = {
            "method": self._route.method,
            "sound": self._declared.kind,
            "sample_rate": self._sample_rate,
        }
        return self._described("plain-http", facts)

    def _ask(self, text: str) -> AbstractContextManager[Answer]:
        route = self._route
        body = filled(route.body, {"text": text})
        is_text = isinstance(body, str)
        return self.exchange(
            route.method,
            route.url.replace(PLACE, percent_encoded(text, safe="")),
            json=None if is_text else body,
            content=str(body).encode() if is_text else None,
            headers={"content-type": route.content_type} if is_text else None,
        )
