"""Settings that would have no effect on what is measured: refused before anything is loaded.

A setting that reaches nobody is worse than an unknown one: the figures look as if it had worked.
"""

from __future__ import annotations

from voicebench.errors import UsageError
from voicebench.remote.connection.access import ApiKey, address_of, check_headers
from voicebench.settings import Settings, TtsSettings

_OF_A_CASCADE = ("llm", "chunker", "tts")
_OF_ONE_API = {
    "voice": "openai",
    "model": "openai",
    "stream_format": "openai",
    "extra": "openai",
    "method": "plain",
    "body": "plain",
    "content_type": "plain",
    "socket": "socket",
}
"""Settings of ``[tts]`` that only one kind of server is told of."""
_OF_REALTIME = ("dialect", "instructions", "out_of_band", "voice")
"""Settings of ``[server]`` that only a Realtime session is told of."""


def check_keys(settings: Settings) -> None:
    """Refuse a key that stands in plain text where none belongs, whatever the target is.

    Raises `UsageError`.
    """
    for peer in (settings.llm, settings.tts, settings.server):
        check_headers(peer.headers)
        if peer.key_env is not None:
            ApiKey(peer.key_env, peer.key_header, peer.key_scheme)


def check_whole_turn(settings: Settings) -> None:
    """Refuse what is set of the parts of a turn that one endpoint does as a whole.

    Raises `UsageError`.
    """
    for section in _OF_A_CASCADE:
        for name in sorted(getattr(settings, section).model_fields_set):
            raise UsageError(
                f"{section}.{name} has no effect with target {settings.run.target!r}: "
                "the server does the whole turn with what it has",
                "take it out, or measure the server's chat and speech routes: --server http://…",
            )
    if settings.run.target != "realtime":
        for name in _OF_REALTIME:
            if name in settings.server.model_fields_set:
                raise UsageError(
                    f"server.{name} has no effect with target {settings.run.target!r}: it is of a "
                    "Realtime session",
                    "take it out, or set run.target = 'realtime'",
                )


def check_remote_engines(settings: Settings) -> None:
    """Refuse what the servers of a cascade cannot be asked for. Raises `UsageError`."""
    for name in sorted(settings.server.model_fields_set):
        raise UsageError(
            f"server.{name} has no effect with target 'cascade': it is of one endpoint that does "
            "the whole turn",
            "set llm.url and tts.url, or run.target = 'voice' or 'realtime'",
        )
    if settings.llm.url is not None:
        address_of(settings.llm.url, "http", "https")
    tts = settings.tts
    if tts.url is None:
        return
    _check_api(tts)
    _check_raw(tts)
    address_of(tts.url, *(("ws", "wss") if tts.api == "socket" else ("http", "https")))
    if tts.api == "plain":
        from voicebench.remote.clients.plain_speech import SpeechRoute

        SpeechRoute(tts.url, tts.method, tts.body, tts.content_type)
    elif tts.api == "socket":
        from voicebench.remote.clients.socket_dialect import read_dialect

        read_dialect(tts.socket)


def _check_api(tts: TtsSettings) -> None:
    for name, api in _OF_ONE_API.items():
        if name in tts.model_fields_set and tts.api != api:
            raise UsageError(
                f"tts.{name} has no effect with tts.api = {tts.api!r}",
                f"take it out, or set tts.api = {api!r}",
            )


def _check_raw(tts: TtsSettings) -> None:
    """Refuse words about raw PCM where something else is asked for."""
    kind = "wav" if (tts.api, tts.format) == ("openai", "auto") else tts.format
    for name in ("encoding", "channels"):
        if getattr(tts, name) is not None and kind not in ("auto", "pcm"):
            raise UsageError(
                f"tts.{name} is of raw PCM and has no effect on {kind}, which is asked for",
                "set tts.format = 'pcm', or take it out",
            )
