"""How the reader reaches both servers of a cascade: their clients, names and addresses."""

from __future__ import annotations

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
