"""A synthesizer behind a plain HTTP route: text in the URL or in the body, sound out.

Nearly every self-made speech server is one: ``GET /tts/stream?text=…``, ``POST`` with a JSON body,
or with the text alone. What is sent is a template in which ``{text}`` stands for the text, in the
URL (percent-encoded there), in the body, or in any string of a JSON body. What comes back may be
raw PCM, one WAV, a sequence of WAVs on one connection, or compressed sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote as percent_encoded

from voicebench.errors import UsageError
from voicebench.events import TtsEvent
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.http import HttpService
from voicebench.remote.formats.template import filled, holds_place
from voicebench.remote.sound.sound_stream import SoundFormat
from voicebench.remote.sound.speech import SpeechReader
from voicebench.text.speakable import speakable

PLACE = "{text}"


@dataclass(frozen=True, slots=True)
class SpeechRoute:
    """What to send where. ``body`` is a JSON template, or a text template sent as plain text."""

    url: str
    method: Literal["GET", "POST"] = "GET"
    body: Mapping[str, object] | str | None = None
    content_type: str = "text/plain; charset=utf-8"
    """Of a body that is text; JSON goes as ``application/json``."""

    def __post_init__(self) -> None:
        """Raise `UsageError` unless the text has exactly one way in."""
        ways = holds_place(self.url, "text") + holds_place(self.body, "text")
        if ways != 1:
            raise UsageError(
                f"the template has {'no place' if not ways else 'two places'} for the text",
                f"write {PLACE} into the URL or into the body, once",
            )
        if self.method == "GET" and self.body is not None:
            raise UsageError("a GET request has no body", "use POST, or put {text} into the URL")


class PlainSpeech:
    """A `Synthesizer` behind a plain HTTP route.

    ``sound`` says of the answer what the server does not. Raises `voicebench.errors.UsageError` for
    a URL or a key that cannot be.
    """

    def __init__(
        self,
        route: SpeechRoute,
        sound: SoundFormat | None = None,
        access: Access | None = None,
    ) -> None:
        self._route = route
        self._sound = sound or SoundFormat()
        self._access = access or Access()
        self._service = HttpService(route.url.replace(PLACE, ""), self._access, "tts")
        self._speech = SpeechReader(self._sound)
        self._http_version: str | None = None

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text`` as it comes; nothing where there is nothing to say.

        Closing the iterator hangs up, which tells the server to stop. Raises
        `voicebench.remote.failure.RemoteError`.
        """
        if not speakable(text):
            return
        text = text.strip()
        route = self._route
        body = filled(route.body, {"text": text})
        is_text = isinstance(body, str)
        with self._service.exchange(
            route.method,
            route.url.replace(PLACE, percent_encoded(text, safe="")),
            json=None if is_text else body,
            content=str(body).encode() if is_text else None,
            headers={"content-type": route.content_type} if is_text else None,
        ) as answer:
            self._http_version = answer.http_version
            yield from self._speech.read(answer)

    def check(self) -> None:
        """Open the connection now, or raise `RemoteError` naming the URL."""
        self._service.check()

    def prepare(self) -> None:
        """Bring the connection into the state in which the next turn shall find it."""
        self._service.prepare()

    def interrupt(self) -> None:
        """Make running speech fail at once; called from another thread."""
        self._service.interrupt()

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {
            "engine": "plain-http",
            "url": self._service.shown_url,
            "method": self._route.method,
            "device": "remote",
            "sound": self._sound.kind,
            "sample_rate": self._speech.sample_rate or self._sound.sample_rate,
            "http_version": self._http_version,
        } | self._access.describe()

    def close(self) -> None:
        """Close the connections."""
        self._service.close()
