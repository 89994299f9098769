"""A turn's events as the bytes of an HTTP answer: sound, or speech as server-sent events.

If a turn fails in the middle of an answer whose form cannot report it (sound cannot), the
connection is closed without the answer's end, so that the client notices that it is incomplete.
"""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from voicebench.audio.pcm import to_int16
from voicebench.audio.wav_writer import wav_header
from voicebench.events import AudioChunk, Event
from voicebench.server.admission import RunningTurn
from voicebench.server.refusal import Refusal

SoundForm = Literal["pcm", "wav", "wav-chunks"]

NOTHING_TO_SAY = Refusal(
    400, "there is nothing in the text that can be pronounced", code="nothing_to_pronounce"
)


class Rendering(ABC):
    """How one turn is written; one object per turn."""

    content_type: str
    """Known when `take` or `finish` has returned the first bytes."""
    headers: Mapping[str, str] = MappingProxyType({})
    """Further headers; known at the same moment."""

    @abstractmethod
    def take(self, event: Event) -> bytes:
        """Return the bytes to send for ``event``, maybe none."""

    @abstractmethod
    def finish(self, turn: RunningTurn) -> bytes:
        """Return the last bytes. Raises `Refusal` if there is no answer."""

    def fail(self, refusal: Refusal) -> bytes | None:  # noqa: ARG002
        """Return bytes that report a failure; None if the form has no way to."""
        return None


class SoundWriter(Rendering):
    """16-bit mono samples: raw, as one WAV of unknown length, or as a WAV for each piece."""

    def __init__(self, form: SoundForm) -> None:
        self._form = form
        self._began = False
        self.content_type = "audio/wav"

    def take(self, event: Event) -> bytes:
        """Return the samples of a piece of audio, after a header if the form needs one."""
        if not isinstance(event, AudioChunk):
            return b""
        data = sample_bytes(event.pcm)
        # Raw samples in events have no content type that could give the rate.
        self.headers = {"x-sample-rate": str(event.sample_rate)}
        if self._form == "pcm":
            self.content_type = f"audio/pcm; rate={event.sample_rate}; channels=1; bits=16"
        elif self._form == "wav-chunks":
            data = wav_header(event.sample_rate, event.pcm.size) + data
        elif not self._began:
            data = wav_header(event.sample_rate) + data
        self._began = True
        return data

    def finish(self, turn: RunningTurn) -> bytes:  # noqa: ARG002
        """Return nothing. Raises `Refusal` if there was no sound."""
        if not self._began:
            raise NOTHING_TO_SAY
        return b""


class SpeechEvents(Rendering):
    """Sound in base64 in server-sent events, as with OpenAI's ``stream_format: "sse"``."""

    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, sound: SoundWriter, input_tokens: int) -> None:
        self._sound = sound
        self._input_tokens = input_tokens
        self._pieces = 0

    def take(self, event: Event) -> bytes:
        """Return the event that holds a piece of audio."""
        data = self._sound.take(event)
        if not data:
            return b""
        self.headers = self._sound.headers
        self._pieces += 1
        audio = base64.b64encode(data).decode("ascii")
        return server_sent({"type": "speech.audio.delta", "audio": audio})

    def finish(self, turn: RunningTurn) -> bytes:
        """Return the event that ends the speech, with this server's durations."""
        self._sound.finish(turn)
        return server_sent(
            {
                "type": "speech.audio.done",
                # Each model defines a token of speech; here it is a piece of audio.
                "usage": {
                    "input_tokens": self._input_tokens,
                    "output_tokens": self._pieces,
                    "total_tokens": self._input_tokens + self._pieces,
                },
                "timings": timings(turn),
            }
        )

    def fail(self, refusal: Refusal) -> bytes | None:
        """Return the event that reports a failure."""
        return server_sent({"type": "error", **refusal.content()})


def sample_bytes(pcm: NDArray[np.float32]) -> bytes:
    """Return samples as little-endian int16. ``pcm`` is float32 in [-1, 1], ``(samples,)``."""
    return to_int16(pcm).astype("<i2").tobytes()


def server_sent(content: Mapping[str, object]) -> bytes:
    """Return one server-sent event."""
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"


def timings(turn: RunningTurn) -> dict[str, float]:
    """Return this server's own durations of a turn, for its last message."""
    figures = turn.figures
    moments = {
        "queue_ms": figures.queue_ms,
        "first_token_ms": figures.first_token_ms,
        "first_audio_ms": figures.first_audio_ms,
        "total_ms": turn.elapsed_ms(),
    }
    return {name: round(moment, 3) for name, moment in moments.items() if moment is not None}
