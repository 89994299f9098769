"""Pipecat's frames over a WebSocket: protocol buffers for sound and words, RTVI messages in JSON.

(Format: pipecat-ai, ``frames.proto``: Frame is one of TextFrame 1, AudioRawFrame 2,
TranscriptionFrame 3, MessageFrame 4, InterruptionFrame 5; AudioRawFrame has audio 3, sample_rate 4,
num_channels 5. RTVI: `voicebench.agents.rtvi`.) A pipeline stops its sound when it is interrupted,
and newer ones say so: a client drops then what was sent ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from voicebench.agents.rtvi import CLIENT_READY, RtviEvents
from voicebench.agents.wire_dialect import Answered, Message
from voicebench.audio.pcm import from_int16
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    CallerTranscript,
    ReplyText,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAR_RATE = 16_000
TEXT, AUDIO, TRANSCRIPTION, MESSAGE, INTERRUPTION = 1, 2, 3, 4, 5
Field = int | bytes


class PipecatDialect:
    """Frames of a Pipecat pipeline."""

    hear_rate = HEAR_RATE
    waits_for_ready = False

    def __init__(self) -> None:
        self._rtvi = RtviEvents()

    def opening(self) -> Iterable[Message]:
        """Return RTVI's ``client-ready``, which a pipeline without RTVI ignores."""
        return [framed(MESSAGE, encoded_field(1, CLIENT_READY.encode()))]

    def is_ready(self, _message: Message) -> bool:
        """Return False: there is no such message."""
        return False

    def frame(self, samples: NDArray[np.int16]) -> Iterable[Message]:
        """Return 20 ms as an AudioRawFrame."""
        return [audio_frame(samples, HEAR_RATE)]

    def closing(self) -> Iterable[Message]:
        """Return nothing: the connection is closed."""
        return []

    def take(self, message: Message) -> Iterator[AgentEvent | Answered]:
        """Yield what a frame means. Raises `ValueError` for one that is no protocol buffer."""
        if isinstance(message, str):
            raise ValueError("sends text where protocol buffers are expected")
        for kind, content in fields_of(message):
            if not isinstance(content, bytes):
                continue
            inner = dict(fields_of(content))
            if kind == AUDIO:
                yield from _sound(inner)
            elif kind == TRANSCRIPTION and (text := _words(inner, 3)):
                yield CallerTranscript(text)
            elif kind == TEXT and (text := _words(inner, 3)):
                yield ReplyText(text)
            elif kind == INTERRUPTION:
                yield AgentCleared()
            elif kind == MESSAGE:
                yield from self._rtvi.take(_words(inner, 1))


def _sound(fields: Mapping[int, Field]) -> Iterator[AgentEvent]:
    audio, rate, channels = fields.get(3, b""), fields.get(4, 0), fields.get(5, 1)
    if not isinstance(audio, bytes) or not isinstance(rate, int) or len(audio) % 2:
        raise ValueError("sends an audio frame that is not 16-bit samples")
    if channels != 1 or not 4000 <= rate <= 192_000:
        raise ValueError(f"sends an audio frame of {channels!r} channels at {rate} Hz")
    if audio:
        yield AgentAudio(from_int16(np.frombuffer(audio, dtype="<i2").astype(np.int16)), rate)


def _words(fields: Mapping[int, Field], number: int) -> str:
    value = fields.get(number, b"")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def audio_frame(samples: NDArray[np.int16], sample_rate: int) -> bytes:
    """Return ``samples`` as a Frame with an AudioRawFrame."""
    content = encoded_field(3, samples.astype("<i2").tobytes())
    return framed(AUDIO, content + encoded_field(4, sample_rate) + encoded_field(5, 1))


def is_frame(message: bytes) -> bool:
    """Return whether ``message`` is one Frame with nothing before or after it."""
    try:
        fields = list(fields_of(message))
    except ValueError:
        return False
    kinds = (TEXT, AUDIO, TRANSCRIPTION, MESSAGE)
    return len(fields) == 1 and fields[0][0] in kinds and isinstance(fields[0][1], bytes)


def framed(kind: int, content: bytes) -> bytes:
    """Return a Frame that holds ``content`` as its field ``kind``."""
    return encoded_field(kind, content)


def encoded_field(number: int, value: Field) -> bytes:
    """Return a field of a protocol buffer: a number as varint, bytes with their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def fields_of(content: bytes) -> Iterator[tuple[int, Field]]:
    """Yield the fields of a protocol buffer. Raises `ValueError` if it is not one."""
    at = 0
    while at < len(content):
        head, at = _read_varint(content, at)
        number, kind = head >> 3, head & 7
        if number == 0:
            raise ValueError("sends a binary message that is not a protocol buffer")
        if kind == 0:
            value, at = _read_varint(content, at)
            yield number, value
            continue
        length = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            length, at = _read_varint(content, at)
        if length is None or at + length > len(content):
            raise ValueError("sends a binary message that is not a protocol buffer")
        yield number, content[at : at + length]
        at += length


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 64:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("sends a binary message that is not a protocol buffer")
