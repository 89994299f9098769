"""From settings to engines and targets behind a wire."""

from __future__ import annotations

from pathlib import Path

from voicebench.errors import UsageError
from voicebench.pipeline.protocols import LanguageModel, Synthesizer
from voicebench.remote.connection.access import Access, ApiKey
from voicebench.remote.connection.timeouts import Timeouts, TurnDeadline
from voicebench.settings import PeerSettings, Settings, secrets_of
from voicebench.targets import Target


def open_remote_llm(settings: Settings, deadline: TurnDeadline | None) -> LanguageModel:
    """Return the language model at ``llm.url``. Raises `UsageError` for what cannot be."""
    from voicebench.remote.clients.openai_chat import ChatOptions, OpenAiChat

    llm = settings.llm
    options = ChatOptions(
        max_tokens=llm.max_tokens,
        temperature=llm.temperature,
        seed=llm.seed,
        system_prompt=llm.system_prompt,
        stream=llm.stream,
        extra=llm.extra,
    )
    assert llm.url is not None
    return OpenAiChat(
        llm.url, settings.named("llm.model"), options, _access(llm, settings, deadline)
    )


def open_remote_tts(settings: Settings, deadline: TurnDeadline | None) -> Synthesizer:
    """Return the synthesizer at ``tts.url``. Raises `UsageError` for what cannot be."""
    from voicebench.remote.sound.sound_format import SoundFormat

    tts = settings.tts
    assert tts.url is not None
    access = _access(tts, settings, deadline)
    sound = SoundFormat(tts.format, tts.encoding, tts.sample_rate, tts.channels)
    if tts.api == "openai":
        from voicebench.remote.clients.openai_speech import OpenAiSpeech, SpeechOptions

        options = SpeechOptions(
            response_format="wav" if tts.format == "auto" else tts.format,
            sample_rate=tts.sample_rate,
            encoding=tts.encoding,
            channels=tts.channels,
            stream_format=tts.stream_format,
            extra=tts.extra,
        )
        model, voice = settings.named("tts.model"), settings.named("tts.voice")
        return OpenAiSpeech(tts.url, model, voice, options, access)
    if tts.api == "plain":
        from voicebench.remote.clients.plain_speech import PlainSpeech, SpeechRoute

        route = SpeechRoute(tts.url, tts.method, tts.body, tts.content_type)
        return PlainSpeech(route, sound, access)
    from voicebench.remote.clients.socket_dialect import read_dialect
    from voicebench.remote.clients.socket_speech import SocketSpeech

    return SocketSpeech(tts.url, read_dialect(tts.socket), sound, access)


def open_server(settings: Settings) -> Target:
    """Return the endpoint at ``server.url`` that does the whole turn."""
    server = settings.server
    if server.url is None:
        raise UsageError(
            f"target {settings.run.target!r} needs the server's URL",
            "give --server ws://127.0.0.1:8765/v1/voice",
        )
    access = _access(server, settings, None)
    if settings.run.target == "voice":
        from voicebench.targets.voice_socket import VoiceSocket

        return VoiceSocket(server.url, access)
    from voicebench.targets.realtime import Realtime, RealtimeOptions

    options = RealtimeOptions(
        dialect=server.dialect,
        voice=server.voice,
        instructions=server.instructions,
        out_of_band=server.out_of_band,
    )
    return Realtime(server.url, options, access)


def _access(
    peer: PeerSettings,
    settings: Settings,
    deadline: TurnDeadline | None,
) -> Access:
    key, wire = None, settings.wire
    if peer.key_env is not None:
        key = ApiKey(peer.key_env, peer.key_header, peer.key_scheme)
    return Access(
        timeouts=Timeouts(wire.connect_s, wire.first_byte_s, wire.between_bytes_s, wire.turn_s),
        key=key,
        headers=peer.headers,
        http2=wire.http2,
        cold=wire.cold_connection,
        redirects=wire.redirects,
        proxy=wire.proxy,
        ca_file=Path(wire.ca_file) if wire.ca_file else None,
        deadline=deadline,
        hidden=secrets_of(settings),
    )
