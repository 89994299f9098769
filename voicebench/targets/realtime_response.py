"""One response of the Realtime protocol while its events arrive.

A server may still send sound of the response before. It must not count as this turn's first audio.
So an event counts only after ``response.created`` has announced the response, and only if it has no
other id. If a server announces no response, the turn fails.
"""

from __future__ import annotations

import binascii
import contextlib
from collections.abc import Iterator, Mapping, Sequence

from voicebench.events import AudioChunk, Event, Remark, ServerTiming, Token, TurnStopped, Usage
from voicebench.remote.connection.peer import Peer
from voicebench.remote.connection.socket_messages import Beginning, Incoming
from voicebench.remote.failure import RemoteError
from voicebench.remote.formats.json_text import TextDeltas, count_at, json_object, part, text_at
from voicebench.remote.formats.reported_failure import reported_failure
from voicebench.remote.formats.server_timing import server_duration_ms
from voicebench.remote.sound.sound_stream import PcmStream
from voicebench.remote.sound.speech import AnswerSpeech, SharedRate
from voicebench.remote.sound.sse_sound import BASE64_PIECE, decode_base64

_AUDIO = ("response.output_audio.delta", "response.audio.delta")
_TEXT = (
    "response.output_audio_transcript.delta",
    "response.audio_transcript.delta",
    "response.output_text.delta",
    "response.text.delta",
)
_PLAIN_KEYS = frozenset(
    {
        *("type", "event_id", "response_id", "item_id"),
        *("output_index", "content_index", "delta"),
    }
)
"""The keys of an event that holds sound, as the protocol describes it."""
NOTHING_TO_CANCEL = "response_cancel_not_active"
_NOT_OF_THE_RESPONSE = ("conversation.", "session.", "mcp", "rate_limits.")


