"""The kinds of TTS server: one row a value of ``tts.api``, with its settings, check and client.

The table is `SPEECH_SERVERS`. docs/explanation/extending.md shows how to add a kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit, urlunsplit

from voicebench.errors import UsageError
from voicebench.pipeline.protocols import Synthesizer
from voicebench.remote.connection.access import Access, address_of, without_route
from voicebench.settings import Settings, TtsSettings

if TYPE_CHECKING:
    from voicebench.remote.sound.signatures import SoundKind

HTTP_SAMPLES = "speech, HTTP chunks of PCM"
HTTP_EVENTS = "speech, SSE"
HTTP_WAVS = "speech, HTTP chunks of WAV"
HTTP_ONE_WAV = "speech, one WAV that grows"
SPEECH_SOCKET = "speech, WebSocket"


class SpeechServer:
    """One kind of TTS server. A kind overrides what is different from the methods here."""

    api: str
    """The value of ``tts.api``."""
    own_settings: tuple[str, ...] = ()
    """Settings of ``[tts]`` that no other kind has."""
    schemes: tuple[str, ...] = ("http", "https")
    """The schemes that ``tts.url`` may have."""

    def settings_from_url(self, url: str) -> dict[str, object] | None:
        """Return the settings that ``--server URL`` stands for; None if the URL is not for this."""
        del url
        return None

    def asked_format(self, tts: TtsSettings) -> SoundKind | Literal["auto"]:
        """Return the sound format that is asked for; ``auto`` if the answer says it."""
        return tts.format

    def check(self, tts: TtsSettings) -> None:
        """Raise `UsageError` for settings of this kind that cannot work."""

    def wires(self, tts: TtsSettings) -> tuple[str, ...]:
        """Return the wires that the sound may come over, as `TargetKind.wires`."""
        del tts
        return ()

    def open(self, settings: Settings, access: Access) -> Synthesizer:
        """Return a client of the server at ``tts.url``; it connects later."""
        raise NotImplementedError


class OpenAiSpeechServer(SpeechServer):
    """OpenAI's speech route, ``/v1/audio/speech``."""

    api = "openai"
    own_settings = ("voice", "model", "stream_format", "extra")

    def settings_from_url(self, url: str) -> dict[str, object] | None:
        """Take an HTTP URL: the chat and speech routes are below it, by default below ``/v1``."""
        parts = urlsplit(url)
        if parts.scheme not in self.schemes or "{text}" in url:
            return None
        # A whole route is taken for what is before it.
        path = without_route(parts.path.rstrip("/"))
        is_whole = path == parts.path.rstrip("/") and bool(path)
        base = url if is_whole else urlunsplit(parts._replace(path=path or "/v1"))
        if not parts.query:
            base = base.rstrip("/")
        return {"llm.url": base, "tts.url": base, "tts.api": self.api}

    def asked_format(self, tts: TtsSettings) -> SoundKind:
        """Return the format; this protocol has no word for ``auto``, so a WAV is asked for."""
        return "wav" if tts.format == "auto" else tts.format

    def wires(self, tts: TtsSettings) -> tuple[str, ...]:
        """Return events, one WAV, or samples in HTTP chunks."""
        if tts.stream_format == "sse":
            return (HTTP_EVENTS,)
        return (HTTP_ONE_WAV if self.asked_format(tts) == "wav" else HTTP_SAMPLES,)

    def open(self, settings: Settings, access: Access) -> Synthesizer:
        """Return the client; the server is asked for names that are not set."""
        from voicebench.remote.clients.openai_speech import OpenAiSpeech, SpeechOptions

        tts = settings.tts
        options = SpeechOptions(
            response_format=self.asked_format(tts),
            sample_rate=tts.sample_rate,
            encoding=tts.encoding,
            channels=tts.channels,
            stream_format=tts.stream_format,
            extra=tts.extra,
        )
        model, voice = settings.named("tts.model"), settings.named("tts.voice")
        return OpenAiSpeech(tts.url or "", model, voice, options, access)


