"""Targets that the reader can read, and how it reaches them.

It reads a cascade of two servers over plain HTTP (chat as server-sent events, speech as raw PCM in
the body), and the voice socket. Everything else (TLS, HTTP/2, proxies, compressed sound, other
sockets) is taken by a thread a call with the usual targets.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from voicebench.audio.pcm import AudibleRule
from voicebench.load.reading.cascade_way import CascadeWay
from voicebench.load.reading.read_turn import CascadeClients
from voicebench.load.reading.reading_loop import Where
from voicebench.remote.clients.http_engine import HttpSpeech
from voicebench.remote.clients.openai_chat import OpenAiChat
from voicebench.remote.connection.access import address_of
from voicebench.remote.connection.connecting import ConnectionAttempt, connect_tcp, resolve
from voicebench.remote.connection.peer import Peer
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.settings import Settings
from voicebench.targets.engine_opening import open_remote_llm, open_remote_tts

ReadableKind = Literal["cascade", "voice"]


def readable_kind(settings: Settings) -> ReadableKind | None:
    """Return how the reader reads the target of the settings; None if it cannot."""
    wire = settings.wire
    if wire.http2 or wire.proxy or wire.redirects or wire.cold_connection:
        return None
    if settings.run.target == "voice":
        return "voice" if urlsplit(settings.server.url or "").scheme == "ws" else None
    llm, tts = settings.llm, settings.tts
    plain = [urlsplit(url or "").scheme == "http" for url in (llm.url, tts.url)]
    if settings.run.target != "cascade" or not all(plain) or not llm.stream:
        return None
    is_raw = tts.api in ("openai", "plain") and tts.format == "pcm" and tts.stream_format != "sse"
    return "cascade" if is_raw else None


def cascade_clients(settings: Settings) -> CascadeClients:
    """Return the clients of both servers; they connect only if they are told to."""
    llm, tts = open_remote_llm(settings), open_remote_tts(settings)
    assert isinstance(llm, OpenAiChat)
    assert isinstance(tts, HttpSpeech)
    return CascadeClients(llm, tts)


def open_cascade_way(settings: Settings, rule: AudibleRule) -> CascadeWay:
    """Return what all turns share, with the servers' own names where none are set.

    Raises a `VoicebenchError` if a server does not answer.
    """
    clients = cascade_clients(settings)
    for client in (clients.llm, clients.tts):
        client.check()
        client.close()
    tts = settings.tts
    return CascadeWay(
        clients,
        SoundFormat("auto", tts.encoding, tts.sample_rate, tts.channels),
        settings.chunker.first_words,
        settings.chunker.later_words,
        settings.run.sequential,
        settings.wire.turn_s,
        rule,
    )


def where_is(url: str, peer: Peer) -> Where:
    """Return the address at ``url`` that takes a connection. Raises `RemoteError`."""
    attempt = ConnectionAttempt(peer)
    with connect_tcp(resolve(address_of(url, "http", "ws"), attempt), attempt) as sock:
        return int(sock.family), sock.getpeername()
