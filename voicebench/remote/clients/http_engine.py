"""Base classes of engines behind HTTP, and of synthesizers behind HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from voicebench.events import Stage, TtsEvent
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.answer import Answer
from voicebench.remote.connection.http import HttpService
from voicebench.remote.sound.signatures import SoundKind
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.remote.sound.speech import SpeechReader
from voicebench.text.speakable import speakable


class HttpEngine(HttpService):
    """An engine behind one HTTP route; ``stage`` is its own."""

    def __init__(self, url: str, access: Access | None, stage: Stage) -> None:
        super().__init__(url, access or Access(), stage)
        self._http_version: str | None = None

    def _described(self, engine: str, facts: dict[str, object]) -> dict[str, object]:
        """Return what a reader of the results must know, ``facts`` included."""
        head = {"engine": engine, "url": self.shown_url, "device": "remote"}
        return head | facts | {"http_version": self._http_version} | self.access.describe()


class HttpSpeech(HttpEngine):
    """A `Synthesizer` behind HTTP: one request a text; the answer is its speech.

    ``declared`` is what the settings say about the sound, ``asked`` the format that requests ask
    for.
    """

    def __init__(
        self,
        url: str,
        access: Access | None,
        declared: SoundFormat,
        asked: SoundKind | None = None,
    ) -> None:
        super().__init__(url, access, "tts")
        self._declared = declared
        self._speech = SpeechReader(declared, asked)

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text`` as it comes; nothing for a text that cannot be spoken.

        Closing the iterator hangs up, which tells the server to stop. Raises
        `voicebench.remote.failure.RemoteError`.
        """
        if not speakable(text):
            return
        with self._ask(text.strip()) as answer:
            self._http_version = answer.http_version
            yield from self._speech.read(answer)

    def _ask(self, text: str) -> AbstractContextManager[Answer]:
        """Send the request for the speech of ``text``."""
        raise NotImplementedError

    @property
    def _sample_rate(self) -> int | None:
        """The rate of the speech so far, else that of the settings."""
        return self._speech.rate.known or self._declared.sample_rate
