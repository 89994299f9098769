"""Targets that the reader can read.

It reads the voice WebSocket and the Realtime protocol, and a cascade of two servers over plain
HTTP: chat as server-sent events, speech as raw PCM in the body. Everything else (TLS, HTTP/2,
proxies, compressed sound, a synthesizer behind a WebSocket) is taken by a thread a call with the
usual targets.
"""

from __future__ import annotations

import sys
from typing import Literal
from urllib.parse import urlsplit

from voicebench.settings import Settings

Over = Literal["http", "websocket", "realtime"]
"""A transport that the reader reads; ``websocket`` is the voice socket."""
CAN_WAIT_FOR_PIPES = sys.platform != "win32"
"""The loop waits for sockets and for a pipe at once."""


def is_readable(settings: Settings) -> bool:
    """Return whether the reader can read the target of the settings."""
    return transport_of(settings) is not None


def transport_of(settings: Settings) -> Over | None:
    """Return how the reader reads the target of the settings; None if it cannot."""
    wire, llm, tts = settings.wire, settings.llm, settings.tts
    if not CAN_WAIT_FOR_PIPES:
        return None
    if wire.http2 or wire.proxy or wire.redirects or wire.cold_connection:
        return None
    if settings.run.target in ("voice", "realtime"):
        if urlsplit(settings.server.url or "").scheme != "ws":
            return None
        return "realtime" if settings.run.target == "realtime" else "websocket"
    plain = [urlsplit(url or "").scheme == "http" for url in (llm.url, tts.url)]
    if settings.run.target != "cascade" or not all(plain) or not llm.stream:
        return None
    is_raw = tts.api in ("openai", "plain") and tts.format == "pcm" and tts.stream_format != "sse"
    return "http" if is_raw else None
