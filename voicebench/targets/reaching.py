"""How servers are reached: with which key, headers and limits; and whether they answer at all."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from voicebench.pipeline.protocols import LanguageModel, Synthesizer
from voicebench.remote import Remote
from voicebench.remote.connection.access import Access, ApiKey
from voicebench.remote.connection.timeouts import Timeouts, TurnDeadline
from voicebench.settings import PeerSettings, Settings, secrets_of
from voicebench.targets import Target

_Peer = TypeVar("_Peer", Target, LanguageModel, Synthesizer)


def reached(peer: _Peer) -> _Peer:
    """Return ``peer`` with its connection open. Raises `CannotMeasure` naming its URL."""
    assert isinstance(peer, Remote)
    try:
        peer.check()
    except BaseException:
        peer.close()
        raise
    return peer


def access_to(
    peer: PeerSettings,
    settings: Settings,
    deadline: TurnDeadline | None = None,
) -> Access:
    """Return how ``peer`` is reached by the settings. Raises `UsageError` for a malformed key."""
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
