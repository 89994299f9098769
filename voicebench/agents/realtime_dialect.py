"""OpenAI's Realtime protocol with the caller's voice as input.

(Format: OpenAI, "Realtime API: client events, server events", general availability of 2025; names
of the beta are known too.) The caller's sound goes into the input buffer in 20 ms pieces of base64,
16 bits at 24 kHz. The server decides when a turn is over. When it hears speech during an answer,
its client has to stop playing: the rest is dropped, and the server is told how much was heard
(``conversation.item.truncate``).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from voicebench.agents.playing_position import PlayingPosition
from voicebench.agents.wire_dialect import Answered, Message, as_text, table_in, text_under
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
from voicebench.remote.failure import message_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

PCM_RATE = 24_000
_SOUND = ("response.output_audio.delta", "response.audio.delta")
_SOUND_DONE = ("response.output_audio.done", "response.audio.done")
_TEXT = (
    *("response.output_audio_transcript.delta", "response.audio_transcript.delta"),
    *("response.output_text.delta", "response.text.delta"),
)
_HEARD = "conversation.item.input_audio_transcription.completed"


class RealtimeDialect:
    """A Realtime session with input audio."""

    hear_rate = PCM_RATE
    waits_for_ready = True

    def __init__(self, *, beta: bool = False, session: Mapping[str, object] | None = None) -> None:
        """``session`` is merged into the session's settings last."""
        self._beta = beta
        self._session = dict(session or {})
        self._position = PlayingPosition(PCM_RATE)
        self._item = ""
        self._dropped = ""
        """The item that was interrupted: what still comes of it is not played."""

    def opening(self) -> Iterable[Message]:
        """Return the session's settings: sound in and out, and turns detected by the server."""
        return [as_text({"type": "session.update", "session": self._settings() | self._session})]

    def closing(self) -> Iterable[Message]:
        """Return nothing: the connection is closed."""
        return []

    def is_ready(self, message: Message) -> bool:
        """Return whether the session has its settings."""
        return table_in(message).get("type") == "session.updated"

    def frame(self, samples: NDArray[np.int16]) -> Iterable[Message]:
        """Return 20 ms for the input buffer."""
        self._position.frame_passed()
        audio = base64.b64encode(samples.astype("<i2").tobytes()).decode()
        return [as_text({"type": "input_audio_buffer.append", "audio": audio})]

    def take(self, message: Message) -> Iterator[AgentEvent | Answered]:
        """Yield what an event means; an unknown one means nothing."""
        event = table_in(message)
        kind = event.get("type")
        if kind in _SOUND:
            yield from self._sound(event)
        elif kind in _TEXT and (text := text_under(event, "delta")):
            yield ReplyText(text)
        elif kind in _SOUND_DONE:
            yield ReplyComplete()
        elif kind == "input_audio_buffer.speech_started":
            yield from self._interrupted()
        elif kind == "input_audio_buffer.speech_stopped":
            yield SpeechEndSeen()
        elif kind == _HEARD and (text := text_under(event, "transcript").strip()):
            yield CallerTranscript(text)
        elif kind == "error":
            yield AgentFailed(f"reports an error: {message_in(json.dumps(event))}")
        elif kind == "response.done":
            yield from self._ended(event)

    def _settings(self) -> dict[str, object]:
        if self._beta:
            return {
                "modalities": ["audio", "text"],
                "input_audio_format": "pcm16",
                "output_audio_format": "pcm16",
                "turn_detection": {"type": "server_vad"},
            }
        pcm = {"type": "audio/pcm", "rate": PCM_RATE}
        return {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {
                "input": {"format": pcm, "turn_detection": {"type": "server_vad"}},
                "output": {"format": pcm},
            },
        }

    def _sound(self, event: Mapping[str, object]) -> Iterator[AgentEvent]:
        try:
            content = base64.b64decode(text_under(event, "delta"), validate=True)
        except (ValueError, binascii.Error):
            content = b""
        if not content or len(content) % 2:
            raise ValueError("sends sound that is not base64 of 16-bit samples")
        samples = np.frombuffer(content, dtype="<i2").astype(np.int16)
        item = text_under(event, "item_id")
        if item and item == self._dropped:
            return
        if item != self._item:
            self._item = item
            self._position.begin()
        self._position.add(samples.size)
        yield AgentAudio(from_int16(samples), PCM_RATE)

    def _interrupted(self) -> Iterator[AgentEvent | Answered]:
        """Stop playing, and say how much of the answer was heard."""
        if not self._position.is_playing:
            return
        heard_ms = self._position.clear()
        self._dropped = self._item
        yield AgentCleared()
        if self._item:
            yield Answered(
                as_text(
                    {
                        "type": "conversation.item.truncate",
                        "item_id": self._item,
                        "content_index": 0,
                        "audio_end_ms": heard_ms,
                    }
                )
            )

    @staticmethod
    def _ended(event: Mapping[str, object]) -> Iterator[AgentEvent]:
        response = event.get("response")
        if isinstance(response, Mapping) and response.get("status") == "failed":
            yield AgentFailed(f"failed to answer: {message_in(json.dumps(response))}")
