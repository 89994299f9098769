"""The messages of a spoken call: plain PCM, and the media streams of a telephone service.

`PcmForm`: binary messages are 16-bit little-endian mono, the caller's at 16 kHz, the agent's at
24 kHz. JSON says the rest: ``{"type": "ready"}`` at first, then ``speech_stopped``, ``transcript``
(``text``, ``final``), ``reply`` (``text``), ``clear`` and ``complete``.

`TelephonyForm`: Twilio's media streams (format: Twilio, "Media Streams: WebSocket messages"). Sound
is µ-law at 8 kHz in base64, in both directions; ``clear`` takes back what was not played, and a
``mark`` follows a complete answer.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from voicebench.audio import g711
from voicebench.audio.pcm import to_int16
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    AgentFailed,
    CallerTranscript,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
)
from voicebench.server.inbox import Message, json_object
from voicebench.server.refusal import Refusal
from voicebench.server.resampling import PROTOCOL_RATE, Resampled
from voicebench.server.sound_rate import SoundRate

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMPLETE = "complete"


class Hangup(Exception):
    """The caller's service says that the call is over."""


class CallForm(Protocol):
    """One protocol, for one call."""

    rate: int
    """The rate of the caller's sound, in Hz."""

    def opening(self) -> Iterator[Message]:
        """Yield what is sent when the call begins."""
        ...

    def take(self, message: Message) -> NDArray[np.int16] | None:
        """Return the caller's samples in a message, or None.

        Raises `Refusal` for a message that breaks the protocol, `Hangup` at the call's end.
        """
        ...

    def give(self, event: AgentEvent) -> Iterator[Message]:
        """Yield the messages for an event of the agent."""
        ...


class PcmForm:
    """PCM in binary messages."""

    rate = 16_000

    def __init__(self) -> None:
        self._sound: Resampled | None = None

    def opening(self) -> Iterator[Message]:
        """Yield ``ready`` with both rates."""
        yield json.dumps({"type": "ready", "hear_rate": self.rate, "sample_rate": PROTOCOL_RATE})

    def take(self, message: Message) -> NDArray[np.int16] | None:
        """Return the samples of a binary message; a text may only say ``hang_up``."""
        if isinstance(message, bytes):
            return pcm_samples(message)
        kind = json_object(message).get("type")
        if kind == "hang_up":
            raise Hangup
        raise Refusal(400, f"{str(kind)[:60]!r} is not supported", param="type")

    def give(self, event: AgentEvent) -> Iterator[Message]:
        """Yield sound as it is, and JSON for the rest."""
        if isinstance(event, AgentAudio):
            if self._sound is None:
                self._sound = Resampled(event.sample_rate)
            data = self._sound.feed(event.pcm)
            if data:
                yield data
        elif isinstance(event, AgentCleared):
            yield json.dumps({"type": "clear"})
        elif isinstance(event, ReplyComplete):
            rest = self._sound.finish() if self._sound else b""
            if rest:
                yield rest
            yield json.dumps({"type": COMPLETE})
        elif isinstance(event, SpeechEndSeen):
            yield json.dumps({"type": "speech_stopped"})
        elif isinstance(event, CallerTranscript):
            yield json.dumps({"type": "transcript", "text": event.text, "final": event.final})
        elif isinstance(event, ReplyText):
            yield json.dumps({"type": "reply", "text": event.text})
        elif isinstance(event, AgentFailed):
            yield json.dumps({"error": {"message": event.reason}})


class TelephonyForm:
    """Twilio's media streams."""

    rate = g711.SAMPLE_RATE

    def __init__(self) -> None:
        g711.prepare("mulaw")
        self._stream = ""
        self._sound: SoundRate | None = None

    def opening(self) -> Iterator[Message]:
        """Yield nothing: the service speaks first."""
        yield from ()

    def take(self, message: Message) -> NDArray[np.int16] | None:
        """Return the samples of ``media``; note the stream of ``start``."""
        event = json_object(message)
        kind = event.get("event")
        if kind == "start":
            self._start(event.get("start"), event.get("streamSid"))
        elif kind == "media":
            return self._media(event.get("media"))
        elif kind == "stop":
            raise Hangup
        elif kind not in ("connected", "mark", "dtmf"):
            raise Refusal(400, f"{str(kind)[:60]!r} is not supported", param="event")
        return None

    def give(self, event: AgentEvent) -> Iterator[Message]:
        """Yield ``media``, ``clear`` and ``mark``; the protocol has no words."""
        if isinstance(event, AgentAudio):
            if self._sound is None:
                self._sound = SoundRate(event.sample_rate, self.rate)
            yield from self._media_of(self._sound.feed(event.pcm))
        elif isinstance(event, AgentCleared):
            yield self._message("clear")
        elif isinstance(event, ReplyComplete):
            if self._sound is not None:
                yield from self._media_of(self._sound.finish())
            yield self._message("mark", mark={"name": COMPLETE})

    def _media_of(self, pcm: NDArray[np.float32]) -> Iterator[Message]:
        codes = g711.encode(to_int16(pcm), "mulaw").tobytes()
        if codes:
            payload = base64.b64encode(codes).decode("ascii")
            yield self._message("media", media={"payload": payload})

    def _start(self, start: object, stream: object) -> None:
        fields = start if isinstance(start, dict) else {}
        name = stream or fields.get("streamSid")
        if not isinstance(name, str) or not 0 < len(name) <= 64:
            raise Refusal(400, "a start has a streamSid of up to 64 characters", param="streamSid")
        self._stream = name
        form = fields.get("mediaFormat")
        wanted = ("audio/x-mulaw", self.rate, 1)
        if isinstance(form, dict) and wanted != tuple(
            form.get(key) for key in ("encoding", "sampleRate", "channels")
        ):
            raise Refusal(400, "only audio/x-mulaw with 8000 Hz is heard", param="mediaFormat")

    def _media(self, media: object) -> NDArray[np.int16] | None:
        if not self._stream:
            raise Refusal(400, "media before start", param="event")
        fields = media if isinstance(media, dict) else {}
        if fields.get("track", "inbound") != "inbound":
            return None
        codes = base64_bytes(fields.get("payload"), "media.payload")
        return g711.decode(np.frombuffer(codes, np.uint8), "mulaw")

    def _message(self, kind: str, **fields: object) -> str:
        return json.dumps({"event": kind, "streamSid": self._stream, **fields})


def pcm_samples(content: bytes) -> NDArray[np.int16]:
    """Return 16-bit little-endian samples. Raises `Refusal` for half a sample."""
    if len(content) % 2:
        raise Refusal(400, "a binary message has whole 16-bit samples", param="audio")
    return np.frombuffer(content, "<i2").astype(np.int16)


def base64_bytes(text: object, param: str) -> bytes:
    """Return the bytes in base64 ``text``. Raises `Refusal`."""
    try:
        if isinstance(text, str):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise Refusal(400, f"{param} is not base64", param=param)
