"""Before any turn over a WebSocket: is it there, and which protocol does it speak?

A handshake costs nothing, so the likely right addresses are tried if the one that was given opens
none. What the server says to a new connection shows some protocols. The rest is left to the first
turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from voicebench.errors import CannotMeasure, EngineError, UsageError, VoicebenchError
from voicebench.remote.connection.access import Access, shown
from voicebench.remote.connection.websocket import SocketService
from voicebench.remote.failure import RemoteError
from voicebench.remote.formats.json_text import json_object
from voicebench.targets.likely_addresses import other_sockets
from voicebench.targets.preflight import PATIENCE

GREETING_S = 0.1
"""How long a new connection is listened to."""
_UNREACHABLE = "cannot be reached"


@dataclass(frozen=True, slots=True)
class AskedSocket:
    """One endpoint, the option that names it, and the usual paths of its protocol."""

    url: str
    access: Access
    option: str
    paths: tuple[str, ...]
    subprotocol: str | None = None


def explain_socket(error: VoicebenchError, asked: AskedSocket) -> VoicebenchError:
    """Return an error of opening a socket, with the address that opens one, if there is one.

    A server that says nothing is asked no more: each question would wait as long again.
    """
    if not isinstance(error, RemoteError) or error.stage != "connect" or error.fault == "timeout":
        return error
    is_down = _UNREACHABLE in error.message
    for url in other_sockets(asked.url, asked.paths, is_down=is_down):
        if _opens(url, asked):
            kind = CannotMeasure if is_down else UsageError
            joint = "" if asked.option.endswith("=") else " "
            # What is in a query may be a key.
            query = "?…" if urlsplit(url).query else ""
            right = f"{asked.option}{joint}{shown(url)}{query}"
            return kind(error.message, f"{shown(url)} opens one: {right}")
    return error


def explain_session(error: VoicebenchError) -> VoicebenchError:
    """Return an error of a Realtime session's beginning, with the option that mends it."""
    if not isinstance(error, RemoteError) or error.stage == "connect":
        return error
    words = error.message.lower()
    if "sends no session.created" in words or error.fault == "timeout":
        remedy = "does it speak another protocol? --target voice"
    elif "voice" in words.partition(" refuses ")[2]:
        remedy = "name a voice that the server has: --set server.voice=NAME"
    elif "model" in words.partition(" refuses ")[2]:
        remedy = "name a model that the server has: --server 'URL?model=NAME'"
    elif "refuses the session" in words:
        remedy = "does it speak the protocol's other version? --set server.dialect=beta, or ga"
    else:
        return error
    return CannotMeasure(error.message, remedy)


def check_greeting(messages: Iterable[str | bytes], shown_url: str, remedy: str) -> None:
    """Raise `UsageError` if a server's first words are those of OpenAI's Realtime protocol."""
    if any(is_realtime_greeting(message) for message in messages):
        raise UsageError(f"{shown_url} speaks OpenAI's Realtime protocol", remedy)


def is_realtime_greeting(message: str | bytes) -> bool:
    """Return whether a message is the first one of a Realtime session."""
    if isinstance(message, bytes):
        return False
    try:
        return json_object(message).get("type") == "session.created"
    except RemoteError:
        return False


def _opens(url: str, asked: AskedSocket) -> bool:
    """Return whether a WebSocket opens at ``url``. The key goes only to the same server."""
    is_same = urlsplit(url)[:2] == urlsplit(asked.url)[:2]
    access = replace(asked.access, deadline=None, timeouts=PATIENCE)
    if not is_same:
        access = replace(access, key=None, headers={})
    try:
        service = SocketService(url, access, "turn", subprotocol=asked.subprotocol)
        with closing(service):
            service.check()
    except (EngineError, UsageError):
        return False
    return True
