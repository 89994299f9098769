"""Sound in base64 within server-sent events, as OpenAI's ``stream_format: "sse"`` sends it.

Events of type ``speech.audio.delta`` hold sound; ``speech.audio.done`` is the end. The events are
read to the end of the body, so that an error counts even after that. Sound after the end cancels
the end. The first event of an unknown type is remarked.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping

from voicebench.events import Remark
from voicebench.remote.connection.peer import Peer
from voicebench.remote.failure import RemoteError, message_in
from voicebench.remote.formats.json_text import text_at
from voicebench.remote.formats.reported_failure import (
    failure_outside_events,
    names_failure,
    reported_failure,
    words_without_content,
)
from voicebench.remote.formats.sse import EventStream, ServerSentEvent

BASE64_PIECE = 1 << 16
"""Characters decoded at a time: a multiple of four, about a second of sound."""


class SseSound:
    """Takes the bytes of server-sent events and returns the bytes of the sound in them."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._events = EventStream()
        self._stray = ""
        self._has_types = self._is_done = self._has_remarked = False

    def feed(self, data: bytes) -> Iterator[bytes | Remark]:
        """Take the next bytes and yield the sound of the events that they complete.

        Raises `RemoteError` for an event that reports a failure or is not JSON.
        """
        yield from self._sound_of(self._events.feed(data))

    def last(self) -> Iterator[bytes | Remark]:
        """Yield the sound of an event that the end of the body left without its blank line."""
        self._stray = self._events.stray
        yield from self._sound_of(self._events.last())

    def finish(self, *, has_sound: bool) -> None:
        """Raise `RemoteError` where the body ended before the events said so.

        ``has_sound`` tells whether there was any sound. If not, text outside the events is quoted.
        """
        stray = self._peer.quote(message_in(self._stray))
        if stray and not has_sound:
            raise self._peer.failure(
                f"answers with an event stream without sound: {stray}", fault="audio"
            )
        self._peer.raise_reported(failure_outside_events(self._stray))
        if self._has_types and not self._is_done:
            raise self._peer.failure("stopped before the speech was complete", fault="audio")

    def _sound_of(self, events: Iterator[ServerSentEvent]) -> Iterator[bytes | Remark]:
        for event in events:
            text = event.data.strip()
            if text == "[DONE]":
                self._is_done = True
            elif text or names_failure(event.name):
                yield from self._read(event)

    def _read(self, event: ServerSentEvent) -> Iterator[bytes | Remark]:
        fields = self._peer.fields_of(event)
        self._peer.raise_reported(reported_failure(fields, event.name))
        kind = text_at(fields, "type") or event.name
        self._has_types |= kind.endswith(".delta")
        sound = _sound_in(fields, kind)
        if sound:
            self._is_done = False
            yield from decode_base64(sound)
        elif kind.endswith((".done", ".delta")):
            self._is_done |= kind.endswith(".done")
        else:
            self._peer.raise_reported(words_without_content(fields))
            if fields and not self._has_remarked:
                self._has_remarked = True
                shown = self._peer.quote(json.dumps(fields, ensure_ascii=False))
                yield Remark("unknown", shown)


def _sound_in(fields: Mapping[str, object], kind: str) -> str:
    """Return the sound of an event, in base64; the ``delta`` of a transcript is not sound."""
    may_hold_sound = not kind or "audio" in kind
    return text_at(fields, "audio") or (text_at(fields, "delta") if may_hold_sound else "")


def decode_base64(text: str) -> Iterator[bytes]:
    """Yield the bytes that ``text`` encodes, piece by piece; nothing for an empty text.

    Decoding 4 MB takes Python 20 ms. In pieces, the first sound is available before that. Raises
    `RemoteError` where ``text`` is not base64.
    """
    for begin in range(0, len(text), BASE64_PIECE):
        piece = text[begin : begin + BASE64_PIECE]
        try:
            if piece.endswith("=") and begin + BASE64_PIECE < len(text):
                raise ValueError("text after its end")
            yield base64.b64decode(piece, validate=True)
        except ValueError as error:
            raise RemoteError(f"sound that is not base64 ({error})", fault="protocol") from None
