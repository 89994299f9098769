"""The agent's end of each protocol, for scripted agents: how they hear a caller and answer him."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from voicebench.agents import pipecat_dialect as pipecat
from voicebench.agents.wire_dialect import Message, as_text, table_in, text_under
from voicebench.audio import g711
from voicebench.audio.pcm import to_int16
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    CallerTranscript,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


class AgentWire(Protocol):
    """One protocol, as a server speaks it."""

    rate: int
    """The rate of its sound in Hz."""

    def heard(self, message: Message) -> NDArray[np.int16] | None:
        """Return the caller's sound in ``message``; None if it has none."""
        ...

    def replies(self, message: Message | None) -> Iterable[Message]:
        """Return what is sent back at once: to ``message``, or None at the begin of the call."""
        ...

    def messages(self, event: AgentEvent) -> Iterable[Message]:
        """Return the messages of an event."""
        ...


class _Quiet:
    def replies(self, _message: Message | None) -> Iterable[Message]:
        return []


class PcmWire(_Quiet):
    """PCM in binary messages, with the default words."""

    rate = 16_000

    def heard(self, message: Message) -> NDArray[np.int16] | None:
        """Return the samples of a binary message."""
        if isinstance(message, str):
            return None
        return np.frombuffer(message, dtype="<i2").astype(np.int16)

    def messages(self, event: AgentEvent) -> Iterable[Message]:
        """Return the event's one message."""
        found: dict[str, object] = {}
        match event:
            case AgentAudio(pcm, _):
                return [to_int16(pcm).astype("<i2").tobytes()]
            case AgentCleared():
                found = {"type": "clear"}
            case SpeechEndSeen():
                found = {"type": "speech_stopped"}
            case ReplyComplete():
                found = {"type": "complete"}
            case CallerTranscript(text, final):
                found = {"type": "transcript", "text": text, "final": final}
            case ReplyText(text):
                found = {"type": "reply", "text": text}
        return [as_text(found)] if found else []


class RealtimeWire:
    """OpenAI's Realtime with input audio."""

    rate = 24_000

    def __init__(self) -> None:
        self._item = 0

    def heard(self, message: Message) -> NDArray[np.int16] | None:
        """Return what was appended to the input buffer."""
        table = table_in(message)
        if table.get("type") != "input_audio_buffer.append":
            return None
        content = base64.b64decode(text_under(table, "audio"))
        return np.frombuffer(content, dtype="<i2").astype(np.int16)

    def replies(self, message: Message | None) -> Iterable[Message]:
        """Announce the session, and confirm its settings."""
        if message is None:
            return [as_text({"type": "session.created", "session": {"model": "scripted"}})]
        if table_in(message).get("type") == "session.update":
            return [as_text({"type": "session.updated", "session": {"model": "scripted"}})]
        return []

    def messages(self, event: AgentEvent) -> Iterable[Message]:
        """Return the events of the server."""
        found: dict[str, object] = {}
        match event:
            case AgentAudio(pcm, _):
                sound = base64.b64encode(to_int16(pcm).astype("<i2").tobytes()).decode()
                item = f"item_{self._item}"
                found = {"type": "response.output_audio.delta", "item_id": item, "delta": sound}
            case AgentCleared():
                found = {"type": "input_audio_buffer.speech_started"}
            case SpeechEndSeen():
                self._item += 1
                found = {"type": "input_audio_buffer.speech_stopped"}
            case ReplyComplete():
                found = {"type": "response.output_audio.done"}
            case CallerTranscript(text, _):
                kind = "conversation.item.input_audio_transcription.completed"
                found = {"type": kind, "transcript": text}
            case ReplyText(text):
                found = {"type": "response.output_audio_transcript.delta", "delta": text}
        return [as_text(found)] if found else []


class TelephonyWire(_Quiet):
    """Media streams in \u00b5-law; they have no words."""

    rate = 8000

    def __init__(self) -> None:
        g711.prepare("mulaw")

    def heard(self, message: Message) -> NDArray[np.int16] | None:
        """Return the sound of a media message."""
        table = table_in(message)
        if table.get("event") != "media":
            return None
        content = base64.b64decode(text_under(table, "media", "payload"))
        return g711.decode(np.frombuffer(content, dtype=np.uint8), "mulaw")

    def messages(self, event: AgentEvent) -> Iterable[Message]:
        """Return media, clear and mark."""
        found: Mapping[str, object] = {}
        match event:
            case AgentAudio(pcm, _):
                sound = base64.b64encode(g711.encode(to_int16(pcm), "mulaw").tobytes()).decode()
                found = {"event": "media", "media": {"payload": sound}}
            case AgentCleared():
                found = {"event": "clear"}
            case ReplyComplete():
                found = {"event": "mark", "mark": {"name": "end"}}
            case _:
                pass
        return [as_text(found)] if found else []


class PipecatWire(_Quiet):
    """Pipecat's frames."""

    rate = 16_000

    def heard(self, message: Message) -> NDArray[np.int16] | None:
        """Return the sound of an audio frame."""
        if isinstance(message, str):
            return None
        for kind, content in pipecat.fields_of(message):
            if kind == pipecat.AUDIO and isinstance(content, bytes):
                audio = dict(pipecat.fields_of(content)).get(3, b"")
                if isinstance(audio, bytes):
                    return np.frombuffer(audio, dtype="<i2").astype(np.int16)
        return None

    def messages(self, event: AgentEvent) -> Iterable[Message]:
        """Return an audio frame, or a message of RTVI."""
        if isinstance(event, AgentAudio):
            return [pipecat.audio_frame(to_int16(event.pcm), event.sample_rate)]
        if isinstance(event, AgentCleared):
            return [pipecat.framed(pipecat.INTERRUPTION, pipecat.encoded_field(1, 1))]
        said = rtvi_message(event)
        if said is None:
            return []
        return [pipecat.framed(pipecat.MESSAGE, pipecat.encoded_field(1, said.encode()))]


def rtvi_message(event: AgentEvent) -> str | None:
    """Return the message with which a pipeline tells of ``event``; None if there is none."""
    data: dict[str, object] = {}
    match event:
        case SpeechEndSeen():
            kind = "user-stopped-speaking"
        case AgentCleared():
            kind = "user-started-speaking"
        case ReplyComplete():
            kind = "bot-stopped-speaking"
        case CallerTranscript(text, final):
            kind, data = "user-transcription", {"text": text, "final": final}
        case ReplyText(text):
            kind, data = "bot-llm-text", {"text": text}
        case _:
            return None
    return as_text({"label": "rtvi-ai", "type": kind, "data": data})


AGENT_WIRES: Mapping[str, type[AgentWire]] = {
    "pcm": PcmWire,
    "realtime": RealtimeWire,
    "telephony": TelephonyWire,
    "pipecat": PipecatWire,
}
"""By the values of ``call.api``."""
