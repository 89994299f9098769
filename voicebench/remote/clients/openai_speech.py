"""A synthesizer behind OpenAI's speech API: ``POST /v1/audio/speech``.

Kokoro-FastAPI, Speaches, LocalAI, OpenAI and others speak it. (Format: OpenAI, "API reference:
Create speech".) The whole text of a chunk goes in; sound streams back in the ``response_format``
asked for, plain or in server-sent events (``stream_format: "sse"``).

Ask for ``pcm`` or ``wav``: nothing has to be decoded, and the first sample is whole two bytes
after the header. Raw PCM has no header that says its rate, so it has to be set: OpenAI documents
24,000 Hz for its own, others differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from voicebench.audio.encodings import PcmEncoding
from voicebench.events import TtsEvent
from voicebench.remote.clients.offered_models import Offered, offered_models, one_for
from voicebench.remote.connection.access import Access, base_of, below
from voicebench.remote.connection.http import HttpService
from voicebench.remote.sound.marks import SoundKind
from voicebench.remote.sound.sound_stream import SoundFormat
from voicebench.remote.sound.speech import SpeechReader
from voicebench.text.speakable import speakable

_PATH = "/audio/speech"
WELL_KNOWN_MODEL = "tts-1"
WELL_KNOWN_VOICE = "alloy"
"""OpenAI's first names: many servers know them whatever they serve."""


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """What is asked of the voice; None leaves it to the server.

    ``sample_rate``, ``encoding`` and ``channels`` are what the settings say of raw PCM. ``extra``
    is merged into the request's JSON last; a value of None takes a key out of it.
    """

    response_format: SoundKind = "pcm"
    sample_rate: int | None = None
    encoding: PcmEncoding | None = None
    channels: int | None = None
    speed: float | None = None
    instructions: str | None = None
    stream_format: Literal["audio", "sse"] | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


class OpenAiSpeech:
    """A `Synthesizer` behind OpenAI's protocol.

    ``base_url`` is what comes before ``/audio/speech``: ``http://127.0.0.1:8880/v1``. ``model`` or
    ``voice`` None is the one that the server names, else the well-known one. Raises
    `voicebench.errors.UsageError` for a URL or a key that cannot be.
    """

    def __init__(
        self,
        base_url: str,
        model: str | None = None,
        voice: str | None = None,
        options: SpeechOptions | None = None,
        access: Access | None = None,
    ) -> None:
        self._base_url = base_of(base_url, _PATH)
        self._url = below(self._base_url, _PATH)
        self._model = model
        self._voice = voice
        self._options = options or SpeechOptions()
        self._access = access or Access()
        self._service = HttpService(self._url, self._access, "tts")
        asked = self._options
        declared = SoundFormat("auto", asked.encoding, asked.sample_rate, asked.channels)
        self._speech = SpeechReader(declared, asked.response_format)
        self._http_version: str | None = None

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text`` as it comes; nothing where there is nothing to say.

        Closing the iterator hangs up, which tells the server to stop. Raises
        `voicebench.remote.failure.RemoteError`.
        """
        if not speakable(text):
            return
        with self._service.exchange("POST", self._url, json=self._request(text)) as answer:
            self._http_version = answer.http_version
            yield from self._speech.read(answer)

    def check(self) -> None:
        """Open the connection now and learn the names that nobody gave.

        Raises `RemoteError` naming the URL, `UsageError` where the server offers several models.
        """
        if self._model is None or self._voice is None:
            self._learn_names(offered_models(self._base_url, self._access, "tts"))
        self._service.check()

    def prepare(self) -> None:
        """Bring the connection into the state in which the next turn shall find it."""
        self._service.prepare()

    def interrupt(self) -> None:
        """Make running speech fail at once; called from another thread."""
        self._service.interrupt()

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        options = self._options
        return {
            "engine": "openai-http",
            "url": self._service.shown_url,
            "model": self._model,
            "voice": self._voice,
            "device": "remote",
            "response_format": options.response_format,
            "stream_format": options.stream_format,
            "sample_rate": self._speech.sample_rate or options.sample_rate,
            "speed": options.speed,
            "extra": sorted(options.extra),
            "http_version": self._http_version,
        } | self._access.describe()

    def close(self) -> None:
        """Close the connections."""
        self._service.close()

    def _learn_names(self, offered: list[Offered]) -> None:
        named = {model.name: model for model in offered}
        wanted = self._model or (WELL_KNOWN_MODEL if WELL_KNOWN_MODEL in named else None)
        model = (
            named.get(wanted)
            if wanted
            else one_for("text-to-speech", offered, self._service.shown_url, "--set tts.model=NAME")
        )
        self._model = wanted or (model.name if model else WELL_KNOWN_MODEL)
        voices = model.voices if model else ()
        self._voice = self._voice or next(iter(voices), WELL_KNOWN_VOICE)

    def _request(self, text: str) -> dict[str, object]:
        options = self._options
        request: dict[str, object] = {
            "model": self._model,
            "input": text.strip(),
            "voice": self._voice,
            "response_format": options.response_format,
            "speed": options.speed,
            "instructions": options.instructions,
            "stream_format": options.stream_format,
        }
        request |= options.extra
        return {key: value for key, value in request.items() if value is not None}