class PlainSpeechServer(SpeechServer):
    """An HTTP route that takes the text in its URL or body and answers with sound."""

    api = "plain"
    own_settings = ("method", "body", "content_type")

    def settings_from_url(self, url: str) -> dict[str, object] | None:
        """Take an HTTP URL with ``{text}`` in it."""
        if urlsplit(url).scheme not in self.schemes or "{text}" not in url:
            return None
        return {"tts.api": self.api, "tts.url": url}

    def check(self, tts: TtsSettings) -> None:
        """Raise `UsageError` unless the text has one place in the URL or in the body."""
        from voicebench.remote.clients.plain_speech import SpeechRoute

        SpeechRoute(tts.url or "", tts.method, tts.body, tts.content_type)

    def wires(self, tts: TtsSettings) -> tuple[str, ...]:  # noqa: ARG002
        """Return both forms that an answer may have: several WAVs, or one."""
        return (HTTP_WAVS, HTTP_ONE_WAV)

    def open(self, settings: Settings, access: Access) -> Synthesizer:
        """Return the client."""
        from voicebench.remote.clients.plain_speech import PlainSpeech, SpeechRoute
        from voicebench.remote.sound.sound_format import SoundFormat

        tts = settings.tts
        route = SpeechRoute(tts.url or "", tts.method, tts.body, tts.content_type)
        sound = SoundFormat(tts.format, tts.encoding, tts.sample_rate, tts.channels)
        return PlainSpeech(route, sound, access)


class SocketSpeechServer(SpeechServer):
    """A WebSocket that takes text and gives sound; ``tts.socket`` has the protocol's words."""

    api = "socket"
    own_settings = ("socket",)
    schemes = ("ws", "wss")

    def check(self, tts: TtsSettings) -> None:
        """Raise `UsageError` for words that no protocol can be made of."""
        from voicebench.remote.clients.socket_dialect import read_dialect

        read_dialect(tts.socket)

    def wires(self, tts: TtsSettings) -> tuple[str, ...]:  # noqa: ARG002
        """Return the socket."""
        return (SPEECH_SOCKET,)

    def open(self, settings: Settings, access: Access) -> Synthesizer:
        """Return the client."""
        from voicebench.remote.clients.socket_dialect import read_dialect
        from voicebench.remote.clients.socket_speech import SocketSpeech
        from voicebench.remote.sound.sound_format import SoundFormat

        tts = settings.tts
        sound = SoundFormat(tts.format, tts.encoding, tts.sample_rate, tts.channels)
        return SocketSpeech(tts.url or "", read_dialect(tts.socket), sound, access)


SPEECH_SERVERS: tuple[SpeechServer, ...] = (
    OpenAiSpeechServer(),
    PlainSpeechServer(),
    SocketSpeechServer(),
)


def speech_server(tts: TtsSettings) -> SpeechServer:
    """Return the kind of server that ``tts.api`` names."""
    return next(server for server in SPEECH_SERVERS if server.api == tts.api)


def check_speech_server(tts: TtsSettings) -> None:
    """Raise `UsageError` for settings that cannot work with the server at ``tts.url``."""
    server = speech_server(tts)
    for other in SPEECH_SERVERS:
        for name in other.own_settings:
            if name in tts.model_fields_set and name not in server.own_settings:
                raise UsageError(
                    f"tts.{name} has no effect with tts.api = {tts.api!r}",
                    f"take it out, or set tts.api = {other.api!r}",
                )
    asked = server.asked_format(tts)
    for name in ("encoding", "channels"):
        if getattr(tts, name) is not None and asked not in ("auto", "pcm"):
            raise UsageError(
                f"tts.{name} describes raw PCM and has no effect on {asked}",
                "set tts.format = 'pcm', or take it out",
            )
    address_of(tts.url or "", *server.schemes)
    server.check(tts)
