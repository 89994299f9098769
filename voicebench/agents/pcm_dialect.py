"""Plain PCM over a WebSocket: binary messages are sound in both directions, JSON has the rest.

The caller sends 20 ms in each binary message. Which message of the agent means what is set by
``[call.socket]``: a table is recognized if a message has all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np

from voicebench.agents.pipecat_dialect import is_frame
from voicebench.agents.wire_dialect import Answered, Message, as_text, table_in, text_under
from voicebench.audio import g711
from voicebench.audio.pcm import from_int16
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
from voicebench.errors import UsageError
from voicebench.remote.formats.json_text import has_all
from voicebench.remote.formats.reported_failure import reported_failure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.settings import CallSettings

Table = Mapping[str, object]
SampleCoding = Literal["s16le", "mulaw", "alaw"]
CODINGS: tuple[SampleCoding, ...] = ("s16le", "mulaw", "alaw")


@dataclass(frozen=True, slots=True)
class SocketWords:
    """The messages of one kind of agent; see docs/how-to/calls.md."""

    opening: tuple[Table | str, ...] = ()
    """Sent when the connection is open."""
    ready: Table | None = None
    """Awaited before the first frame."""
    clear: Table | None = None
    """The agent takes back what was not played. Default: ``type = "clear"``."""
    endpoint: Table | None = None
    """The agent takes the caller's turn as over. Default: ``type = "speech_stopped"``."""
    complete: Table | None = None
    """All sound of the answer was sent. Default: ``type = "complete"``."""
    transcript: Table | None = None
    """Words of the caller, in ``text``; with ``final = false`` they are provisional. Default:
    ``type = "transcript"``."""
    reply: Table | None = None
    """Words of the answer, in ``text``. Default: ``type = "reply"``."""
    text: str = "text"
    """The key that has the words of both."""
    hang_up: tuple[Table | str, ...] = ()
    """Sent at the end of the call."""


_DEFAULTS: Mapping[str, Table] = {
    "clear": {"type": "clear"},
    "endpoint": {"type": "speech_stopped"},
    "complete": {"type": "complete"},
    "transcript": {"type": "transcript"},
    "reply": {"type": "reply"},
}


def read_words(table: Table) -> SocketWords:
    """Return the words that ``[call.socket]`` describes. Raises `UsageError`."""
    known = [field.name for field in fields(SocketWords)]
    values: dict[str, object] = {}
    for name, value in table.items():
        if name not in known:
            raise UsageError(f"unknown key 'call.socket.{name}'", f"use {', '.join(known)}")
        values[name] = _read(name, value)
    return SocketWords(**values)  # type: ignore[arg-type]


def _read(name: str, value: object) -> object:
    if name in ("opening", "hang_up"):
        listed = [value] if isinstance(value, str | Mapping) else value
        if isinstance(listed, list) and all(isinstance(one, str | Mapping) for one in listed):
            return tuple(listed)
    elif name == "text":
        if isinstance(value, str) and value:
            return value
    elif isinstance(value, Mapping) and value:
        return value
    raise UsageError(
        f"call.socket.{name} = {value!r:.60} is not allowed",
        f'write what the message has, for example {name} = {{ type = "…" }}',
    )


class PcmDialect:
    """PCM in binary messages, with the words of the settings."""

    def __init__(self, settings: CallSettings) -> None:
        """Read the words. Raises `UsageError`."""
        if settings.encoding not in CODINGS:
            raise UsageError(
                f"call.encoding = {settings.encoding!r:.40} is unknown", f"use {', '.join(CODINGS)}"
            )
        self.hear_rate = settings.hear_rate
        self._coding = next(one for one in CODINGS if one == settings.encoding)
        self._speak_rate = settings.speak_rate
        self._words = read_words(settings.socket)
        self._odd = b""
        self._heard = False

    @property
    def waits_for_ready(self) -> bool:
        """Whether a message is awaited before the first frame."""
        return self._words.ready is not None

    def opening(self) -> Iterable[Message]:
        """Return what is sent when the connection is open."""
        return [_written(one) for one in self._words.opening]

    def closing(self) -> Iterable[Message]:
        """Return what is sent at the end."""
        return [_written(one) for one in self._words.hang_up]

    def is_ready(self, message: Message) -> bool:
        """Return whether the message has all of ``ready``."""
        if isinstance(message, bytes) or self._words.ready is None:
            return False
        return has_all(table_in(message), self._words.ready)

    def frame(self, samples: NDArray[np.int16]) -> Iterable[Message]:
        """Return 20 ms as one binary message."""
        return [encoded(samples, self._coding)]

    def take(self, message: Message) -> Iterator[AgentEvent | Answered]:
        """Yield the sound, or what the JSON means; other messages mean nothing."""
        if isinstance(message, bytes):
            yield from self._sound(message)
            return
        table = table_in(message)
        if table.get("type") == "session.created":
            yield AgentFailed("speaks OpenAI's Realtime protocol: --set call.api=realtime")
        failure = reported_failure(table)
        if failure is not None:
            yield AgentFailed(f"reports an error: {failure}")
        text = text_under(table, self._words.text)
        if self._means(table, "clear") or self._means(table, "complete"):
            self._odd = b""  # half a sample at the end of an answer is no part of the next one
        if self._means(table, "clear"):
            yield AgentCleared()
        elif self._means(table, "endpoint"):
            yield SpeechEndSeen()
        elif self._means(table, "complete"):
            yield ReplyComplete()
        elif self._means(table, "transcript") and text:
            yield CallerTranscript(text, final=table.get("final") is not False)
        elif self._means(table, "reply") and text:
            yield ReplyText(text)
        rate = table.get("sample_rate")
        if isinstance(rate, int) and rate != self._speak_rate:
            yield AgentFailed(
                f"says that its sound has {rate} Hz, and call.speak_rate is {self._speak_rate}; "
                f"--set call.speak_rate={rate}"
            )

    def _sound(self, message: bytes) -> Iterator[AgentEvent]:
        if not self._heard and is_frame(message):
            yield AgentFailed("sends Pipecat's frames: --set call.api=pipecat")
            return
        self._heard = True
        content = self._odd + message
        whole = len(content) - len(content) % (2 if self._coding == "s16le" else 1)
        self._odd = content[whole:]
        if whole:
            yield AgentAudio(from_int16(decoded(content[:whole], self._coding)), self._speak_rate)

    def _means(self, table: Table, name: str) -> bool:
        wanted = getattr(self._words, name) or _DEFAULTS[name]
        return has_all(table, wanted)


def encoded(samples: NDArray[np.int16], coding: SampleCoding) -> bytes:
    """Return the bytes of ``samples`` in one of `CODINGS`."""
    if coding == "s16le":
        return samples.astype("<i2").tobytes()
    return g711.encode(samples, coding).tobytes()


def decoded(content: bytes, coding: SampleCoding) -> NDArray[np.int16]:
    """Return the samples of whole frames in one of `CODINGS`."""
    if coding == "s16le":
        return np.frombuffer(content, dtype="<i2").astype(np.int16)
    return g711.decode(np.frombuffer(content, dtype=np.uint8), coding)


def _written(message: Table | str) -> str:
    return message if isinstance(message, str) else as_text(message)
