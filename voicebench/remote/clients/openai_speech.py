"""A synthesizer behind OpenAI's speech API: ``POST /v1/audio/speech``.

Kokoro-FastAPI, Speaches, LocalAI, OpenAI and others serve it. (Format: OpenAI, "API reference:
Create speech".) The request holds the whole text of a chunk. The sound streams back in the
``response_format`` asked for, plain or in server-sent events (``stream_format: "sse"``).

Ask for ``pcm`` or ``wav``: nothing has to be decoded, and the first sample is whole two bytes after
the header. Raw PCM does not say its rate, so it has to be set: OpenAI documents 24,000 Hz for its
own, others differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

from voicebench.audio.encodings import PcmEncoding
from voicebench.remote.clients.http_engine import HttpSpeech
from voicebench.remote.clients.offered_models import Offered, offered_models, only_model_for
from voicebench.remote.connection.access import Access, base_of, below
from voicebench.remote.connection.answer import Answer
from voicebench.remote.sound.signatures import SoundKind
from voicebench.remote.sound.sound_format import SoundFormat

_PATH = "/audio/speech"
WELL_KNOWN_MODEL = "tts-1"
WELL_KNOWN_VOICE = "alloy"
"""OpenAI's first names: many servers accept them, whatever they serve."""


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """Options of a speech request; None leaves the choice to the server.

    ``sample_rate`` (Hz), ``encoding`` and ``channels`` are what the settings say about raw PCM.
    ``extra`` is merged into the request's JSON last; a value of None removes a key from it.
    """

    response_format: SoundKind = "pcm"
    sample_rate: int | None = None
    encoding: PcmEncoding | None = None
    channels: int | None = None
    stream_format: Literal["audio", "sse"] | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


class OpenAiSpeech(HttpSpeech):
    """A `Synthesizer` behind OpenAI's protocol.

    ``base_url`` is what comes before ``/audio/speech``: ``http://127.0.0.1:8880/v1``. ``model`` or
    ``voice`` None is the one that the server names, else the well-known one.
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
        self._options = asked = options or SpeechOptions()
        declared = SoundFormat("auto", asked.encoding, asked.sample_rate, asked.channels)
        super().__init__(self._url, access, declared, asked.response_format)

    def check(self) -> None:
        """Open the connection now and learn the names that are not set.

        Raises `RemoteError` naming the URL, `UsageError` where the server offers several models.
        """
        if self._model is None or self._voice is None:
            self._learn_names(offered_models(self._base_url, self.access, "tts"))
        super().check()

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        options = self._options
        facts: dict[str, object] = {
            "model": self._model,
            "voice": self._voice,
            "response_format": options.response_format,
            "stream_format": options.stream_format,
            "sample_rate": self._sample_rate,
            "extra": sorted(options.extra),
        }
        return self._described("openai-http", facts)

    def _learn_names(self, offered: list[Offered]) -> None:
        by_name = {model.name: model for model in offered}
        wanted = self._model or (WELL_KNOWN_MODEL if WELL_KNOWN_MODEL in by_name else None)
        if wanted is not None:
            model = by_name.get(wanted)
        else:
            setting = "--set tts.model=NAME"
            model = only_model_for("text-to-speech", offered, self.shown_url, setting)
        self._model = wanted or (model.name if model else WELL_KNOWN_MODEL)
        voices = model.voices if model else ()
        self._voice = self._voice or next(iter(voices), WELL_KNOWN_VOICE)

    def _ask(self, text: str) -> AbstractContextManager[Answer]:
        options = self._options
        request: dict[str, object] = {
            "model": self._model,
            "input": text,
            "voice": self._voice,
            "response_format": options.response_format,
            "stream_format": options.stream_format,
        }
        request |= options.extra
        json = {key: value for key, value in request.items() if value is not None}
        return self.exchange("POST", self._url, json=json)
