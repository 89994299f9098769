"""A turn's events as the bytes of an HTTP answer: sound in its forms, speech as events.

A `Rendering` turns one event into what is sent for it, at once. Where a form cannot say what went
wrong in mid-answer (sound cannot), the connection is broken off: a client must not take half an
answer for a whole one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Literal, Protocol

from voicebench.audio.pcm import to_int16
from voicebench.audio.wav_writer import wav_header
from voicebench.events import AudioChunk, Event
from voicebench.server.admission import RunningTurn
from voicebench.server.refusal import Refusal

SoundForm = Literal["pcm", "wav", "wav-chunks"]

NOTHING_TO_SAY = Refusal(
    400, "there is nothing in the text that can be pronounced", code="nothing_to_pronounce"
)


class Rendering(Protocol):
    """How one turn is written down; one object a turn."""

    content_type: str
    """Known once `take` or `finish` has given the first bytes."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return what else the head says; known at the same moment."""
        ...

    def take(self, event: Event) -> bytes:
        """Return what is to be sent for ``event``, maybe nothing."""
        ...

    def finish(self, turn: RunningTurn, /) -> bytes:
        """Return what is to be sent at the end. Raises `Refusal` where there is no answer."""
        ...

    def fail(self, refusal: Refusal, /) -> bytes | None:
        """Return what tells a client that the rest will not come; None: break off."""
        ...


class SoundWriter:
    """16-bit mono samples: raw, as one WAV of unknown length, or as a WAV for each piece."""

    def __init__(self, form: SoundForm) -> None:
        self._form = form
        self._began = False
        self.content_type = "audio/wav"
        self.headers: dict[str, str] = {}

    def take(self, event: Event) -> bytes:
        """Return the samples of a piece of audio, and before them a header where one is due."""
        if not isinstance(event, AudioChunk):
            return b""
        data = sample_bytes(event)
        # Raw samples in events have no content type of their own that could say it.
        self.headers = {"x-sample-rate": str(event.sample_rate)}
        if self._form == "pcm":
            self.content_type = f"audio/pcm; rate={event.sample_rate}; channels=1; bits=16"
        elif self._form == "wav-chunks":
            data = wav_header(event.sample_rate, event.pcm.size) + data
        elif not self._began:
            data = wav_header(event.sample_rate) + data
        self._began = True
        return data

    def finish(self, _turn: RunningTurn | None = None) -> bytes:
        """Return nothing more. Raises `Refusal` where nothing could be pronounced."""
        if not self._began:
            raise NOTHING_TO_SAY
        return b""

    def fail(self, _refusal: Refusal) -> bytes | None:
        """Break off: sound has no words for it."""
        return None


class SpeechEvents:
    """SoundWriter in base64 within server-sent events, as OpenAI's ``stream_format: "sse"``."""

    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, sound: SoundWriter, input_tokens: int) -> None:
        self._sound = sound
        self._input_tokens = input_tokens
        self._pieces = 0

    @property
    def headers(self) -> Mapping[str, str]:
        """Say the rate of the sound."""
        return self._sound.headers

    def take(self, event: Event) -> bytes:
        """Return the event that holds a piece of audio."""
        data = self._sound.take(event)
        if not data:
            return b""
        self._pieces += 1
        audio = base64.b64encode(data).decode("ascii")
        return server_sent({"type": "speech.audio.delta", "audio": audio})

    def finish(self, turn: RunningTurn) -> bytes:
        """Return the event that ends the speech, with what this server took for it."""
        self._sound.finish()
        return server_sent(
            {
                "type": "speech.audio.done",
                # What a token of speech is, every model decides for itself; here: a piece of audio.
                "usage": {
                    "input_tokens": self._input_tokens,
                    "output_tokens": self._pieces,
                    "total_tokens": self._input_tokens + self._pieces,
                },
                "timings": timings(turn),
            }
        )

    def fail(self, refusal: Refusal) -> bytes | None:
        """Return the event that tells of a failure."""
        return server_sent({"type": "error", **refusal.content()})


def sample_bytes(event: AudioChunk) -> bytes:
    """Return the samples as little-endian int16."""
    return to_int16(event.pcm).astype("<i2").tobytes()


def server_sent(content: Mapping[str, object]) -> bytes:
    """Return one server-sent event."""
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"


def timings(turn: RunningTurn) -> dict[str, float]:
    """Return this server's own durations of a turn, for the message that closes it."""
    figures = turn.figures
    moments = {
        "queue_ms": figures.queue_ms,
        "first_token_ms": figures.first_token_ms,
        "first_audio_ms": figures.first_audio_ms,
        "total_ms": turn.elapsed_ms(),
    }
    return {name: round(moment, 3) for name, moment in moments.items() if moment is not None}