class Response:
    """The response to one request, from its announcement to its end.

    ``rate`` is the sample rate in Hz, ``earlier`` the id of the response before.
    """

    def __init__(self, service: Peer, rate: int, earlier: str | None) -> None:
        self.id: str | None = None
        self.item_id: str | None = None
        """The id of the conversation item that is spoken."""
        self.received_s = 0.0
        """Seconds of its sound so far."""
        self.is_cancelled = False
        """Whether the client has cancelled it."""
        self.done = False
        self._announced = False
        self._service = service
        self._earlier = earlier
        self._sound = PcmStream("s16le", rate, 1)
        self._heard = AnswerSpeech(SharedRate())
        self._letters = TextDeltas()
        self._token_arrival = -1

    def take(self, incoming: Incoming | Beginning) -> Iterator[Event]:
        """Yield the events of the turn in ``incoming``.

        Raises `RemoteError` for a failure, and for content after the response's end.
        """
        self._heard.read_ns = incoming.read_ns
        if isinstance(incoming, Beginning):
            if self._announced:
                yield from self._heard.message_begins()
            return
        event = event_in(incoming.data, self._service)
        kind = text_at(event, "type")
        self._raise_failure(event, kind)
        if kind == "response.created" and not self._announced:
            self._announced = True
            self.id = _response_id(event) or None
        elif self._is_own(event, kind):
            if self.done and _holds_content(event, kind):
                raise self._service.failure(f"sends {kind} after the response's end")
            yield from self._take(event, kind, incoming)
        elif is_sound(event):
            yield Remark("late sound")
        self._heard.message_is_other()

    def take_plain(self, message: str | bytes) -> bytes | None:
        """Take a message with nothing but more sound, and return its samples (`SocketAnswer`)."""
        if isinstance(message, bytes) or self._heard.is_empty or self.done or self._sound.has_rest:
            return None
        with contextlib.suppress(RemoteError, ValueError):
            event = json_object(message)
            delta = event.get("delta")
            if not (
                event.keys() <= _PLAIN_KEYS
                and event.get("type") in _AUDIO
                and event.get("response_id") == self.id is not None
                and isinstance(delta, str)
                and 0 < len(delta) <= BASE64_PIECE
            ):
                return None
            samples = binascii.a2b_base64(delta, strict_mode=True)
            if len(samples) % 2:
                return None
            self.item_id = text_at(event, "item_id") or self.item_id
            self.received_s += len(samples) / 2 / self._sound.sample_rate
            self._heard.count(len(samples) // 2, self._sound.sample_rate)
            return samples
        return None

    def _raise_failure(self, event: Mapping[str, object], kind: str) -> None:
        """Raise the failure that ``event`` reports; `_finish` reads that of a response's end.

        A response that was over when it was cancelled has not failed.
        """
        if kind == "response.done" or kind.startswith(_NOT_OF_THE_RESPONSE):
            return
        if kind == "error" and text_at(event, "error", "code") == NOTHING_TO_CANCEL:
            return
        said = reported_failure(event)
        if said is not None and (kind == "error" or self._is_own(event, kind)):
            raise self._service.failure(
                f"answers with an error: {self._service.quote(said)}",
                fault="refused" if kind == "error" else "engine",
            )

    def _is_own(self, event: Mapping[str, object], kind: str) -> bool:
        """Return whether ``event`` is of this response: announced, with its id or with none."""
        event_id = _response_id(event)
        if not self._announced:
            # A refused response may end without an announcement.
            return kind == "response.done" and event_id != self._earlier
        return not event_id or self.id in (None, event_id)

    def _take(self, event: Mapping[str, object], kind: str, incoming: Incoming) -> Iterator[Event]:
        if kind in _AUDIO:
            self.item_id = text_at(event, "item_id") or self.item_id
            yield from self._take_sound(text_at(event, "delta"))
        elif kind in _TEXT:
            text = self._letters.take(text_at(event, "delta"))
            if text:
                joined = incoming.arrival == self._token_arrival
                yield Token(text, joined, read_ns=incoming.read_ns)
                self._token_arrival = incoming.arrival
        elif kind == "response.done":
            yield from self._finish(event)

    def _take_sound(self, delta: str) -> Iterator[Event]:
        for data in decode_base64(delta):
            for sound in self._heard.decode(data, self._sound):
                if isinstance(sound, AudioChunk):
                    self.received_s += sound.pcm.size / sound.sample_rate
                yield sound

    def _finish(self, event: Mapping[str, object]) -> Iterator[Event]:
        self._raise_unless_complete(event)
        if not self._announced:
            raise self._service.failure(
                "ends a response that it has not announced: it sends no response.created",
                "a sound of an earlier response could else be taken for this one's",
            )
        if text_at(event, "response", "status") == "cancelled":
            yield TurnStopped()
            self.done = True
            return
        self._letters.finish()
        self._sound.finish()
        details = ("response", "usage", "output_token_details", "text_tokens")
        tokens = count_at(event, *details)
        if tokens is not None:
            usage = part(event, "response", "usage")
            read = count_at(usage, "input_tokens")
            cached = count_at(usage, "input_token_details", "cached_tokens")
            contradicts = cached is not None and (read is None or cached > read)
            yield Usage(tokens, prompt_tokens=read, cached_tokens=None if contradicts else cached)
        timing = text_at(event, "response", "metadata", "server_timing")
        duration_ms = server_duration_ms({"server-timing": timing})
        if duration_ms is not None:
            yield ServerTiming(duration_ms)
        self.done = True

    def _raise_unless_complete(self, event: Mapping[str, object]) -> None:
        status = text_at(event, "response", "status")
        details = part(event, "response", "status_details")
        reason = text_at(details, "reason")
        if status == "cancelled" and self.is_cancelled:
            return
        # A reply that was cut off by its length limit still counts.
        if status in ("", "completed") or (status, reason) == ("incomplete", "max_output_tokens"):
            return
        said = text_at(details, "error", "message") or reason
        raise self._service.failure(
            f"ended the response as {status}" + (f": {self._service.quote(said)}" if said else ""),
            fault="engine",
        )


def late_sound(messages: Sequence[str | bytes]) -> Iterator[Remark]:
    """Yield a remark if one of ``messages``, which came between two responses, holds sound."""
    for message in messages:
        with contextlib.suppress(RemoteError):
            if isinstance(message, str) and is_sound(json_object(message)):
                yield Remark("late sound")
                return


def is_sound(event: Mapping[str, object]) -> bool:
    """Return whether ``event`` holds sound."""
    return text_at(event, "type") in _AUDIO and bool(text_at(event, "delta"))


def _holds_content(event: Mapping[str, object], kind: str) -> bool:
    return kind in (*_AUDIO, *_TEXT) and bool(text_at(event, "delta"))


def event_in(message: str | bytes, service: Peer) -> Mapping[str, object]:
    """Return the event in a message. Raises `RemoteError` for any other message."""
    if isinstance(message, bytes):
        raise service.failure(
            f"sends a binary message of {len(message)} bytes where an event in JSON is due"
        )
    return json_object(message)


def _response_id(event: Mapping[str, object]) -> str:
    return text_at(event, "response_id") or text_at(event, "response", "id")
